/*
 * ports.h - the one interface to a tun, a tap and a UDP socket; see ports.c for what is common to
 * them, device.c, udp.c and uring.c for the ways to receive and send.
 */
#ifndef PORTS_H
#define PORTS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "coalesce.h"
#include "counters.h"
#include "inbox.h"
#include "outbox.h"
#include "vnetbench.h"

struct pump;

struct port {
	const struct port_kind *kind;
	int fd;
	bool offload;          /* device: virtio headers; socket: UDP_SEGMENT and UDP_GRO */
	unsigned int batch;    /* packets a system call */
	uint64_t *counters;    /* the whole table */
	uint64_t *traffic;     /* this port's group in it */
	struct outbox outbox;
	struct coalescer *coalescer;          /* joins what is written to a device, or NULL */
	unsigned int joins;                   /* what the device takes, bits of coalesce.h */
	struct segment_limits limits;         /* what the socket takes */
	struct uring_port *uring;             /* of uring.c, or NULL */
};

/* What send() returns where the kernel refuses offload, not the packets: send them one by one. */
enum { PORT_REFUSED = -1000 };

/*
 * Each function counts the system calls it makes and their outcomes.
 *   prepare  0 or -errno: set the descriptor to the mode it is used in
 *   receive  the units that came (0: nothing there), or -errno: the port is of no use any more
 *   add      queue a packet to be sent; it stays where it is until flush
 *   send     of `count` messages, how many are done with: sent, or dropped and counted; or
 *            -EAGAIN (not taken yet), PORT_REFUSED (the first), -errno (of no use any more)
 *   send_singly  deliver what a refused message stands for, packet by packet
 *   refuses  whether `error` refuses the offload of the message, not the packets; learns from it
 */
struct port_kind {
	int (*prepare)(struct port *port, const int64_t *settings);
	int (*receive)(struct port *port, struct inbox *inbox);
	void (*add)(struct pump *pump, struct port *port, struct packet *packet,
		    unsigned int packets, const union endpoint *to);
	int (*send)(struct port *port, const struct message *messages, unsigned int count);
	void (*send_singly)(struct pump *pump, struct port *port, const struct message *message);
	bool (*refuses)(struct port *port, const struct message *message, int error);
	/* How often send may be tried again before the stop descriptor deserves a look. */
	unsigned int patience;
};

extern const struct port_kind port_device;        /* device.c: a tun or tap, read() and write() */
extern const struct port_kind port_udp;           /* udp.c: one datagram a call */
extern const struct port_kind port_udp_batch;     /* udp.c: recvmmsg() and sendmmsg() */

/* Count what a port received or sent. */
static inline void port_count(struct port *port, int packets_index, unsigned int packets,
			      size_t bytes)
{
	uint64_t *group = port->traffic + packets_index;

	group[0] += packets;
	group[1] += bytes;
	group[2] += packets > 1;
}

/* Account for a message that was sent (error 0) or not (a positive errno): what send() returns. */
int port_sent(struct port *port, const struct message *message, int error);

#endif
