/*
 * generator.c - sends datagrams at a rate that nothing but the clock decides.
 *
 * Theory of operation. An open loop: datagram n is due n / rate after the beginning. The sender asks
 * the clock how many are due, sends the difference to those it has sent, and asks again. So a batch
 * is as small as the clock allows: at low rates each datagram goes by itself and at its time, and
 * only a rate that the system calls could not follow one by one makes batches grow. A queue that
 * paces (sch_fq) would need less of the processor, but not every kernel and no tun has one.
 *
 * A sender that was kept from running would owe a long burst, which measures a queue somewhere and
 * not a rate. It is cut down to `burst`, and the rest is forgone and counted: the offered rate is
 * what was sent, not what was asked for.
 *
 * Buffers, iovecs and message headers are laid out once. A datagram then costs its 16 bytes of
 * header and its share of sendmmsg; only `verify` writes the rest of it, too. What the kernel did
 * not take is built again, with the same sequence numbers: a gap is always a loss on the way.
 */
#include <errno.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "address.h"
#include "clock.h"
#include "descriptor.h"
#include "pace.h"
#include "pattern.h"
#include "transfer.h"
#include "vnetbench.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum {
	BATCH_MAX = 1024,
	SEND_TIMEOUT_MS = 50,
	RATE_MAX = 1000000000,
	SECONDS_MAX = 1000000000,
	FAR_NS = 200000,  /* a wait worth sleeping in */
	SPIN_NS = 100000, /* the end of it, in which a sleeper may wake up late */
	SLEEP_MAX_NS = 10000000,
};

struct sender {
	const struct vnb_stream *stream;
	int fd;
	uint64_t key;
	uint32_t group; /* datagrams of a full message */
	uint32_t last;  /* bytes of a message's last datagram */
	uint8_t *buffer;
	struct mmsghdr *messages;
	struct iovec *pieces;
	union endpoint *destinations;
	uint32_t turn; /* whose it is among the destinations */
	long far_ns, spin_ns; /* a wait worth sleeping in, and the end of it that is not slept */
};

static bool is_sound(const struct vnb_stream *stream)
{
	uint64_t group = stream->segments ? stream->segments : 1;
	uint32_t last = stream->last ? stream->last : stream->size;

	return stream->size >= VNB_STREAM_HEADER && last >= VNB_STREAM_HEADER &&
	       last <= stream->size && (stream->segments || !stream->last) &&
	       stream->segments <= VNB_SEGMENTS_MAX &&
	       (group - 1) * stream->size + last <= VNB_DATAGRAM_MAX &&
	       stream->batch >= 1 && stream->batch <= BATCH_MAX && stream->burst >= group &&
	       stream->rate >= 0 && stream->rate <= RATE_MAX &&
	       stream->seconds >= 0 && stream->seconds <= SECONDS_MAX &&
	       (!stream->destinations || stream->destination_count);
}

/* Bytes of a message that carries `datagrams`. */
static size_t message_size(const struct sender *sender, uint32_t datagrams)
{
	return (size_t)(datagrams - 1) * sender->stream->size + sender->last;
}

static union endpoint endpoint_of(const struct vnb_destination *destination)
{
	union endpoint endpoint = {0};

	if (destination->ipv6) {
		endpoint.v6.sin6_family = AF_INET6;
		endpoint.v6.sin6_port = destination->port;
		memcpy(&endpoint.v6.sin6_addr, destination->address, 16);
	} else {
		endpoint.v4.sin_family = AF_INET;
		endpoint.v4.sin_port = destination->port;
		memcpy(&endpoint.v4.sin_addr, destination->address, 4);
	}
	return endpoint;
}

/* Lay out the messages. Returns 0 or -ENOMEM; what there is then is freed by sender_free(). */
static int sender_allocate(struct sender *sender)
{
	const struct vnb_stream *stream = sender->stream;
	uint32_t destinations = stream->destinations ? stream->destination_count : 0;
	size_t stride = message_size(sender, sender->group);

	sender->buffer = malloc(stream->batch * stride);
	sender->messages = calloc(stream->batch, sizeof(*sender->messages));
	sender->pieces = calloc(stream->batch, sizeof(*sender->pieces));
	sender->destinations = calloc(destinations + 1, sizeof(*sender->destinations));
	if (!sender->buffer || !sender->messages || !sender->pieces || !sender->destinations)
		return -ENOMEM;
	pattern_fill(sender->buffer, stream->batch * stride, sender->key);
	for (uint32_t i = 0; i < stream->batch; i++) {
		sender->pieces[i].iov_base = sender->buffer + i * stride;
		sender->messages[i].msg_hdr.msg_iov = &sender->pieces[i];
		sender->messages[i].msg_hdr.msg_iovlen = 1;
	}
	for (uint32_t i = 0; i < destinations; i++)
		sender->destinations[i] = endpoint_of(&stream->destinations[i]);
	return 0;
}

static void sender_free(struct sender *sender)
{
	free(sender->destinations);
	free(sender->pieces);
	free(sender->messages);
	free(sender->buffer);
}

static void address(struct sender *sender, struct msghdr *message, uint32_t index)
{
	uint32_t turn = (sender->turn + index) % sender->stream->destination_count;

	message->msg_name = &sender->destinations[turn];
	message->msg_namelen = endpoint_size(&sender->destinations[turn]);
}

/* Make message `index` the datagrams from `sequence` on. */
static void build(struct sender *sender, uint32_t index, uint64_t sequence, uint32_t datagrams)
{
	const struct vnb_stream *stream = sender->stream;
	uint8_t *datagram = sender->pieces[index].iov_base;
	uint32_t size = stream->size;

	sender->pieces[index].iov_len = message_size(sender, datagrams);
	for (uint32_t i = 1; i <= datagrams; i++, sequence++, datagram += stream->size) {
		struct pattern_header header;
		uint64_t state;

		if (i == datagrams)
			size = sender->last;
		state = pattern_state(sender->key, sequence, size);
		header = pattern_header(stream->id, sequence, state);
		memcpy(datagram, &header, sizeof(header));
		if (stream->verify)
			pattern_fill(datagram + sizeof(header), size - sizeof(header), state);
	}
	if (stream->destinations)
		address(sender, &sender->messages[index].msg_hdr, index);
}

/* Send up to `datagrams` as one batch. Returns 0 or -errno. */
static int send_batch(struct sender *sender, struct vnb_sent *sent, uint64_t datagrams)
{
	uint64_t most = (uint64_t)sender->stream->batch * sender->group;
	uint64_t left = datagrams < most ? datagrams : most;
	uint32_t count = 0;
	int taken;

	while (left > 0) {
		uint32_t size = left < sender->group ? (uint32_t)left : sender->group;

		build(sender, count, sent->packets + (uint64_t)count * sender->group, size);
		count++;
		left -= size;
	}
	taken = sendmmsg(sender->fd, sender->messages, count, 0);
	sent->calls++;
	if (taken < 0 && (errno == EAGAIN || errno == ENOBUFS))
		sent->refused++;
	else if (taken < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < taken; i++) {
		size_t size = sender->pieces[i].iov_len;

		sent->packets += (size - sender->last) / sender->stream->size + 1;
		sent->bytes += size;
	}
	if (taken > 0 && sender->stream->destinations)
		sender->turn = (sender->turn + (uint32_t)taken) % sender->stream->destination_count;
	return 0;
}

/* How many datagrams of the next message must be due before it goes. */
static uint64_t quorum(const struct sender *sender, uint64_t left)
{
	return left < sender->group ? left : sender->group;
}

/* Datagrams to send now, of the `left` that are left; forgoes what is too late. */
static uint64_t take_due(const struct sender *sender, struct vnb_sent *sent, uint64_t left,
			 int64_t elapsed_ns)
{
	const struct vnb_stream *stream = sender->stream;
	uint64_t due, done = sent->packets + sent->forgone;

	if (stream->rate == 0)
		return left;
	due = (uint64_t)((double)elapsed_ns * stream->rate / 1e9) + 1;
	due = due > done ? due - done : 0;
	if (due > stream->burst) {
		sent->forgone += due - stream->burst;
		due = stream->burst;
	}
	if (due >= left)
		return left;
	return due - due % sender->group; /* a message is not sent before all of it is due */
}

/* Sleep if the next message is far off; else return at once, to ask the clock again. */
static void await_due(const struct sender *sender, const struct vnb_sent *sent, uint64_t left,
		      int64_t elapsed_ns)
{
	uint64_t next = sent->packets + sent->forgone + quorum(sender, left) - 1;
	double wait_ns = (double)next / sender->stream->rate * 1e9 - (double)elapsed_ns;
	struct timespec pause = {0};

	if (wait_ns < sender->far_ns)
		return;
	pause.tv_nsec = (wait_ns < SLEEP_MAX_NS ? (long)wait_ns : SLEEP_MAX_NS) - sender->spin_ns;
	nanosleep(&pause, NULL);
}

/* Send until the count, the time or the stop. Returns 0 or -errno. */
static int send_all(struct sender *sender, struct vnb_sent *sent, int stop_fd)
{
	const struct vnb_stream *stream = sender->stream;
	int64_t limit_ns = stream->seconds > 0 ? (int64_t)(stream->seconds * 1e9) : INT64_MAX;
	uint64_t count = stream->count ? stream->count : UINT64_MAX, due;
	struct stop_watch stop = {.fd = stop_fd};
	struct pace pace = pace_begin(stream->pace_ns, &sent->pace);
	struct transfer transfer =
		transfer_begin(stream->heard, stream->transfer_ns, &sent->transfer);
	int64_t begin_ns = now_ns(), now = begin_ns;
	int result = 0;

	sent->begin_ns = begin_ns;
	while (result == 0 && sent->packets < count && now - begin_ns < limit_ns) {
		due = take_due(sender, sent, count - sent->packets, now - begin_ns);
		if (due > 0)
			result = send_batch(sender, sent, due);
		else
			await_due(sender, sent, count - sent->packets, now - begin_ns);
		if (result == 0 && stop_is_due(&stop))
			result = stop_is_asked(&stop);
		now = now_ns();
		sent->end_ns = now;
		pace_sample(&pace, now);
		transfer_sample(&transfer, now);
	}
	return result > 0 ? 0 : result;
}

/* The size that the kernel cuts messages into; 0: it does not. Returns 0 or -errno. */
static int set_segment(int fd, uint32_t size)
{
	int value = (int)size;

	return setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &value, sizeof(value)) < 0 ? -errno : 0;
}

int vnb_send(int fd, const struct vnb_stream *stream, struct vnb_sent *sent, int stop_fd)
{
	struct sender sender = {
		.stream = stream,
		.fd = fd,
		.key = pattern_key(stream->seed, stream->id),
		.group = stream->segments ? stream->segments : 1,
		.last = stream->last ? stream->last : stream->size,
		.far_ns = stream->sleeps ? 1 : FAR_NS,
		.spin_ns = stream->sleeps ? 0 : SPIN_NS,
	};
	int result, slack;

	if (!is_sound(stream))
		return -EINVAL;
	if ((result = descriptor_set_timeout(fd, SO_SNDTIMEO, SEND_TIMEOUT_MS)) < 0 ||
	    (result = descriptor_set_blocking(fd, true)) < 0)
		return result;
	if (stream->segments && (result = set_segment(fd, stream->size)) < 0)
		return result;
	slack = prctl(PR_GET_TIMERSLACK);
	if (stream->sleeps)
		prctl(PR_SET_TIMERSLACK, 1); /* not the 50 us by which a timer may be late */
	result = sender_allocate(&sender);
	if (result == 0)
		result = send_all(&sender, sent, stop_fd);
	sender_free(&sender);
	if (stream->sleeps && slack > 0)
		prctl(PR_SET_TIMERSLACK, slack);
	if (stream->segments)
		set_segment(fd, 0);
	return result;
}
