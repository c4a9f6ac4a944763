/* What the generator sends, looked at by a plain recv() and with a clock. */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pattern.h"
#include "rig.h"
#include "vnetbench.h"

enum { ID = 77, WAIT_NOT = MSG_DONTWAIT, ROOM = 65536, TRIES = 50 };

static const struct vnb_stream FEW = {
	.seed = 1, .id = ID, .size = 64, .batch = 4, .burst = 256, .count = 10,
};

struct pair {
	int from, to, stop_fd;
};

static struct pair connected(void)
{
	struct sockaddr_in address;
	struct pair pair = {.stop_fd = eventfd(0, EFD_CLOEXEC)};
	int size = 8 << 20;

	pair.to = rig_udp_socket(&address);
	setsockopt(pair.to, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	pair.from = rig_udp_socket(&(struct sockaddr_in){0});
	NEED(connect(pair.from, (struct sockaddr *)&address, sizeof(address)) == 0);
	return pair;
}

static void disconnect(struct pair *pair)
{
	close(pair->from);
	close(pair->to);
	close(pair->stop_fd);
}

/* Whether `datagram` is number `sequence` of the stream, down to its last byte where it says so. */
static bool is_number(const struct vnb_stream *stream, const uint8_t *datagram, size_t size,
		      uint64_t sequence)
{
	uint64_t state = pattern_state(pattern_key(stream->seed, stream->id), sequence,
				       (uint32_t)size);
	struct pattern_header header = pattern_header(stream->id, sequence, state);

	if (size < sizeof(header) || memcmp(datagram, &header, sizeof(header)) != 0)
		return false;
	size -= sizeof(header);
	return !stream->verify || pattern_check(datagram + sizeof(header), size, state) == size;
}

/* Receive what is there. Returns how many came in order, as sent, with these sizes. */
static uint64_t count_sound(int fd, const struct vnb_stream *stream, size_t others, size_t last)
{
	uint32_t group = stream->segments ? stream->segments : 1;
	static uint8_t datagram[ROOM];
	uint64_t sound = 0;
	ssize_t size;

	while ((size = recv(fd, datagram, sizeof(datagram), WAIT_NOT)) >= 0) {
		bool ends = (sound + 1) % group == 0 || sound + 1 == stream->count;

		if ((size_t)size != (ends ? last : others) ||
		    !is_number(stream, datagram, (size_t)size, sound))
			break;
		sound++;
	}
	return sound;
}

static void payload_is_as_promised(void)
{
	uint8_t a[100], b[100];
	uint64_t state = pattern_state(pattern_key(1, 2), 3, 116);
	unsigned int wrong = 0;

	pattern_fill(a, sizeof(a), state);
	CLAIM(pattern_check(a, sizeof(a), state) == sizeof(a), "a payload is what it was filled with");
	for (size_t i = 0; i < sizeof(a); i++) {
		a[i] ^= 0x10;
		wrong += pattern_check(a, sizeof(a), state) == i;
		a[i] ^= 0x10;
	}
	CLAIM(wrong == sizeof(a), "a wrong bit anywhere is found, and where it is");
	for (size_t size = 0; size < 9; size++) {
		memset(b, 0xee, sizeof(b));
		pattern_fill(b + 1, size, state);
		CLAIM(memcmp(b + 1, a, size) == 0 && b[0] == 0xee && b[size + 1] == 0xee,
		      "a short payload is the beginning of a long one, and no more");
	}
	CLAIM(pattern_state(1, 2, 3) != pattern_state(1, 2, 4) &&
	      pattern_state(1, 2, 3) != pattern_state(1, 3, 3) &&
	      pattern_state(1, 2, 3) != pattern_state(2, 2, 3) &&
	      pattern_key(1, 2) != pattern_key(2, 1),
	      "every part of a datagram's name counts");
	/* Computed with Python from the definition in pattern.h, so that it stays what it is. */
	CLAIM(be32toh(pattern_header(7, 5, pattern_state(pattern_key(42, 7), 5, 64)).check) ==
	      0x2b2cac6c, "the check in the header is the same on every machine");
	pattern_fill(b, 8, pattern_state(pattern_key(42, 7), 5, 64));
	CLAIM(memcmp(b, "\xdb\x49\x76\xd1\xef\x03\xce\x95", 8) == 0, "so is the payload");
}

static void sends(struct vnb_stream stream, size_t others, size_t last, const char *claim)
{
	struct pair pair = connected();
	struct vnb_sent sent = {0};
	int result = vnb_send(pair.from, &stream, &sent, pair.stop_fd);

	CLAIM(result == 0 && sent.packets == stream.count, claim);
	CLAIM(count_sound(pair.to, &stream, others, last) == stream.count, claim);
	CLAIM(sent.end_ns > sent.begin_ns && sent.bytes > 0 && sent.refused == 0, claim);
	disconnect(&pair);
}

static void sends_what_was_asked_for(void)
{
	struct vnb_stream stream = FEW;

	sends(stream, 64, 64, "as many datagrams as asked for arrive, numbered from 0");
	stream.verify = 1;
	sends(stream, 64, 64, "with verify, every byte is as promised");
	stream.size = 16;
	sends(stream, 16, 16, "16 bytes are enough");
	stream.size = 65507, stream.count = 5;
	sends(stream, 65507, 65507, "65507 bytes are not too many");
	stream.size = 999, stream.segments = 5, stream.count = 20;
	sends(stream, 999, 999, "segments arrive as datagrams");
	stream.last = 17;
	sends(stream, 999, 17, "and the last of each message may be shorter");
	stream.count = 13;
	sends(stream, 999, 17, "also where the count ends within a message");
	stream.segments = 1;
	sends(stream, 999, 17, "a single segment is one, too");
	stream = FEW;
	stream.rate = 1000;
	sends(stream, 64, 64, "a rate changes nothing about what is sent");
}

static void refuses(struct vnb_stream stream, const char *claim)
{
	struct pair pair = connected();
	struct vnb_sent sent = {0};

	CLAIM(vnb_send(pair.from, &stream, &sent, pair.stop_fd) == -EINVAL && sent.calls == 0,
	      claim);
	disconnect(&pair);
}

static void refuses_what_cannot_be(void)
{
	struct vnb_stream stream = FEW;

	stream.size = 15;
	refuses(stream, "15 bytes are refused");
	stream.size = 65508;
	refuses(stream, "so are 65508");
	stream = FEW, stream.batch = 0;
	refuses(stream, "so is an empty batch");
	stream.batch = 1025;
	refuses(stream, "and one that is too large");
	stream = FEW, stream.segments = 129;
	refuses(stream, "so are more segments than any kernel takes");
	stream.segments = 10, stream.size = 6551;
	refuses(stream, "and such as exceed a datagram");
	stream = FEW, stream.segments = 4, stream.burst = 3;
	refuses(stream, "so is a burst that holds no message");
	stream = FEW, stream.segments = 4, stream.last = 65;
	refuses(stream, "so is a last segment longer than the others");
	stream.last = 15;
	refuses(stream, "or too short");
	stream.segments = 0, stream.last = 20;
	refuses(stream, "or without others");
	stream = FEW, stream.rate = -1;
	refuses(stream, "so is a negative rate");
	stream.rate = 0.0 / 0.0;
	refuses(stream, "and one that is no number");
}

/* Send, and return how long it took. */
static double seconds_of(const struct vnb_stream *stream, struct vnb_sent *sent)
{
	struct pair pair = connected();
	double begin = test_now(), elapsed;

	memset(sent, 0, sizeof(*sent));
	CLAIM(vnb_send(pair.from, stream, sent, pair.stop_fd) == 0, "a stream ends by itself");
	elapsed = test_now() - begin;
	disconnect(&pair);
	return elapsed;
}

/* Who is not let run in the last stretch ends without having looked at it: the best of some. */
static void ends_when_its_time_is_up(void)
{
	struct vnb_stream stream = FEW;
	struct vnb_sent sent;
	bool in_time = false;

	stream.count = 0, stream.rate = 20000, stream.seconds = 0.1;
	for (int i = 0; i < TRIES && !in_time; i++) {
		double elapsed = seconds_of(&stream, &sent);

		CLAIM(elapsed >= 0.1, "a stream does not end before its time is up");
		CLAIM((double)(sent.packets + sent.forgone) <= 20000 * elapsed + 1,
		      "and no datagram of the schedule is sent or forgone before its time");
		in_time = elapsed < 0.2 && sent.packets + sent.forgone >= 1900;
	}
	CLAIM(in_time, "but then, with every datagram of the schedule sent or forgone");
}

static void meets_a_low_rate(void)
{
	struct vnb_stream stream = FEW;
	struct vnb_sent sent;
	bool singly = false;

	stream.count = 100, stream.rate = 1000;
	stream.burst = 10000; /* what falls due in a stall is sent, however long it lasts */
	for (int i = 0; i < TRIES && !singly; i++) {
		double elapsed = seconds_of(&stream, &sent);

		CLAIM(sent.packets == 100 && sent.forgone == 0, "at a low rate nothing is forgone");
		CLAIM(elapsed >= 0.099, "the last datagram is not sent before its time");
		singly = elapsed < 0.11 && sent.calls > sent.packets / 2;
	}
	CLAIM(singly, "but at it, as datagrams go one by one");
}

static void forgoes_what_nobody_could_send(void)
{
	struct vnb_stream stream = FEW;
	struct vnb_sent sent;

	stream.count = 800, stream.rate = 1e9, stream.burst = 8, stream.batch = 8;
	seconds_of(&stream, &sent);
	CLAIM(sent.forgone > sent.packets, "what nobody could send is forgone and counted");
	CLAIM(sent.packets == 800 && sent.calls >= 100, "and no batch is larger than the burst");
}

struct run {
	struct pair pair;
	struct vnb_stream stream;
	struct vnb_sent sent;
	int result;
};

static void *run(void *argument)
{
	struct run *run = argument;

	run->result = vnb_send(run->pair.from, &run->stream, &run->sent, run->pair.stop_fd);
	return NULL;
}

static void stops_when_told(double rate, const char *claim)
{
	struct run task = {.pair = connected(), .stream = FEW};
	pthread_t thread;
	double begin;

	task.stream.count = 0, task.stream.rate = rate;
	NEED(pthread_create(&thread, NULL, run, &task) == 0);
	usleep(20000);
	begin = test_now();
	NEED(eventfd_write(task.pair.stop_fd, 1) == 0);
	NEED(pthread_join(thread, NULL) == 0);
	CLAIM(task.result == 0 && task.sent.packets > 0 && test_now() - begin < 0.5, claim);
	disconnect(&task.pair);
}

static void takes_turns(void)
{
	enum { COUNT = 3 };
	struct vnb_destination destinations[COUNT] = {0};
	struct vnb_stream stream = FEW;
	struct sockaddr_in address;
	struct vnb_sent sent = {0};
	int to[COUNT], from = rig_udp_socket(&address);
	uint8_t datagram[64];

	for (int i = 0; i < COUNT; i++) {
		to[i] = rig_udp_socket(&address);
		memcpy(destinations[i].address, &address.sin_addr, 4);
		destinations[i].port = address.sin_port;
	}
	stream.destinations = destinations, stream.destination_count = COUNT;
	CLAIM(vnb_send(from, &stream, &sent, from) == 0 && sent.packets == 10,
	      "a stream may go to several destinations");
	for (uint64_t i = 0; i < 10; i++)
		CLAIM(recv(to[i % COUNT], datagram, sizeof(datagram), WAIT_NOT) == 64 &&
		      is_number(&stream, datagram, 64, i), "which take turns");
	for (int i = 0; i < COUNT; i++)
		close(to[i]);
	close(from);
}

static void speaks_ipv6(void)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct vnb_destination destination = {.ipv6 = 1};
	int to = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int from = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct vnb_stream stream = FEW;
	struct vnb_sent sent = {0};
	socklen_t length = sizeof(address);

	if (to < 0 || bind(to, (struct sockaddr *)&address, length) < 0)
		return; /* a machine without IPv6 */
	NEED(getsockname(to, (struct sockaddr *)&address, &length) == 0);
	memcpy(destination.address, &address.sin6_addr, 16);
	destination.port = address.sin6_port;
	stream.destinations = &destination, stream.destination_count = 1;
	CLAIM(vnb_send(from, &stream, &sent, from) == 0 &&
	      count_sound(to, &stream, 64, 64) == 10, "IPv6 carries a stream, too");
	close(to);
	close(from);
}

/* Send for 50 ms where the witness is said to take `pace_ns` on a core of its own. */
static struct vnb_pace witnessed(int64_t pace_ns)
{
	struct vnb_stream stream = FEW;
	struct vnb_sent sent;
	double elapsed;

	stream.rate = 10000, stream.seconds = 0.05, stream.count = 0, stream.pace_ns = pace_ns;
	elapsed = seconds_of(&stream, &sent);
	CLAIM((double)sent.pace.samples <= elapsed * 1000 + 1, "the core is looked at each millisecond");
	return sent.pace;
}

static void tells_a_shared_core(void)
{
	struct vnb_pace slower = witnessed(1), faster = witnessed(INT32_MAX), unknown;
	int tries = 0;

	do /* who is not let run does not look */
		unknown = witnessed(0);
	while (unknown.samples <= 5 && ++tries < TRIES);
	CLAIM(unknown.samples > 5, "and no less often, where there is a core");
	CLAIM(unknown.least_ns > 10, "which takes some time");
	CLAIM(unknown.slow == 0, "nothing is slow where nobody knows what is usual");
	CLAIM(slower.slow == slower.samples, "all is, where the usual is less");
	CLAIM(faster.samples > 0 && faster.slow == 0, "nothing is, where it is more");
}

struct writer {
	uint64_t word;
	int ended;
};

/* Another thread, that writes a word as a receiver does. */
static void *write_on(void *argument)
{
	struct writer *writer = argument;

	while (!__atomic_load_n(&writer->ended, __ATOMIC_ACQUIRE)) {
		__atomic_add_fetch(&writer->word, 1, __ATOMIC_RELEASE);
		usleep(100);
	}
	return NULL;
}

/* Send for 50 ms beside a thread that writes, or does not, a word that is `usual_ns` away. */
static struct vnb_pace heard(int writes, int64_t usual_ns)
{
	struct writer writer = {.word = 0, .ended = !writes};
	struct vnb_stream stream = FEW;
	struct vnb_sent sent;
	pthread_t thread;

	stream.rate = 10000, stream.seconds = 0.05, stream.count = 0;
	stream.heard = &writer.word, stream.transfer_ns = usual_ns;
	NEED(pthread_create(&thread, NULL, write_on, &writer) == 0);
	seconds_of(&stream, &sent);
	__atomic_store_n(&writer.ended, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	return sent.transfer;
}

static void tells_how_far_a_core_is(void)
{
	struct vnb_pace nearer = heard(1, 1), further = heard(1, INT32_MAX), unknown, silent;
	int tries = 0;

	do /* who is not let run does not look */
		unknown = heard(1, 0);
	while (unknown.samples <= 5 && ++tries < TRIES);
	silent = heard(0, 1);
	CLAIM(unknown.samples > 5, "what another core has written is looked at");
	CLAIM(unknown.least_ns > 0, "which takes some time");
	CLAIM(unknown.slow == 0, "nothing is far where nobody knows what is near");
	CLAIM(nearer.slow == nearer.samples, "all is, where it is further than usual");
	CLAIM(further.slow == 0, "nothing is, where it is nearer");
	CLAIM(silent.samples == 0, "what nobody has written says nothing");
}

static void reports_trouble(void)
{
	struct pair pair = connected();
	struct vnb_stream stream = FEW;
	struct vnb_sent sent = {0};

	close(pair.to);
	stream.rate = 1000, stream.count = 100;
	CLAIM(vnb_send(pair.from, &stream, &sent, pair.stop_fd) == -ECONNREFUSED,
	      "a closed port refuses");
	close(pair.from);
	CLAIM(vnb_send(pair.from, &stream, &sent, pair.stop_fd) == -EBADF,
	      "a closed descriptor is reported");
	close(pair.stop_fd);
}

void test_generator(void)
{
	payload_is_as_promised();
	sends_what_was_asked_for();
	refuses_what_cannot_be();
	ends_when_its_time_is_up();
	meets_a_low_rate();
	forgoes_what_nobody_could_send();
	stops_when_told(0, "a flood stops when told to");
	stops_when_told(100, "so does a trickle");
	takes_turns();
	speaks_ipv6();
	tells_a_shared_core();
	tells_how_far_a_core_is();
	reports_trouble();
}
