/* handoff.h - a packet that waits for another thread and back; see handoff.c. */
#ifndef HANDOFF_H
#define HANDOFF_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct handoff {
	int asked, answered, idle; /* eventfds; nobody writes to the last */
	int64_t yields;
	_Atomic uint64_t turns; /* of the other thread, not in the counters yet */
	_Atomic bool taking_turns;
	uint64_t *counters;
	pthread_t other;
	bool has_other;
};

/* Start the other thread, for hand-offs with `yields` turns each. Returns 0, or -errno; handoff_close() is due in either case. */
int handoff_open(struct handoff *handoff, int64_t yields, uint64_t *counters);
void handoff_close(struct handoff *handoff); /* of one that was never opened, too: all 0 */

/* Wake the other thread and wait for its answer. */
void handoff_run(struct handoff *handoff);

#endif
