/*
 * sink.c - receives a stream and holds every datagram against what was sent.
 *
 * Theory of operation. One recvmmsg() takes what is there, up to a batch, and waits only if there is
 * nothing; under traffic nothing else is called but the vDSO's clocks. Each datagram's header says
 * which one it is and proves that it says so truly (pattern.h). A window of the last 2^20 sequence
 * numbers, one bit each, tells the new from the repeated in bounded memory however long the
 * stream is.
 *
 * Waking a sleeping sink is work of whoever delivers a datagram, in the middle of the path, and in a
 * virtual machine it costs more than the datagram. A sink that naps is not woken: it looks again by
 * its own clock, and the socket buffer keeps what came meanwhile.
 *
 * Datagrams lost at this very socket are not the path's loss: the kernel counts them, and the count
 * is read once at the end (SO_MEMINFO) where SO_RXQ_OVFL would put it beside every datagram.
 *
 * With UDP_GRO a reception may be many datagrams, all as long as the size beside it but for the
 * last; they are cut apart here and judged one by one.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "clock.h"
#include "descriptor.h"
#include "pace.h"
#include "pattern.h"
#include "vnetbench.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
	BATCH = 64,
	RECEIVE_TIMEOUT_MS = 5,
	COALESCED_MAX = 65535,
	WINDOW = 1 << 20, /* sequence numbers; a power of two */
	NAP_MAX_US = 999999,
	REST_MAX = 1024, /* batches: more than a buffer holds, so that it ends in any case */
	LINE = 64,        /* between buffers, so that their beginnings do not share a cache set */
};

struct control {
	_Alignas(struct cmsghdr) uint8_t bytes[CMSG_SPACE(sizeof(int))];
};

struct receiver {
	const struct vnb_sink *sink;
	struct vnb_received *received;
	int fd;
	uint64_t key;
	unsigned int batch;
	int64_t last_ns; /* 0: nothing yet */
	struct pace pace;
	struct mmsghdr messages[BATCH];
	struct iovec pieces[BATCH];
	struct control control[BATCH];
	uint64_t seen[WINDOW / 64];
};

/* ---- which one it is ---------------------------------------------------------------------- */

static bool was_seen(const struct receiver *receiver, uint64_t sequence)
{
	return receiver->seen[sequence % WINDOW / 64] >> sequence % 64 & 1;
}

static void mark_seen(struct receiver *receiver, uint64_t sequence)
{
	receiver->seen[sequence % WINDOW / 64] |= (uint64_t)1 << sequence % 64;
}

/* Move the window up to `sequence`: what it skips is missing so far. */
static void advance(struct receiver *receiver, uint64_t sequence)
{
	uint64_t next = receiver->received->next;

	if (sequence - next >= WINDOW) {
		memset(receiver->seen, 0, sizeof(receiver->seen));
	} else {
		for (; next <= sequence; next++)
			receiver->seen[next % WINDOW / 64] &= ~((uint64_t)1 << next % 64);
	}
	receiver->received->next = sequence + 1;
}

static void note(struct receiver *receiver, uint64_t sequence)
{
	struct vnb_received *received = receiver->received;

	if (sequence >= received->next) {
		advance(receiver, sequence);
		received->unique++;
	} else if (received->next - sequence > WINDOW) {
		received->late++;
		return;
	} else if (was_seen(receiver, sequence)) {
		received->duplicates++;
		return;
	} else {
		received->unique++;
		received->reordered++;
	}
	mark_seen(receiver, sequence);
}

/* ---- whether it is sound ------------------------------------------------------------------ */

static void note_corrupt(struct vnb_received *received, uint64_t sequence, size_t size,
			 size_t offset)
{
	if (received->corrupt++ > 0)
		return;
	received->corrupt_sequence = sequence;
	received->corrupt_size = (uint32_t)size;
	received->corrupt_offset = (uint32_t)offset;
}

static void judge(struct receiver *receiver, const uint8_t *datagram, size_t size)
{
	const struct vnb_sink *sink = receiver->sink;
	struct pattern_header header = {0}, expected;
	uint64_t sequence, state;
	size_t payload, wrong;
	uint32_t id;

	memcpy(&header, datagram, size < sizeof(header) ? size : sizeof(header));
	id = be32toh(header.id);
	sequence = be64toh(header.sequence);
	state = pattern_state(id == sink->id ? receiver->key : pattern_key(sink->seed, id),
			      sequence, (uint32_t)size);
	expected = pattern_header(id, sequence, state);
	if (size < sizeof(header) || header.check != expected.check) {
		note_corrupt(receiver->received, sequence, size, 0);
		return;
	}
	if (id != sink->id) {
		receiver->received->strange++;
		return;
	}
	payload = size - sizeof(header);
	wrong = sink->verify ? pattern_check(datagram + sizeof(header), payload, state) : payload;
	if (wrong < payload)
		note_corrupt(receiver->received, sequence, size, sizeof(header) + wrong);
	else
		note(receiver, sequence);
}

/* ---- how it comes ------------------------------------------------------------------------- */

/* The size that a reception is to be cut into: what UDP_GRO says beside it, or all of it. */
static size_t segment_size(struct msghdr *message, size_t size)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(message);
	int segment;

	if (!control || control->cmsg_level != IPPROTO_UDP || control->cmsg_type != UDP_GRO)
		return size;
	memcpy(&segment, CMSG_DATA(control), sizeof(segment));
	return segment > 0 ? (size_t)segment : size;
}

static void take(struct receiver *receiver, unsigned int index)
{
	struct mmsghdr *message = &receiver->messages[index];
	const uint8_t *datagram = receiver->pieces[index].iov_base;
	struct vnb_received *received = receiver->received;
	size_t left = message->msg_len, segment = left;

	if (receiver->sink->gro) {
		segment = segment_size(&message->msg_hdr, left);
		message->msg_hdr.msg_controllen = sizeof(receiver->control[index]);
	}
	received->bytes += left;
	received->coalesced += left > segment;
	do { /* an empty datagram is one, too */
		size_t size = left < segment ? left : segment;

		received->packets++;
		judge(receiver, datagram, size);
		datagram += size;
		left -= size;
	} while (left > 0);
}

/* Take one batch. Returns 1, 0 if nothing came in time, or -errno if the socket is of no use. */
static int receive_batch(struct receiver *receiver)
{
	struct vnb_received *received = receiver->received;
	int flags = receiver->sink->nap_us ? MSG_DONTWAIT : MSG_WAITFORONE;
	int count = recvmmsg(receiver->fd, receiver->messages, receiver->batch, flags, NULL);

	if (count < 0) {
		if (errno == EAGAIN)
			return 0;
		return descriptor_is_lost(errno) ? -errno : 1;
	}
	receiver->last_ns = now_ns();
	if (received->first_ns == 0)
		received->first_ns = receiver->last_ns;
	received->last_ns = receiver->last_ns;
	received->calls++;
	for (int i = 0; i < count; i++)
		take(receiver, (unsigned int)i);
	return 1;
}

/* Whether the stream has been silent for too long. */
static bool is_idle(const struct receiver *receiver)
{
	return receiver->sink->idle_ms && receiver->last_ns &&
	       now_ns() - receiver->last_ns >= receiver->sink->idle_ms * INT64_C(1000000);
}

/* Sleep a while (0), or until it is time to end (1), or -errno. */
static int nap(struct receiver *receiver, struct stop_watch *stop)
{
	struct timespec length = {.tv_nsec = receiver->sink->nap_us * 1000L};
	struct pollfd fd = {.fd = stop->fd, .events = POLLIN};
	int ready = ppoll(&fd, 1, &length, NULL);

	if (ready < 0)
		return errno == EINTR ? 0 : -errno;
	stop_was_seen(stop);
	receiver->received->naps++;
	pace_sample(&receiver->pace, now_ns());
	return ready ? stop_from_poll(fd.revents) : is_idle(receiver);
}

/* Take what is there already, behind a stop: it belongs to the stream. Returns 0 or -errno. */
static int take_rest(struct receiver *receiver)
{
	int result = 1;

	for (int i = 0; i < REST_MAX && result > 0; i++)
		result = receive_batch(receiver);
	return result < 0 ? result : 0;
}

/* Sleep until there is a datagram (0) or it is time to end (1), or -errno. */
static int wait_idle(const struct receiver *receiver, struct stop_watch *stop)
{
	struct pollfd fds[] = {
		{.fd = receiver->fd, .events = POLLIN},
		{.fd = stop->fd, .events = POLLIN},
	};
	int timeout_ms = -1, ready;

	if (receiver->sink->idle_ms && receiver->last_ns) {
		int64_t idle_ms = (now_ns() - receiver->last_ns) / 1000000;

		timeout_ms = (int)(receiver->sink->idle_ms - idle_ms);
		if (timeout_ms < 0)
			timeout_ms = 0;
	}
	ready = poll(fds, 2, timeout_ms);
	if (ready < 0)
		return errno == EINTR ? 0 : -errno;
	if (ready == 0)
		return 1;
	if (fds[0].revents)
		return 0; /* what is there already belongs to the stream, even behind a stop */
	stop_was_seen(stop);
	return stop_from_poll(fds[1].revents);
}

/* ---- the socket and the memory ------------------------------------------------------------ */

static int prepare_socket(int fd, const struct vnb_sink *sink)
{
	int gro = sink->gro != 0, result;

	if ((result = descriptor_prepare_receiver(fd, RECEIVE_TIMEOUT_MS, sink->buffer)) < 0)
		return result;
	if (setsockopt(fd, IPPROTO_UDP, UDP_GRO, &gro, sizeof(gro)) < 0 && gro)
		return -errno;
	return 0;
}

/* Returns a receiver with all its buffers, to be freed as one, or NULL. */
static struct receiver *receiver_new(int fd, const struct vnb_sink *sink,
				     struct vnb_received *received)
{
	/* One byte more than expected: a datagram that has grown shall not be cut to fit. */
	size_t room = sink->gro ? COALESCED_MAX : sink->size + 1;
	size_t stride = (room + LINE - 1) / LINE * LINE + LINE;
	struct receiver *receiver = calloc(1, sizeof(*receiver) + BATCH * stride);

	if (!receiver)
		return NULL;
	receiver->sink = sink;
	receiver->received = received;
	receiver->fd = fd;
	receiver->key = pattern_key(sink->seed, sink->id);
	receiver->pace = pace_begin(sink->pace_ns, &received->pace);
	receiver->batch = sink->batch ? sink->batch : BATCH;
	for (unsigned int i = 0; i < BATCH; i++) {
		struct msghdr *message = &receiver->messages[i].msg_hdr;

		receiver->pieces[i].iov_base = (uint8_t *)(receiver + 1) + i * stride;
		receiver->pieces[i].iov_len = room;
		message->msg_iov = &receiver->pieces[i];
		message->msg_iovlen = 1;
		if (!sink->gro)
			continue;
		message->msg_control = &receiver->control[i];
		message->msg_controllen = sizeof(receiver->control[i]);
	}
	return receiver;
}

int vnb_sink(int fd, const struct vnb_sink *sink, struct vnb_received *received, int stop_fd)
{
	uint32_t before[SK_MEMINFO_VARS], after[SK_MEMINFO_VARS];
	struct stop_watch stop = {.fd = stop_fd};
	struct receiver *receiver;
	int result, slack = prctl(PR_GET_TIMERSLACK);

	if (sink->size < VNB_STREAM_HEADER || sink->size > VNB_DATAGRAM_MAX ||
	    sink->batch > BATCH || sink->nap_us > NAP_MAX_US)
		return -EINVAL;
	if ((result = prepare_socket(fd, sink)) < 0)
		return result;
	receiver = receiver_new(fd, sink, received);
	if (!receiver)
		return -ENOMEM;
	if (sink->nap_us)
		prctl(PR_SET_TIMERSLACK, 1); /* not the 50 us by which a nap may be longer */
	descriptor_memory(fd, before);
	do {
		result = receive_batch(receiver);
		if (result == 0)
			result = sink->nap_us ? nap(receiver, &stop) : wait_idle(receiver, &stop);
		else if (result > 0)
			result = stop_is_due(&stop) ? stop_is_asked(&stop) : 0;
	} while (result == 0);
	if (result > 0 && sink->nap_us)
		result = take_rest(receiver);
	descriptor_memory(fd, after);
	received->drops += after[SK_MEMINFO_DROPS] - before[SK_MEMINFO_DROPS];
	received->buffer = after[SK_MEMINFO_RCVBUF];
	if (sink->nap_us && slack > 0)
		prctl(PR_SET_TIMERSLACK, slack);
	free(receiver);
	return result > 0 ? 0 : result;
}
