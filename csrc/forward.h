/* forward.h - what becomes of one packet; see forward.c. */
#ifndef FORWARD_H
#define FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "icmp.h"
#include "packet.h"
#include "routes.h"

/* The buffer a packet is handed over in is at least this long, so that an ICMP error fits. */
enum { FORWARD_ROOM = ICMP_ERROR_MAX };

/* Values of the switch `trust`, weakest first. */
enum trust {
	TRUST_ANYONE,  /* as flannel: whoever sends a datagram is believed */
	TRUST_PEERS,   /* the sender must be a next hop of some route */
	TRUST_SOURCES, /* and the inner source address must belong to a prefix of that very peer */
};

struct forwarder {
	const struct routes *routes; /* of this batch; NULL where no port is a UDP socket */
	enum trust trust;
	uint8_t icmp_source4[4];  /* all zero: the address that was not reached */
	uint8_t icmp_source6[16]; /* likewise */
	uint64_t *counters;
};

/* Where a packet goes. */
struct outcome {
	unsigned int port;
	const union endpoint *to; /* if that port is a UDP socket */
};

/*
 * Decide on `packet`, which port `from` received (from `sender`, if that is a UDP socket), and
 * change it as a router would: data, size and offload are those of what is to be sent.
 * True: *out says where it (or the ICMP error it has become) goes. False: dropped, and counted; a
 * super-packet counts as the `packets` it stands for.
 */
typedef bool forward_function(struct forwarder *forwarder, unsigned int from, struct packet *packet,
			      unsigned int packets, const union endpoint *sender,
			      struct outcome *out);

forward_function forward_tun_udp; /* port 0 a tun, port 1 a UDP socket */
forward_function forward_tun_tun;
forward_function forward_tap_tap;

#endif
