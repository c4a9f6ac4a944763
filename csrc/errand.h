/* errand.h - handicaps that need sockets of their own; see errand.c. */
#ifndef ERRAND_H
#define ERRAND_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "patience.h"

/* At rest, and closed: {.there = -1, .back = -1, .empty = -1}. */
struct errand {
	int64_t udp_trips, vain_receives;
	struct sockaddr_in destination; /* of a trip */
	int there, back; /* bound to the loopback */
	int empty;       /* nobody sends to it */
	uint8_t *scratch;
	size_t room;
	struct patience patience; /* for a datagram that is not there at once */
	uint64_t *counters;
};

/*
 * Open what `settings` ask for, for packets of at most `largest` bytes, and send one datagram to see
 * that it comes back. Returns 0 or -errno; -ETIMEDOUT if it did not. Close it either way.
 */
int errand_open(struct errand *errand, const int64_t *settings, size_t largest, uint64_t *counters);
void errand_close(struct errand *errand);

/* Run the errands for a unit of `size` bytes at `data`. */
void errand_run(struct errand *errand, const uint8_t *data, size_t size);

#endif
