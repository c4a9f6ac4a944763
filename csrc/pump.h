/* pump.h - a pump that passed its checks, and the engines that can run it; see pump.c. */
#ifndef PUMP_H
#define PUMP_H

#include "descriptor.h"
#include "forward.h"
#include "ports.h"

struct pump {
	struct port port[2];
	forward_function *forward;
	struct forwarder forwarder;
	struct stop_watch stop;
	uint64_t *counters;
	size_t buffer_size; /* of the largest packet carried */
};

/* An engine returns 0 when it was stopped, or -errno. */
typedef int engine_function(struct pump *pump);

engine_function engine_rw; /* engine_rw.c */

#endif
