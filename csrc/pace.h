/*
 * pace.h - whether the core under us is ours alone.
 *
 * Theory of operation. Two hardware threads share a core's execution units. In a virtual machine the
 * other one may belong to a stranger: nothing is stolen, so no clock shows it, yet everything takes
 * a third longer as long as it runs. A chain of dependent operations does not notice, for it leaves
 * most units idle anyway. So the witness is the opposite: several chains that do not depend on each
 * other, which fill the core by themselves and get slower as soon as they have to share it.
 *
 * It runs for half a microsecond once in a millisecond, a twentieth of a per cent of the time. What
 * it takes on a core of its own is told by the least it ever took; how often it took much more than
 * that is what is kept.
 */
#ifndef PACE_H
#define PACE_H

#include <stdint.h>

#include "clock.h"
#include "vnetbench.h"

enum {
	PACE_ROUNDS = 256,
	PACE_EVERY_NS = 1000000,
	PACE_SLOW_PERCENT = 120, /* of the usual: less is the clock's and the caches' doing */
};

/* Keep every execution unit for integers busy; returns how long it took, in nanoseconds. */
static inline int64_t pace_witness(void)
{
	uint64_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6;
	int64_t begin_ns = now_ns();

	for (uint64_t i = 0; i < PACE_ROUNDS; i++) {
		a = (a ^ i) + 3;
		b = (b ^ i) + 5;
		c = (c ^ i) + 7;
		d = (d ^ i) + 11;
		e = (e ^ i) + 13;
		f = (f ^ i) + 17;
		/* Here the compiler may neither join rounds nor leave any out. */
		__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
	}
	return now_ns() - begin_ns;
}

struct pace {
	int64_t slow_ns; /* what takes longer is slow; 0: it is not known what would be */
	int64_t next_ns; /* when the next sample is due */
	struct vnb_pace *kept;
};

/* Samples will go to `kept`; usual_ns: see struct vnb_pace. */
static inline struct pace pace_begin(int64_t usual_ns, struct vnb_pace *kept)
{
	return (struct pace){.slow_ns = usual_ns * PACE_SLOW_PERCENT / 100, .kept = kept};
}

/* Count one more that took so long; slow_ns: what takes longer is slow, 0: that is not known. */
static inline void pace_note(struct vnb_pace *kept, int64_t slow_ns, int64_t took_ns)
{
	kept->samples++;
	kept->slow += slow_ns && took_ns > slow_ns;
	if (kept->least_ns == 0 || took_ns < kept->least_ns)
		kept->least_ns = took_ns;
}

/* Call at will with the time that it is: takes a sample when one is due. */
static inline void pace_sample(struct pace *pace, int64_t now)
{
	if (now < pace->next_ns)
		return;
	pace->next_ns = now + PACE_EVERY_NS;
	pace_witness(); /* whatever ran before has its own code and data in the caches */
	pace_note(pace->kept, pace->slow_ns, pace_witness());
}

#endif
