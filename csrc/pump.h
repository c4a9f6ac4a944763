/* pump.h - a pump that passed its checks, and the parts that run it; see pump.c and loop.c. */
#ifndef PUMP_H
#define PUMP_H

#include "descriptor.h"
#include "forward.h"
#include "handicap.h"
#include "inbox.h"
#include "ports.h"

struct pump {
	struct port port[2];
	forward_function *forward;
	struct forwarder forwarder;
	struct vnb_router *router; /* NULL where no port is a UDP socket */
	int router_slot;
	struct handicap *handicap; /* NULL: none */
	struct stop_watch stop;
	/*
	 * Which ports may have something: bits 1 and 2 (none: 0), or -ECANCELED (stop), or -errno; `ask`
	 * is how to find out, asleep or not. And what to do about them: 0, or -ECANCELED, or -errno.
	 */
	int (*wait)(struct pump *pump);
	int (*ask)(struct pump *pump, bool sleep);
	int (*serve)(struct pump *pump, unsigned int ready);
	int64_t linger_ns;
	struct uring *uring; /* of uring.c, or NULL */
	int ended; /* 0, or why nothing is sent any more: -ECANCELED (stop) or -errno */
	uint64_t *counters;
	size_t buffer_size; /* of the largest packet carried */
	uint8_t *spare;     /* a buffer for one packet, where an ICMP error may be made of it */
	struct inbox inbox;
};

/* loop.c: move packets until stopped (0), or -errno. */
int pump_loop(struct pump *pump);

/* Ways to wait and to serve; see struct pump. */
int pump_ask_poll(struct pump *pump, bool sleep);
int pump_wait_block(struct pump *pump);
int pump_wait_spin(struct pump *pump);
int pump_wait_linger(struct pump *pump); /* ask for linger_ns, then block */
int pump_wait_not(struct pump *pump);    /* both may have something; try */
int pump_serve_turns(struct pump *pump, unsigned int ready);
int pump_serve_ready(struct pump *pump, unsigned int ready);

/* Send what the port has queued. */
void pump_flush(struct pump *pump, struct port *port);

/*
 * Send messages, however often that must be tried. What cannot be sent is dropped and counted; if
 * nothing can be sent any more, pump->ended says so, and everything is dropped from then on.
 */
void pump_deliver(struct pump *pump, struct port *port, const struct message *messages,
		  unsigned int count);

#endif
