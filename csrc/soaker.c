/*
 * soaker.c - soaks up the time that nobody else wants, to find out how much that was.
 *
 * Theory of operation. A thread of the lowest priority (SCHED_IDLE), one for each CPU, does one piece
 * of work over and over and counts. What it does not get, somebody else has used: processes, the
 * kernel's threads, interrupts and softirqs alike, whoever they are billed to. How many pieces a
 * whole second makes is found out by looking at a time when nothing else runs. The kernel's own
 * accounting is no match: sampled by a tick it misses or misplaces what is shorter, and it bills
 * softirqs to whoever was interrupted.
 *
 * A piece is a chain of multiplications, each of which needs the one before: it takes the same time
 * whatever is in the caches, and touches no memory, so that those who do work keep theirs.
 *
 * A CPU that is soaked does not go to sleep. So the price of waking one up is not in the figure, nor
 * is its waiting for something to do (which, in a virtual machine, is anything but free).
 */
#include <errno.h>
#include <sched.h>

#include "vnetbench.h"

enum { CHAIN = 128 };

static uint64_t piece(uint64_t value)
{
	for (int i = 0; i < CHAIN; i++) {
		value = value * 6364136223846793005u + 1442695040888963407u;
		__asm__ volatile("" : "+r"(value)); /* or it would be worked out beforehand */
	}
	return value;
}

int vnb_soak(uint64_t *pieces, const uint32_t *stop)
{
	struct sched_param lowest = {0};
	uint64_t value = 1;

	if (sched_setscheduler(0, SCHED_IDLE, &lowest) < 0)
		return -errno;
	while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		value = piece(value);
		__atomic_store_n(pieces, *pieces + 1, __ATOMIC_RELAXED);
	}
	return 0;
}
