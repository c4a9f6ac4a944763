/*
 * transfer.h - how long it takes until what another core has written is here.
 *
 * Theory of operation. All that a sender hands to a receiver on another CPU goes from one core's caches
 * into the other's, and the memory of it, to be used again, goes back: several lines for a packet.
 * In a virtual machine CPUs are moved about. When they come to lie under different last-level caches
 * a line takes six times as long, for seconds, and a packet half as long again, while nothing is
 * stolen, no core is shared (pace.h), and the topology that the machine shows is what it was.
 *
 * So a word is read that the other core writes all the time. If its value is not that of the last
 * time it was written since, and its line had to come from there. Read once a millisecond, it costs
 * neither side anything.
 */
#ifndef TRANSFER_H
#define TRANSFER_H

#include <stdint.h>

#include "clock.h"
#include "pace.h"
#include "vnetbench.h"

enum {
	TRANSFER_EVERY_NS = 1000000,
	TRANSFER_SLOW_PERCENT = 350, /* of the usual, the clock's own time in it: less is noise */
};

struct transfer {
	const uint64_t *word; /* that another core writes; NULL: there is none */
	uint64_t last;
	int64_t slow_ns, next_ns; /* as in struct pace */
	struct vnb_pace *kept;
};

/* Samples of `word` will go to `kept`; usual_ns: see struct vnb_pace. */
static inline struct transfer transfer_begin(const uint64_t *word, int64_t usual_ns,
					     struct vnb_pace *kept)
{
	return (struct transfer){
		.word = word, .slow_ns = usual_ns * TRANSFER_SLOW_PERCENT / 100, .kept = kept};
}

/* Call at will with the time that it is: takes a sample when one is due. */
static inline void transfer_sample(struct transfer *transfer, int64_t now)
{
	int64_t begin_ns;
	uint64_t value;

	if (!transfer->word || now < transfer->next_ns)
		return;
	transfer->next_ns = now + TRANSFER_EVERY_NS;
	begin_ns = now_ns();
	value = __atomic_load_n(transfer->word, __ATOMIC_ACQUIRE);
	if (value != transfer->last) /* the branch waits for the value, the clock for the branch */
		pace_note(transfer->kept, transfer->slow_ns, now_ns() - begin_ns);
	transfer->last = value;
}

#endif
