/*
 * handicap.c - deliberate extra work, to find out what one more of it costs.
 *
 * Theory of operation. Each handicap adds k units of one ingredient for each packet (or super-packet:
 * for each thing that crosses from the kernel), so that the slope of a measurement over k is the
 * price of that ingredient on this machine, in this place:
 *
 *   hot copy     of the whole packet into one buffer, which is in the cache from the last time
 *   cold copy    into the next piece of an area much larger than any cache of one core
 *   null call    getppid(), which does nothing but enter the kernel and return
 *   hand-off     to another thread, and back; see handoff.c
 *   UDP trip     through a socket, the loopback and another socket; see errand.c
 *   tun trip     through a socket, a tun and the pump, and back; see tuntrip.c
 *   vain receive from a socket that has nothing; see errand.c
 *
 * A copy is memcpy() where the compiler cannot see that nobody reads the result.
 */
#include "handicap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "counters.h"
#include "errand.h"
#include "handoff.h"
#include "switches.h"
#include "tuntrip.h"

enum { COLD_AREA = 64 << 20 };

struct handicap {
	int64_t hot_copies, cold_copies, null_calls, handoffs;
	uint8_t *hot, *cold;
	size_t largest, cold_offset;
	uint64_t *counters;
	struct errand errand;
	struct tuntrip tuntrip;
	struct handoff handoff;
};

static void copy(uint8_t *to, const uint8_t *from, size_t size)
{
	memcpy(to, from, size);
	__asm__ volatile("" : : "r"(to) : "memory"); /* somebody might read it */
}

void handicap_suffer(struct handicap *handicap, const uint8_t *data, size_t size)
{
	for (int64_t i = 0; i < handicap->hot_copies; i++)
		copy(handicap->hot, data, size);
	for (int64_t i = 0; i < handicap->cold_copies; i++) {
		if (handicap->cold_offset + size > COLD_AREA)
			handicap->cold_offset = 0;
		copy(handicap->cold + handicap->cold_offset, data, size);
		handicap->cold_offset += (size + 63) & ~(size_t)63;
	}
	for (int64_t i = 0; i < handicap->null_calls; i++)
		syscall(SYS_getppid);
	for (int64_t i = 0; i < handicap->handoffs; i++)
		handoff_run(&handicap->handoff);
	errand_run(&handicap->errand, data, size);
	tuntrip_run(&handicap->tuntrip, data, size);
	handicap->counters[COPY_HOT] += (uint64_t)handicap->hot_copies;
	handicap->counters[COPY_COLD] += (uint64_t)handicap->cold_copies;
	handicap->counters[SYSCALL_GETPPID] += (uint64_t)handicap->null_calls;
}

/* The cold area is touched before anything is measured: a first touch would be a page fault. */
static int open_memory(struct handicap *handicap)
{
	if (handicap->hot_copies && !(handicap->hot = malloc(handicap->largest)))
		return -ENOMEM;
	if (!handicap->cold_copies)
		return 0;
	handicap->cold = mmap(NULL, COLD_AREA, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (handicap->cold == MAP_FAILED) {
		handicap->cold = NULL;
		return -ENOMEM;
	}
	return 0;
}

static bool is_any(const int64_t *settings)
{
	return settings[SWITCH_HOT_COPIES] || settings[SWITCH_COLD_COPIES] ||
	       settings[SWITCH_NULL_CALLS] || settings[SWITCH_HANDOFFS] ||
	       settings[SWITCH_UDP_TRIPS] || settings[SWITCH_TUN_TRIPS] ||
	       settings[SWITCH_VAIN_RECEIVES];
}

int handicap_open(struct handicap **handicap, const int64_t *settings, size_t largest,
		  uint64_t *counters)
{
	struct handicap *new;
	int result;

	*handicap = NULL;
	if (!is_any(settings))
		return 0;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->hot_copies = settings[SWITCH_HOT_COPIES];
	new->cold_copies = settings[SWITCH_COLD_COPIES];
	new->null_calls = settings[SWITCH_NULL_CALLS];
	new->handoffs = settings[SWITCH_HANDOFFS];
	new->largest = largest;
	new->counters = counters;
	new->errand = (struct errand){.there = -1, .back = -1, .empty = -1};
	new->tuntrip = (struct tuntrip){.tun = -1, .socket = -1};
	result = open_memory(new);
	if (result == 0)
		result = errand_open(&new->errand, settings, largest, counters);
	if (result == 0)
		result = tuntrip_open(&new->tuntrip, settings, largest, counters);
	if (result == 0 && new->handoffs)
		result = handoff_open(&new->handoff, settings[SWITCH_YIELDS], counters);
	if (result < 0) {
		handicap_close(new);
		return result;
	}
	*handicap = new;
	return 0;
}

void handicap_close(struct handicap *handicap)
{
	if (!handicap)
		return;
	handoff_close(&handicap->handoff);
	tuntrip_close(&handicap->tuntrip);
	errand_close(&handicap->errand);
	if (handicap->cold)
		munmap(handicap->cold, COLD_AREA);
	free(handicap->hot);
	free(handicap);
}
