/* What the sink makes of streams that suffered on the way: here the way is this test. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "descriptor.h"
#include "pattern.h"
#include "rig.h"
#include "vnetbench.h"

enum { ID = 77, COUNT = 100, SIZE_OF_ONE = 99, IDLE_MS = 20 };

static const struct vnb_sink SINK = {
	.seed = 1, .id = ID, .size = SIZE_OF_ONE, .idle_ms = IDLE_MS, .verify = 1,
};

/* A stream that was sent and lies here, datagram by datagram, to be tampered with. */
struct way {
	uint8_t datagram[COUNT][SIZE_OF_ONE + 1];
	int fd, sink_fd, stop_fd;
};

static void make(uint8_t *datagram, uint32_t id, uint64_t sequence, uint32_t size)
{
	uint64_t state = pattern_state(pattern_key(1, id), sequence, size);
	struct pattern_header header = pattern_header(id, sequence, state);

	memcpy(datagram, &header, sizeof(header));
	pattern_fill(datagram + sizeof(header), size - sizeof(header), state);
}

static struct way open_way(void)
{
	struct sockaddr_in address;
	struct way way = {.stop_fd = eventfd(0, EFD_CLOEXEC)};

	way.sink_fd = rig_udp_socket(&address);
	way.fd = rig_udp_socket(&(struct sockaddr_in){0});
	NEED(connect(way.fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	for (int i = 0; i < COUNT; i++)
		make(way.datagram[i], ID, (uint64_t)i, SIZE_OF_ONE);
	return way;
}

static void close_way(struct way *way)
{
	close(way->fd);
	close(way->sink_fd);
	close(way->stop_fd);
}

static void put(struct way *way, int index)
{
	NEED(send(way->fd, way->datagram[index], SIZE_OF_ONE, 0) == SIZE_OF_ONE);
}

/* What the sink says of all that was put. */
static struct vnb_received judge(struct way *way, const struct vnb_sink *sink)
{
	struct vnb_received received = {0};
	int result = vnb_sink(way->sink_fd, sink, &received, way->stop_fd);

	CLAIM(result == 0, "a sink ends when its stream has gone idle");
	CLAIM(received.packets == received.unique + received.duplicates + received.late +
	      received.corrupt + received.strange, "every datagram is of one kind");
	return received;
}

static void finds_nothing_wrong(void)
{
	struct way way = open_way();
	struct vnb_received received;

	for (int i = 0; i < COUNT; i++)
		put(&way, i);
	received = judge(&way, &SINK);
	CLAIM(received.packets == COUNT && received.unique == COUNT && received.next == COUNT,
	      "a sound stream is received whole");
	CLAIM(received.bytes == COUNT * SIZE_OF_ONE, "with all its bytes");
	CLAIM(received.reordered == 0 && received.coalesced == 0 && received.drops == 0,
	      "in order and one by one");
	CLAIM(received.calls < COUNT / 2, "by fewer calls than datagrams");
	CLAIM(received.first_ns > 0 && received.last_ns >= received.first_ns, "at some time");
	close_way(&way);
}

static void counts_loss_repetition_and_order(void)
{
	struct way way = open_way();
	struct vnb_received received;

	put(&way, 1);
	put(&way, 3); /* 2 is lost, 0 is late */
	put(&way, 0);
	put(&way, 3); /* again */
	put(&way, 0);
	put(&way, 4);
	received = judge(&way, &SINK);
	CLAIM(received.unique == 4 && received.next == 5, "what is lost is missing from the unique");
	CLAIM(received.duplicates == 2, "what comes again is a duplicate, wherever it comes");
	CLAIM(received.reordered == 1, "what comes behind a later one is reordered, duplicates apart");
	CLAIM(received.corrupt == 0 && received.strange == 0, "and nothing of that is corrupt");
	close_way(&way);
}

static void keeps_a_window(void)
{
	enum { WINDOW = 1 << 20 };
	struct way way = open_way();
	struct vnb_received received;
	uint64_t far = 10 * (uint64_t)WINDOW + 5;

	put(&way, 5);
	make(way.datagram[0], ID, far, SIZE_OF_ONE);
	put(&way, 0); /* where 5 was in the window */
	make(way.datagram[0], ID, far - WINDOW + 1, SIZE_OF_ONE);
	put(&way, 0); /* the last that the window holds */
	put(&way, 0);
	make(way.datagram[0], ID, far - WINDOW, SIZE_OF_ONE);
	put(&way, 0);
	make(way.datagram[0], ID, far + 70, SIZE_OF_ONE);
	put(&way, 0);
	make(way.datagram[0], ID, far + 64, SIZE_OF_ONE);
	put(&way, 0); /* skipped, not seen */
	received = judge(&way, &SINK);
	CLAIM(received.unique == 5 && received.reordered == 2 && received.duplicates == 1,
	      "the window moves with the stream and forgets what it leaves");
	CLAIM(received.late == 1, "what is behind the window is called late");
	close_way(&way);
}

static void finds_every_wrong_byte(void)
{
	struct way way = open_way();
	struct vnb_received received;

	for (int i = 0; i < SIZE_OF_ONE; i++) {
		way.datagram[i][i] ^= 1;
		put(&way, i);
	}
	received = judge(&way, &SINK);
	CLAIM(received.corrupt == SIZE_OF_ONE && received.packets == SIZE_OF_ONE,
	      "one wrong bit anywhere, header or payload, makes a datagram corrupt");
	CLAIM(received.unique == 0, "and a corrupt one does not count as received");
	close_way(&way);

	way = open_way();
	way.datagram[7][50] ^= 1;
	way.datagram[8][20] ^= 1;
	for (int i = 0; i < COUNT; i++)
		put(&way, i);
	received = judge(&way, &SINK);
	CLAIM(received.corrupt == 2 && received.unique == COUNT - 2, "the others are unharmed");
	CLAIM(received.corrupt_sequence == 7 && received.corrupt_offset == 50 &&
	      received.corrupt_size == SIZE_OF_ONE, "which was the first, and where, is kept");
	close_way(&way);
}

static void looks_no_closer_than_asked(void)
{
	struct way way = open_way();
	struct vnb_sink sink = SINK;

	sink.verify = 0;
	way.datagram[0][50] ^= 1;
	way.datagram[1][12] ^= 1;
	put(&way, 0);
	put(&way, 1);
	CLAIM(judge(&way, &sink).corrupt == 1, "without verify, only the header is looked at");
	close_way(&way);
}

static void finds_wrong_sizes(void)
{
	struct way way = open_way();
	struct vnb_received received;

	NEED(send(way.fd, way.datagram[0], SIZE_OF_ONE - 1, 0) == SIZE_OF_ONE - 1);
	NEED(send(way.fd, way.datagram[1], SIZE_OF_ONE + 1, 0) == SIZE_OF_ONE + 1);
	NEED(send(way.fd, way.datagram[2], 3, 0) == 3);
	NEED(send(way.fd, "", 0, 0) == 0);
	put(&way, 4);
	received = judge(&way, &SINK);
	CLAIM(received.corrupt == 4 && received.unique == 1, "shorter, longer, empty: all corrupt");
	close_way(&way);
}

static void knows_its_stream(void)
{
	struct way way = open_way();
	struct vnb_sink sink = SINK;

	make(way.datagram[0], ID + 1, 0, SIZE_OF_ONE);
	put(&way, 0);
	put(&way, 1);
	CLAIM(judge(&way, &SINK).strange == 1, "another stream's datagram is strange");
	put(&way, 1);
	sink.seed = 2;
	CLAIM(judge(&way, &sink).corrupt == 1, "another seed's is corrupt");
	close_way(&way);
}

static void counts_drops_of_its_own(void)
{
	struct way way = open_way();
	struct vnb_sink sink = SINK;
	struct vnb_received received = {0};
	int small = 1;

	NEED(setsockopt(way.sink_fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) == 0);
	for (int i = 0; i < COUNT; i++)
		put(&way, i); /* before the call: not its loss */
	received = judge(&way, &sink);
	CLAIM(received.unique < COUNT && received.drops == 0, "earlier drops are not held against it");

	sink.buffer = 1 << 16;
	put(&way, 0);
	received = judge(&way, &sink);
	CLAIM(received.buffer >= 1 << 16, "it has the buffer it asked for, or says what it has");
	close_way(&way);
}

struct task {
	struct way way;
	struct vnb_sink sink;
	struct vnb_received received;
	int result;
};

static void *run(void *argument)
{
	struct task *task = argument;

	task->result = vnb_sink(task->way.sink_fd, &task->sink, &task->received, task->way.stop_fd);
	return NULL;
}

static void start(struct task *task, pthread_t *thread, const struct vnb_sink *sink)
{
	task->way = open_way();
	task->sink = *sink;
	NEED(pthread_create(thread, NULL, run, task) == 0);
}

/* Wait until the sink has begun: what the socket drops from now on is its own affair. */
static void await_begin(struct task *task)
{
	double deadline = test_now() + 5;

	make(task->way.datagram[0], ID + 1, 0, SIZE_OF_ONE);
	put(&task->way, 0);
	while (__atomic_load_n(&task->received.strange, __ATOMIC_RELAXED) == 0)
		NEED(test_now() < deadline);
}

static void stops_when_told(uint32_t nap_us)
{
	static struct task task;
	pthread_t thread;
	struct vnb_sink sink = SINK;
	double begin;

	memset(&task, 0, sizeof(task));
	sink.nap_us = nap_us;
	start(&task, &thread, &sink);
	usleep(5 * IDLE_MS * 1000);
	begin = test_now();
	NEED(eventfd_write(task.way.stop_fd, 1) == 0);
	NEED(pthread_join(thread, NULL) == 0);
	CLAIM(task.result == 0 && task.received.packets == 0, "before its first datagram it waits");
	CLAIM(test_now() - begin < 0.2, "until it is told to stop");
	close_way(&task.way);
}

/* Whether all that was sent has been received or dropped, as far as can be told of joined ones. */
static bool is_over(struct task *task, const struct vnb_sent *sent)
{
	uint64_t unique = __atomic_load_n(&task->received.unique, __ATOMIC_RELAXED);
	uint32_t info[SK_MEMINFO_VARS];

	if (task->sink.gro)
		return __atomic_load_n(&task->received.coalesced, __ATOMIC_RELAXED) > 0;
	descriptor_memory(task->way.sink_fd, info);
	return unique + info[SK_MEMINFO_DROPS] >= sent->packets;
}

/* No clock of the sink's ends the stream: a sender that is not let run has not fallen silent. */
static void stop_when_over(struct task *task, const struct vnb_sent *sent)
{
	double deadline = test_now() + LOST_AFTER_MS / 1000.0;

	while (!is_over(task, sent) && test_now() < deadline)
		usleep(1000);
	NEED(eventfd_write(task->way.stop_fd, 1) == 0);
}

/* The generator floods a sink that has little room. */
static void accounts_for_a_flood(uint32_t segments, int gro, uint32_t nap_us)
{
	static struct task task;
	struct vnb_stream stream = {
		.seed = 1, .id = ID, .size = SIZE_OF_ONE, .segments = segments,
		.batch = 32, .burst = 64, .seconds = 0.1, .verify = 1,
	};
	struct vnb_sink sink = SINK;
	struct vnb_sent sent = {0};
	pthread_t thread;

	memset(&task, 0, sizeof(task));
	sink.buffer = 1 << 14, sink.idle_ms = 0, sink.gro = gro, sink.nap_us = nap_us;
	start(&task, &thread, &sink);
	await_begin(&task);
	stream.last = segments ? 20 : 0;
	CLAIM(vnb_send(task.way.fd, &stream, &sent, task.way.stop_fd) == 0, "a flood is sent");
	stop_when_over(&task, &sent);
	NEED(pthread_join(thread, NULL) == 0);
	CLAIM(task.result == 0 && task.received.corrupt == 0 && task.received.duplicates == 0,
	      "and nothing of it arrives spoilt or twice");
	CLAIM(task.received.unique > 0, "some of it arrives");
	if (gro)
		CLAIM(task.received.coalesced > 0, "several datagrams in one");
	else
		CLAIM(sent.packets == task.received.unique + task.received.drops,
		      "and the rest the socket reports to have dropped");
	close_way(&task.way);
}

static void refuses_what_cannot_be(void)
{
	struct way way = open_way();
	struct vnb_sink sink = SINK;
	struct vnb_received received = {0};

	sink.size = 15;
	CLAIM(vnb_sink(way.sink_fd, &sink, &received, way.stop_fd) == -EINVAL, "15 bytes: refused");
	sink.size = 65508;
	CLAIM(vnb_sink(way.sink_fd, &sink, &received, way.stop_fd) == -EINVAL, "65508: refused");
	sink = SINK;
	sink.nap_us = 1000000;
	CLAIM(vnb_sink(way.sink_fd, &sink, &received, way.stop_fd) == -EINVAL,
	      "a nap of a second: refused");
	close_way(&way);
	CLAIM(vnb_sink(way.sink_fd, &SINK, &received, way.stop_fd) == -EBADF,
	      "a closed descriptor is reported");
}

void test_sink(void)
{
	finds_nothing_wrong();
	counts_loss_repetition_and_order();
	keeps_a_window();
	finds_every_wrong_byte();
	looks_no_closer_than_asked();
	finds_wrong_sizes();
	knows_its_stream();
	counts_drops_of_its_own();
	stops_when_told(0);
	stops_when_told(100);
	accounts_for_a_flood(0, 0, 0);
	accounts_for_a_flood(0, 0, 100);
	accounts_for_a_flood(16, 0, 0);
	accounts_for_a_flood(16, 1, 0);
	refuses_what_cannot_be();
}
