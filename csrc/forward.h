/* forward.h - what becomes of one packet; see forward.c. */
#ifndef FORWARD_H
#define FORWARD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "icmp.h"
#include "routes.h"

/* The buffer a packet is handed over in is at least this long, so that an ICMP error fits. */
enum { FORWARD_ROOM = ICMP_ERROR_MAX };

struct forwarder {
	const struct vnb_routes *routes; /* NULL where no port is a UDP socket */
	uint32_t icmp_source;            /* network order; 0: who was not reached */
	uint64_t *counters;
	struct routes_range last_hit; /* packets to one destination come in bursts */
};

/* Where a packet goes: `size` bytes of the buffer it came in. */
struct outcome {
	unsigned int port;
	size_t size;
	struct sockaddr_in to; /* if that port is a UDP socket */
};

/*
 * Decide on the packet of `size` bytes that port `from` received, and change it as a router would.
 * True: *out says where it (or the ICMP error it has become) goes. False: dropped, and counted.
 */
typedef bool forward_function(struct forwarder *forwarder, unsigned int from, uint8_t *packet,
			      size_t size, struct outcome *out);

/* Start with what a vnb_pump says; `routes` may be NULL. */
void forward_init(struct forwarder *forwarder, const struct vnb_pump *pump, uint64_t *counters);

forward_function forward_tun_udp; /* port 0 a tun, port 1 a UDP socket */
forward_function forward_tun_tun;
forward_function forward_tap_tap;

#endif
