/* One-way delay: schedules, what is sent when, and what the histograms say of what arrived. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "delay.h"
#include "rig.h"

enum { ID = 78, COUNT = 200, SLICES = 4, ONE_MS = 1000000 };

/* Both ends of a way, and what they know and find. */
struct way {
	int from, to, stop_fd;
	int64_t due_ns[COUNT];
	uint32_t late[VNB_BUCKETS];
	uint32_t intended[SLICES * VNB_BUCKETS], actual[SLICES * VNB_BUCKETS];
	struct vnb_paced paced;
	struct vnb_arrivals expected;
	struct vnb_sent sent;
	struct vnb_arrived arrived;
	int result;
};

static int schedule(int64_t *due_ns, uint64_t count, double rate, int poisson, uint64_t seed)
{
	struct vnb_rhythm rhythm = {.rate = rate, .poisson = poisson, .seed = seed};

	return vnb_schedule(due_ns, count, &rhythm);
}

static struct way *open_way(double rate)
{
	static struct way way;
	struct sockaddr_in address;

	memset(&way, 0, sizeof(way));
	way.to = rig_udp_socket(&address);
	way.from = rig_udp_socket(&(struct sockaddr_in){0});
	way.stop_fd = eventfd(0, EFD_CLOEXEC);
	NEED(connect(way.from, (struct sockaddr *)&address, sizeof(address)) == 0);
	NEED(schedule(way.due_ns, COUNT, rate, 0, 0) == 0);
	way.paced = (struct vnb_paced){
		.seed = 1, .id = ID, .size = 64, .batch = 8,
		.due_ns = way.due_ns, .count = COUNT, .late = way.late,
	};
	way.expected = (struct vnb_arrivals){
		.seed = 1, .id = ID, .size = 64, .batch = 16, .buffer = 1 << 20,
		.count = COUNT, .slices = SLICES,
		.intended = way.intended, .actual = way.actual,
	};
	return &way;
}

static void close_way(struct way *way)
{
	close(way->from);
	close(way->to);
	close(way->stop_fd);
}

static int send_now(struct way *way)
{
	return vnb_send_paced(way->from, &way->paced, &way->sent, way->stop_fd);
}

/* Receive what waits, and no more. */
static void receive_waiting(struct way *way)
{
	NEED(eventfd_write(way->stop_fd, 1) == 0);
	CLAIM(vnb_receive_paced(way->to, &way->expected, &way->arrived, way->stop_fd) == 0,
	      "a receiver ends when it is told to and nothing waits");
	CLAIM(way->arrived.packets == way->arrived.unique + way->arrived.duplicates +
	      way->arrived.strange, "every datagram is of one kind");
}

/* How many times are in the buckets that lie in from..to nanoseconds, or partly so. */
static uint64_t count_between(const uint32_t *buckets, int64_t from_ns, int64_t to_ns)
{
	uint64_t count = 0;

	for (uint32_t i = vnb_bucket(from_ns); i <= vnb_bucket(to_ns); i++)
		count += buckets[i];
	return count;
}

static uint64_t count_all(const uint32_t *buckets, uint32_t slices)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < slices * VNB_BUCKETS; i++)
		count += buckets[i];
	return count;
}

/* ---- buckets and schedules ---------------------------------------------------------------- */

static void buckets_hold_what_is_put_there(void)
{
	uint32_t state = 1, wrong = 0, wide = 0;

	for (int i = 0; i < 100000; i++) {
		int64_t ns = (int64_t)((uint64_t)test_random(&state) << 10) >> i % 42;
		uint32_t bucket = vnb_bucket(ns);
		int64_t low = vnb_bucket_lowest(bucket), high = vnb_bucket_lowest(bucket + 1);

		wrong += ns < low || ns >= high;
		wide += high - low > 1 && (high - low) * 128 > low;
	}
	CLAIM(wrong == 0, "a time lies between the ends of its bucket");
	CLAIM(wide == 0, "which is no wider than a 128th of it, or a nanosecond");
	for (uint32_t i = 0; i < VNB_BUCKETS; i++)
		wrong += vnb_bucket(vnb_bucket_lowest(i)) != i;
	CLAIM(wrong == 0, "every bucket begins where it says");
	CLAIM(vnb_bucket(-5) == 0 && vnb_bucket(INT64_MAX) == VNB_BUCKETS - 1 &&
	      vnb_bucket_lowest(VNB_BUCKETS) == (int64_t)1 << 42, "and the ends take what is outside");
}

static void schedules_are_as_promised(void)
{
	enum { MANY = 100000 };
	static int64_t due_ns[MANY], again[MANY];
	int64_t before = 0;
	uint32_t longer = 0, backwards = 0, refused = 0;

	CLAIM(schedule(due_ns, 4, 3000, 0, 9) == 0 && due_ns[0] == 0 && due_ns[1] == 333333 &&
	      due_ns[2] == 666666 && due_ns[3] == ONE_MS, "constant spacing does not drift");
	NEED(schedule(due_ns, MANY, 1000, 1, 5) == 0);
	for (uint32_t n = 0; n < MANY; before = due_ns[n++]) {
		backwards += due_ns[n] < before;
		longer += due_ns[n] - before > ONE_MS;
	}
	CLAIM(backwards == 0, "a Poisson schedule only goes forward");
	CLAIM(before > 98.7e9 && before < 101.3e9, "at the rate asked for (4 standard deviations)");
	CLAIM(longer > 36180 && longer < 37400, "with gaps above the mean as often as e^-1 says");
	NEED(schedule(again, MANY, 1000, 1, 5) == 0);
	CLAIM(memcmp(due_ns, again, sizeof(again)) == 0, "the same seed gives the same schedule");
	NEED(schedule(again, MANY, 1000, 1, 6) == 0);
	CLAIM(memcmp(due_ns, again, sizeof(again)) != 0, "another seed another one");
	CLAIM(schedule(due_ns, 1, 0, 0, 0) == -EINVAL && schedule(due_ns, 1, 2e9, 0, 0) == -EINVAL &&
	      schedule(due_ns, MANY, 1e-9, 0, 0) == -EINVAL, "no rate: refused");
	for (uint64_t seed = 1; seed <= 100; seed++)
		refused += schedule(due_ns, 1, 1e9 / 0x1p60, 1, seed) == -EINVAL;
	CLAIM(refused > 2 && refused < 40, "a gap that chance makes too long is, too (e^-2 of them)");
}

static void schedules_may_rest(void)
{
	struct vnb_rhythm rhythm = {.rate = 1000, .piece_ns = 2 * ONE_MS, .rest_ns = 50 * ONE_MS};
	int64_t due_ns[5];

	NEED(vnb_schedule(due_ns, 5, &rhythm) == 0);
	CLAIM(due_ns[0] == 0 && due_ns[1] == ONE_MS && due_ns[2] == 52 * ONE_MS &&
	      due_ns[3] == 53 * ONE_MS && due_ns[4] == 104 * ONE_MS, "a rest comes after each piece");
	rhythm.rest_ns = -1;
	CLAIM(vnb_schedule(due_ns, 5, &rhythm) == -EINVAL, "no rest is negative");
	rhythm.rest_ns = INT64_MAX / 2;
	CLAIM(vnb_schedule(due_ns, 5, &rhythm) == -EINVAL, "nor too long");
}

/* ---- sending ------------------------------------------------------------------------------ */

static void datagrams_say_when_they_were_due(void)
{
	struct way *way = open_way(20000);
	uint32_t unlike = 0, early = 0;
	uint8_t datagram[65];
	struct stamps stamps;
	int64_t before = 0;

	CLAIM(send_now(way) == 0 && way->sent.packets == COUNT && way->sent.bytes == COUNT * 64 &&
	      way->sent.forgone == 0, "a schedule is kept to its end");
	for (int n = 0; n < COUNT; n++) {
		NEED(recv(way->to, datagram, sizeof(datagram), MSG_DONTWAIT) == 64);
		memcpy(&stamps, datagram + sizeof(struct pattern_header), sizeof(stamps));
		unlike += stamps.due_ns != way->sent.begin_ns + way->due_ns[n];
		early += stamps.handed_ns < stamps.due_ns || stamps.handed_ns < before;
		before = stamps.handed_ns;
	}
	CLAIM(unlike == 0, "each says when it was due by the schedule, whatever happened before");
	CLAIM(early == 0 && before <= way->sent.end_ns, "none goes before its time");
	CLAIM(count_all(way->late, 1) == COUNT, "how late each went is kept");
	close_way(way);
}

static void nothing_is_forgone(void)
{
	struct way *way = open_way(1e9); /* all of it is due within 200 ns */

	way->paced.batch = 1;
	CLAIM(send_now(way) == 0 && way->sent.packets == COUNT && way->sent.calls == COUNT,
	      "what is overdue goes one by one where batches are not allowed");
	CLAIM(count_between(way->late, 0, 1000) < COUNT / 2, "late, which is told");
	receive_waiting(way);
	CLAIM(way->arrived.unique == COUNT, "but whole");
	CLAIM(way->arrived.calls >= COUNT / 16 && way->arrived.calls < COUNT, "and comes in batches");
	close_way(way);
}

static void a_sender_loses_its_patience(void)
{
	struct way *way = open_way(1e9);

	way->paced.batch = 1, way->paced.patience_ns = 50000;
	CLAIM(send_now(way) == 0 && way->sent.packets < COUNT, "a hopeless schedule is given up");
	CLAIM(count_all(way->late, 1) == way->sent.packets,
	      "after what could be sent");
	close_way(way);
}

static void a_sender_may_sleep(void)
{
	struct way *way = open_way(5000);
	struct timespec cpu[2];
	double used;

	way->paced.sleeps = 1;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu[0]);
	CLAIM(send_now(way) == 0 && way->sent.packets == COUNT, "a sleeping sender sends all");
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu[1]);
	used = (double)(cpu[1].tv_sec - cpu[0].tv_sec) + (double)(cpu[1].tv_nsec - cpu[0].tv_nsec) / 1e9;
	CLAIM(used < (double)(way->sent.end_ns - way->sent.begin_ns) / 1e9, "and leaves the CPU");
	close_way(way);
}

/* ---- receiving ---------------------------------------------------------------------------- */

/* Send number `sequence` by hand, due and handed over that long ago. */
static void put(struct way *way, uint64_t sequence, int64_t due_ago_ns, int64_t handed_ago_ns)
{
	uint64_t state = pattern_state(pattern_key(1, ID), sequence, 64);
	struct pattern_header header = pattern_header(ID, sequence, state);
	int64_t now = now_ns();
	struct stamps stamps = {.due_ns = now - due_ago_ns, .handed_ns = now - handed_ago_ns};
	uint8_t datagram[64] = {0};

	memcpy(datagram, &header, sizeof(header));
	memcpy(datagram + sizeof(header), &stamps, sizeof(stamps));
	NEED(send(way->from, datagram, sizeof(datagram), 0) == sizeof(datagram));
}

static void delays_are_what_was_planted(void)
{
	enum { LONG_MS = 5000, SHORT_MS = 1000, SLACK_MS = 900 };
	struct way *way = open_way(1000);

	for (uint64_t n = 0; n < COUNT; n++)
		put(way, n, (int64_t)LONG_MS * ONE_MS, (int64_t)SHORT_MS * ONE_MS);
	receive_waiting(way);
	CLAIM(way->arrived.unique == COUNT && way->arrived.reordered == 0, "all are there");
	for (uint32_t i = 0; i < SLICES; i++) {
		uint32_t *intended = way->intended + i * VNB_BUCKETS;
		uint32_t *actual = way->actual + i * VNB_BUCKETS;

		CLAIM(count_all(intended, 1) == COUNT / SLICES && count_all(actual, 1) == COUNT / SLICES,
		      "each slice of the stream has its datagrams");
		CLAIM(count_between(intended, (int64_t)LONG_MS * ONE_MS,
				    (int64_t)(LONG_MS + SLACK_MS) * ONE_MS) == COUNT / SLICES,
		      "the delay since they were due is what was planted");
		CLAIM(count_between(actual, (int64_t)SHORT_MS * ONE_MS,
				    (int64_t)(SHORT_MS + SLACK_MS) * ONE_MS) == COUNT / SLICES,
		      "so is the one since they were sent");
	}
	close_way(way);
}

static void counts_what_is_wrong(void)
{
	struct way *way = open_way(1000);

	put(way, 1, 2, 1);
	put(way, 3, 2, 1); /* 2 is lost, 0 is late */
	put(way, 0, 2, 1);
	put(way, 3, 2, 1); /* again */
	put(way, COUNT, 2, 1); /* there is no such number */
	put(way, 4, 1, 2);     /* handed over before it was due */
	put(way, 5, 0, -10000LL * ONE_MS); /* from the future */
	put(way, 6, INT64_MAX, INT64_MAX); /* from before time began: the bits have changed */
	NEED(send(way->from, "short", 5, 0) == 5);
	receive_waiting(way);
	CLAIM(way->arrived.unique == 3 && way->arrived.next == 4, "what is lost is missing");
	CLAIM(way->arrived.duplicates == 1 && way->arrived.reordered == 1, "order and repetition tell");
	CLAIM(way->arrived.strange == 5, "and so does what cannot be");
	CLAIM(count_all(way->intended, SLICES) == 3 && count_all(way->actual, SLICES) == 3,
	      "only sound, new datagrams are in the histograms");
	close_way(way);
}

static void *receive(void *argument)
{
	struct way *way = argument;

	way->result = vnb_receive_paced(way->to, &way->expected, &way->arrived, way->stop_fd);
	return NULL;
}

static void both_ends_at_once(void)
{
	struct way *way = open_way(10000);
	pthread_t thread;

	NEED(schedule(way->due_ns, COUNT, 10000, 1, 3) == 0);
	NEED(pthread_create(&thread, NULL, receive, way) == 0);
	CLAIM(send_now(way) == 0, "a Poisson stream is sent");
	NEED(pthread_join(thread, NULL) == 0);
	CLAIM(way->result == 0 && way->arrived.unique == COUNT, "its receiver ends when all is there");
	CLAIM(count_all(way->intended, SLICES) == COUNT && count_all(way->actual, SLICES) == COUNT,
	      "the histograms hold as many as arrived");
	CLAIM(way->arrived.first_ns >= way->sent.begin_ns && way->arrived.drops == 0 &&
	      way->arrived.buffer >= 1 << 20, "none before the beginning, in a buffer as asked for");
	close_way(way);
}

static void both_ends_stop_when_told(void)
{
	struct way *way = open_way(10);
	pthread_t thread;
	double begin;

	NEED(pthread_create(&thread, NULL, receive, way) == 0);
	usleep(20000);
	begin = test_now();
	NEED(eventfd_write(way->stop_fd, 1) == 0);
	NEED(pthread_join(thread, NULL) == 0);
	CLAIM(way->result == 0 && test_now() - begin < 0.5, "a receiver stops when told to");
	CLAIM(send_now(way) == 0 && way->sent.packets < COUNT && test_now() - begin < 1,
	      "so does a sender");
	close_way(way);
}

static void refuses_what_cannot_be(void)
{
	struct way *way = open_way(1000);

	way->paced.size = way->expected.size = 31;
	CLAIM(send_now(way) == -EINVAL, "31 bytes have no room for the times");
	CLAIM(vnb_receive_paced(way->to, &way->expected, &way->arrived, way->stop_fd) == -EINVAL,
	      "nor do they at the receiver");
	way->paced.size = way->expected.size = 64;
	way->paced.batch = way->expected.batch = 65;
	CLAIM(send_now(way) == -EINVAL, "65 are no batch");
	CLAIM(vnb_receive_paced(way->to, &way->expected, &way->arrived, way->stop_fd) == -EINVAL,
	      "nor are they at the receiver");
	way->paced.batch = way->expected.batch = 8;
	close_way(way);
	CLAIM(send_now(way) == -EBADF, "a closed descriptor is reported");
	CLAIM(vnb_receive_paced(way->to, &way->expected, &way->arrived, way->stop_fd) == -EBADF,
	      "by the receiver, too");
}

void test_delay(void)
{
	buckets_hold_what_is_put_there();
	schedules_are_as_promised();
	schedules_may_rest();
	datagrams_say_when_they_were_due();
	nothing_is_forgone();
	a_sender_loses_its_patience();
	a_sender_may_sleep();
	delays_are_what_was_planted();
	counts_what_is_wrong();
	both_ends_at_once();
	both_ends_stop_when_told();
	refuses_what_cannot_be();
}
