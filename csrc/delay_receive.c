/*
 * delay_receive.c - keeps, in histograms, how long datagrams took; see delay.h.
 *
 * What is different from sink.c: the stream's length is known, so one bit for each datagram tells the
 * new from the repeated, exactly; and a stop waits for what is there already.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "delay.h"
#include "descriptor.h"
#include "histogram.h"

enum { RECEIVE_TIMEOUT_MS = 50, LINE = 64 };

_Static_assert(((41 - HISTOGRAM_BITS) + 2) * HISTOGRAM_PARTS == VNB_BUCKETS,
	       "the buckets reach up to 2^42 ns");

int64_t vnb_bucket_lowest(uint32_t bucket)
{
	return histogram_lowest(bucket);
}

uint32_t vnb_bucket(int64_t ns)
{
	return histogram_bucket(ns);
}

struct collector {
	const struct vnb_arrivals *expected;
	struct vnb_arrived *arrived;
	int fd;
	uint64_t key;
	uint64_t slice; /* sequence numbers of each slice */
	uint8_t *seen;  /* one bit for each sequence number */
	struct mmsghdr messages[VNB_BATCH_MAX];
	struct iovec pieces[VNB_BATCH_MAX];
};

/* Returns a collector with all its buffers, to be freed as one, or NULL. */
static struct collector *collector_new(int fd, const struct vnb_arrivals *expected,
				       struct vnb_arrived *arrived)
{
	/* One byte more than expected: a datagram that has grown shall not be cut to fit. */
	size_t stride = ((size_t)expected->size + LINE) / LINE * LINE + LINE;
	size_t buffers = expected->batch * stride, bits = expected->count / 8 + 1;
	struct collector *collector = malloc(sizeof(*collector) + buffers + bits);

	if (!collector)
		return NULL;
	memset(collector, 0, sizeof(*collector) + buffers + bits);
	collector->expected = expected;
	collector->arrived = arrived;
	collector->fd = fd;
	collector->key = pattern_key(expected->seed, expected->id);
	collector->slice = (expected->count + expected->slices - 1) / expected->slices;
	collector->seen = (uint8_t *)(collector + 1) + buffers;
	for (uint32_t i = 0; i < expected->batch; i++) {
		collector->pieces[i].iov_base = (uint8_t *)(collector + 1) + i * stride;
		collector->pieces[i].iov_len = (size_t)expected->size + 1;
		collector->messages[i].msg_hdr.msg_iov = &collector->pieces[i];
		collector->messages[i].msg_hdr.msg_iovlen = 1;
	}
	return collector;
}

/* Whether `datagram` is one of the stream, as it was sent; its number and times, if it is. */
static bool is_expected(const struct collector *collector, const uint8_t *datagram, size_t size,
			uint64_t *sequence, struct stamps *stamps)
{
	const struct vnb_arrivals *expected = collector->expected;
	struct pattern_header header, correct;

	if (size != expected->size)
		return false;
	memcpy(&header, datagram, sizeof(header));
	memcpy(stamps, datagram + sizeof(header), sizeof(*stamps));
	*sequence = be64toh(header.sequence);
	correct = pattern_header(expected->id, *sequence,
				 pattern_state(collector->key, *sequence, (uint32_t)size));
	return *sequence < expected->count && memcmp(&header, &correct, sizeof(header)) == 0;
}

static void take(struct collector *collector, uint32_t index, int64_t now)
{
	const struct vnb_arrivals *expected = collector->expected;
	struct vnb_arrived *arrived = collector->arrived;
	uint64_t sequence;
	struct stamps stamps;
	uint8_t *seen, bit;
	size_t first;

	arrived->packets++;
	if (!is_expected(collector, collector->pieces[index].iov_base,
			 collector->messages[index].msg_len, &sequence, &stamps) ||
	    stamps.due_ns < 0 || stamps.due_ns > stamps.handed_ns || stamps.handed_ns > now) {
		arrived->strange++;
		return;
	}
	seen = &collector->seen[sequence / 8];
	bit = (uint8_t)(1 << sequence % 8);
	if (*seen & bit) {
		arrived->duplicates++;
		return;
	}
	*seen |= bit;
	arrived->unique++;
	if (sequence < arrived->next)
		arrived->reordered++;
	else
		arrived->next = sequence + 1;
	first = sequence / collector->slice * VNB_BUCKETS;
	expected->intended[first + histogram_bucket(now - stamps.due_ns)]++;
	expected->actual[first + histogram_bucket(now - stamps.handed_ns)]++;
}

/* Take one batch. Returns 1, 0 if nothing came in time, or -errno if the socket is of no use. */
static int receive_batch(struct collector *collector, int flags)
{
	struct vnb_arrived *arrived = collector->arrived;
	int64_t now;
	int count = recvmmsg(collector->fd, collector->messages, collector->expected->batch, flags,
			     NULL);

	if (count < 0) {
		if (errno == EAGAIN)
			return 0;
		return descriptor_is_lost(errno) ? -errno : 1;
	}
	now = now_ns();
	if (arrived->first_ns == 0)
		arrived->first_ns = now;
	arrived->last_ns = now;
	arrived->calls++;
	for (int i = 0; i < count; i++)
		take(collector, (uint32_t)i, now);
	return 1;
}

/* Receive until all are there, or the stop and nothing waits. Returns 0 or -errno. */
static int receive_all(struct collector *collector, int stop_fd)
{
	struct stop_watch stop = {.fd = stop_fd};
	int stopping = 0, result = 1;

	while (result >= 0 && collector->arrived->unique < collector->expected->count) {
		result = receive_batch(collector, stopping ? MSG_DONTWAIT : MSG_WAITFORONE);
		if (result < 0 || (result == 0 && stopping))
			break;
		if (!stopping && (result == 0 || stop_is_due(&stop))) {
			stopping = stop_is_asked(&stop);
			if (stopping < 0)
				result = stopping;
		}
	}
	return result < 0 ? result : 0;
}

int vnb_receive_paced(int fd, const struct vnb_arrivals *expected, struct vnb_arrived *arrived,
		      int stop_fd)
{
	uint32_t before[SK_MEMINFO_VARS], after[SK_MEMINFO_VARS];
	size_t buckets = (size_t)expected->slices * VNB_BUCKETS;
	struct collector *collector;
	int result;

	if (expected->size < VNB_DELAY_HEADER || expected->size > VNB_DATAGRAM_MAX ||
	    expected->batch < 1 || expected->batch > VNB_BATCH_MAX || expected->slices < 1 ||
	    expected->count < 1)
		return -EINVAL;
	if ((result = descriptor_prepare_receiver(fd, RECEIVE_TIMEOUT_MS, expected->buffer)) < 0)
		return result;
	collector = collector_new(fd, expected, arrived);
	if (!collector)
		return -ENOMEM;
	memset(expected->intended, 0, buckets * sizeof(*expected->intended));
	memset(expected->actual, 0, buckets * sizeof(*expected->actual));
	descriptor_memory(fd, before);
	result = receive_all(collector, stop_fd);
	descriptor_memory(fd, after);
	arrived->drops += after[SK_MEMINFO_DROPS] - before[SK_MEMINFO_DROPS];
	arrived->buffer = after[SK_MEMINFO_RCVBUF];
	free(collector);
	return result;
}
