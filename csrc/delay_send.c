/*
 * delay_send.c - sends each datagram when it is due, or as soon after that as can be; see delay.h.
 *
 * What is different from generator.c: the schedule is any, known beforehand, and nothing is forgone.
 */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "clock.h"
#include "delay.h"
#include "descriptor.h"
#include "histogram.h"

enum {
	SEND_TIMEOUT_MS = 50,
	RATE_MAX = 1000000000,
	LEAD_NS = 5000000, /* from the call to the beginning of the schedule */
	FAR_NS = 200000,   /* a wait worth sleeping in */
	SPIN_NS = 100000,  /* the end of it, in which a sleeper may wake up late */
	SLEEP_MAX_NS = 10000000,
};

#define SCHEDULE_MAX_NS 0x1p61
#define STEP 0x9e3779b97f4a7c15 /* splitmix64's */

/* ---- the schedule ------------------------------------------------------------------------- */

/* A number from the exponential distribution with mean 1. */
static double exponential(uint64_t bits)
{
	return -log((double)((bits >> 11) + 1) * 0x1p-53);
}

int vnb_schedule(int64_t *due_ns, uint64_t count, const struct vnb_rhythm *rhythm)
{
	double gap_ns = 1e9 / rhythm->rate, at_ns = 0, stretch = 1;

	if (rhythm->piece_ns < 0 || rhythm->rest_ns < 0)
		return -EINVAL;
	if (rhythm->piece_ns)
		stretch += (double)rhythm->rest_ns / (double)rhythm->piece_ns;
	if (!(rhythm->rate > 0 && rhythm->rate <= RATE_MAX &&
	      (double)count * gap_ns * stretch < SCHEDULE_MAX_NS))
		return -EINVAL;
	for (uint64_t n = 0; n < count; n++) {
		if (rhythm->poisson)
			at_ns += gap_ns * exponential(pattern_mix(rhythm->seed + (n + 1) * STEP));
		else
			at_ns = (double)n * gap_ns;
		if (at_ns * stretch >= SCHEDULE_MAX_NS) /* chance made it longer than the mean says */
			return -EINVAL;
		due_ns[n] = (int64_t)at_ns;
		if (rhythm->piece_ns)
			due_ns[n] += due_ns[n] / rhythm->piece_ns * rhythm->rest_ns;
	}
	return 0;
}

/* ---- sending ------------------------------------------------------------------------------ */

struct pacer {
	const struct vnb_paced *paced;
	struct vnb_sent *sent;
	int fd;
	uint64_t key;
	long far_ns, spin_ns;
	int64_t begin_ns;
	struct mmsghdr messages[VNB_BATCH_MAX];
	struct iovec pieces[VNB_BATCH_MAX];
	struct stamps stamps[VNB_BATCH_MAX]; /* of the batch under way */
};

static struct pacer *pacer_new(int fd, const struct vnb_paced *paced, struct vnb_sent *sent)
{
	size_t size = paced->batch * (size_t)paced->size;
	struct pacer *pacer = calloc(1, sizeof(*pacer) + size);

	if (!pacer)
		return NULL;
	pacer->paced = paced;
	pacer->sent = sent;
	pacer->fd = fd;
	pacer->key = pattern_key(paced->seed, paced->id);
	pacer->far_ns = paced->sleeps ? 1 : FAR_NS;
	pacer->spin_ns = paced->sleeps ? 0 : SPIN_NS;
	pattern_fill((uint8_t *)(pacer + 1), size, pacer->key);
	for (uint32_t i = 0; i < paced->batch; i++) {
		pacer->pieces[i].iov_base = (uint8_t *)(pacer + 1) + i * (size_t)paced->size;
		pacer->pieces[i].iov_len = paced->size;
		pacer->messages[i].msg_hdr.msg_iov = &pacer->pieces[i];
		pacer->messages[i].msg_hdr.msg_iovlen = 1;
	}
	return pacer;
}

/* How many are due now, up to a batch. */
static uint32_t count_due(const struct pacer *pacer, int64_t elapsed_ns)
{
	const struct vnb_paced *paced = pacer->paced;
	uint64_t left = paced->count - pacer->sent->packets;
	uint32_t most = left < paced->batch ? (uint32_t)left : paced->batch, count = 0;

	while (count < most && paced->due_ns[pacer->sent->packets + count] <= elapsed_ns)
		count++;
	return count;
}

static void build(struct pacer *pacer, uint32_t index, uint64_t sequence)
{
	const struct vnb_paced *paced = pacer->paced;
	uint64_t state = pattern_state(pacer->key, sequence, paced->size);
	struct pattern_header header = pattern_header(paced->id, sequence, state);

	memcpy(pacer->pieces[index].iov_base, &header, sizeof(header));
	pacer->stamps[index].due_ns = pacer->begin_ns + paced->due_ns[sequence];
}

static void stamp(struct pacer *pacer, uint32_t count)
{
	int64_t now = now_ns();

	for (uint32_t i = 0; i < count; i++) {
		uint8_t *datagram = pacer->pieces[i].iov_base;

		pacer->stamps[i].handed_ns = now;
		memcpy(datagram + sizeof(struct pattern_header), &pacer->stamps[i],
		       sizeof(pacer->stamps[i]));
	}
}

/* Send `count` as one batch. Returns 0 or -errno. */
static int send_batch(struct pacer *pacer, uint32_t count)
{
	struct vnb_sent *sent = pacer->sent;
	int taken;

	for (uint32_t i = 0; i < count; i++)
		build(pacer, i, sent->packets + i);
	stamp(pacer, count);
	taken = sendmmsg(pacer->fd, pacer->messages, count, 0);
	sent->calls++;
	if (taken < 0 && (errno == EAGAIN || errno == ENOBUFS))
		sent->refused++; /* and tried again, with the times at which they were due */
	else if (taken < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < taken; i++) {
		struct stamps *stamps = &pacer->stamps[i];

		pacer->paced->late[histogram_bucket(stamps->handed_ns - stamps->due_ns)]++;
		sent->bytes += pacer->paced->size;
		sent->packets++;
	}
	return 0;
}

/* Sleep if the next one is far off; else return at once, to ask the clock again. */
static void await_due(const struct pacer *pacer, int64_t wait_ns)
{
	struct timespec pause = {0};

	if (wait_ns < pacer->far_ns)
		return;
	pause.tv_nsec = (wait_ns < SLEEP_MAX_NS ? (long)wait_ns : SLEEP_MAX_NS) - pacer->spin_ns;
	nanosleep(&pause, NULL);
}

/* Send until the end of the schedule, of the patience, or the stop. Returns 0 or -errno. */
static int send_all(struct pacer *pacer, int stop_fd)
{
	const struct vnb_paced *paced = pacer->paced;
	struct stop_watch stop = {.fd = stop_fd};
	struct vnb_sent *sent = pacer->sent;
	int result = 0;

	pacer->begin_ns = sent->begin_ns = now_ns() + LEAD_NS;
	while (result == 0 && sent->packets < paced->count) {
		int64_t elapsed_ns = now_ns() - pacer->begin_ns;
		int64_t wait_ns = paced->due_ns[sent->packets] - elapsed_ns;

		if (paced->patience_ns && -wait_ns > paced->patience_ns)
			break;
		if (wait_ns > 0)
			await_due(pacer, wait_ns);
		else
			result = send_batch(pacer, count_due(pacer, elapsed_ns));
		if (result == 0 && stop_is_due(&stop))
			result = stop_is_asked(&stop);
	}
	sent->end_ns = now_ns();
	return result > 0 ? 0 : result;
}

int vnb_send_paced(int fd, const struct vnb_paced *paced, struct vnb_sent *sent, int stop_fd)
{
	struct pacer *pacer;
	int result, slack;

	if (paced->size < VNB_DELAY_HEADER || paced->size > VNB_DATAGRAM_MAX || paced->batch < 1 ||
	    paced->batch > VNB_BATCH_MAX || paced->patience_ns < 0)
		return -EINVAL;
	if ((result = descriptor_set_timeout(fd, SO_SNDTIMEO, SEND_TIMEOUT_MS)) < 0 ||
	    (result = descriptor_set_blocking(fd, true)) < 0)
		return result;
	pacer = pacer_new(fd, paced, sent);
	if (!pacer)
		return -ENOMEM;
	memset(paced->late, 0, VNB_BUCKETS * sizeof(*paced->late));
	slack = prctl(PR_GET_TIMERSLACK);
	if (paced->sleeps)
		prctl(PR_SET_TIMERSLACK, 1); /* not the 50 us by which a timer may be late */
	result = send_all(pacer, stop_fd);
	if (paced->sleeps && slack > 0)
		prctl(PR_SET_TIMERSLACK, slack);
	free(pacer);
	return result;
}
