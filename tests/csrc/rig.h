/*
 * rig.h - a pump on real descriptors that need no privileges: a pair of SOCK_SEQPACKET sockets
 * stands in for a tun or tap (one read or write is one packet, as there), and UDP runs over the
 * loopback.
 */
#ifndef RIG_H
#define RIG_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "counters.h"
#include "switches.h"
#include "test.h"
#include "vnetbench.h"

#define HERE ADDRESS(10, 244, 1, 2)
#define THERE ADDRESS(10, 244, 2, 2)
#define NOWHERE ADDRESS(10, 99, 0, 1)
#define ROUTER ADDRESS(10, 244, 1, 1)

enum { SIZE = 100, BUFFER = 1500, LOST_AFTER_MS = 5000 };

/* A pump and the other ends of its ports. */
struct rig {
	struct vnb_pump pump;
	int64_t settings[SWITCH_COUNT]; /* initial, but that anyone is trusted; change before starting */
	int end[2]; /* what port i carries appears here, and the other way round */
	uint64_t counters[COUNTER_COUNT];
	pthread_t thread;
	int result;
};

/*
 * Make *rig one with two devices, or with a tun and a UDP port whose peer owns 10.244.2.0/24. It
 * must stay where it is: the pump points into it.
 */
void rig_build(struct rig *rig, enum vnb_port_kind first, enum vnb_port_kind second);
void rig_demolish(struct rig *rig);

/* A UDP socket on a free port of the loopback. */
int rig_udp_socket(struct sockaddr_in *address);

/* A route to prefix/length by way of `to`. */
struct vnb_route rig_route(uint32_t prefix, uint8_t length, const struct sockaddr_in *to);

/* The last value of the switch `io` that works here: io_uring may be left out, or forbidden. */
int64_t rig_last_io(void);

/* Run the pump in a thread; wait for it to end by itself; tell it to end, and wait. */
void rig_start(struct rig *rig);
void rig_finish(struct rig *rig);
void rig_stop(struct rig *rig);

/*
 * A packet of `size` bytes (at least 28) whose IP identification is `number`, with correct checksum of
 * the header; sent into port `port`; expected to be the next out of it, with that TTL.
 */
void rig_number(uint8_t *packet, size_t size, uint16_t number, uint8_t ttl);
void rig_put_number(struct rig *rig, unsigned int port, size_t size, uint16_t number);
bool rig_get_number(struct rig *rig, unsigned int port, size_t size, uint16_t number, uint8_t ttl);

/* Send a packet of SIZE bytes into port `port`. */
void rig_put(struct rig *rig, unsigned int port, uint32_t from, uint32_t to, uint8_t ttl);

/* Receive what the pump sent out of port `port`; -1 if nothing came in LOST_AFTER_MS. */
ssize_t rig_get(struct rig *rig, unsigned int port, uint8_t *packet, size_t size);

/* Have the sockets of IPv4, those of handicaps, take nothing (or all again). Returns how many. */
unsigned int rig_deafen(bool deaf);

/* Whether the sum holds that counters.h promises. */
bool rig_is_balanced(const uint64_t *counters);

#endif
