/*
 * patience.h - how long a pump waits for what a handicap's own trip should have brought back.
 *
 * Theory of operation. A trip goes into the kernel and comes out again on this CPU before its last
 * call returns, so what it brought is there when it is looked for and nobody waits. Where it is not
 * (the softirq that should have brought it was left to ksoftirqd, packet steering gave it to another
 * CPU), the pump waits for it, but not for long: it stands still meanwhile. And after a trip that was
 * lost it does not wait at all until one is made again: where a packet filter eats all of them, trips
 * are counted as lost, and the pump does not stand still once for each. The first trip, which tells
 * whether there is a way at all, may take longer: nothing waits for the pump yet.
 */
#ifndef PATIENCE_H
#define PATIENCE_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "counters.h"

enum {
	PATIENCE_FIRST_MS = 1000,
	PATIENCE_MS = 10,
};

struct patience {
	int ms; /* how long to wait for what is not there at once */
};

/* After a trip. */
static inline void patience_learn(struct patience *patience, bool lost)
{
	patience->ms = lost ? 0 : PATIENCE_MS;
}

/*
 * Wait for `fd`, from which nothing could be taken just now (errno says why). Returns whether to try
 * again: not where there is no patience left, or where it is no matter of time.
 */
static inline bool patience_wait(const struct patience *patience, int fd, uint64_t *counters)
{
	struct pollfd watched = {.fd = fd, .events = POLLIN};

	if (errno != EAGAIN || !patience->ms)
		return false;
	counted(counters, SYSCALL_POLL, poll(&watched, 1, patience->ms));
	return true;
}

#endif
