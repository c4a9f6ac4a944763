/* tuntrip.h - a handicap that needs a tun device of its own; see tuntrip.c. */
#ifndef TUNTRIP_H
#define TUNTRIP_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "patience.h"

/* At rest, and closed: {.tun = -1, .socket = -1}. */
struct tuntrip {
	int64_t trips; /* for each unit */
	int tun, socket;
	struct sockaddr_in here, there; /* the socket's address, and one behind the tun */
	uint8_t *packet;
	size_t room; /* for a whole packet, headers and all */
	struct patience patience; /* for what is not there at once */
	uint64_t *counters;
};

/*
 * Make the device and the socket, for units of at most `largest` bytes, and one trip to see that they
 * work. Returns 0 or -errno: -EPERM (no right to make devices), -ENOENT, -EACCES, -ENODEV or -ENXIO
 * (no /dev/net/tun), -EADDRINUSE (64 such devices are here already), -ETIMEDOUT (a packet did not come
 * through), or what the socket says. Close it either way. Without trips it does nothing.
 */
int tuntrip_open(struct tuntrip *tuntrip, const int64_t *settings, size_t largest, uint64_t *counters);
void tuntrip_close(struct tuntrip *tuntrip);

/* Make the trips for a unit of `size` bytes at `data`. */
void tuntrip_run(struct tuntrip *tuntrip, const uint8_t *data, size_t size);

#endif
