/* ports.h - the one interface to a tun, a tap and a UDP socket; see ports.c. */
#ifndef PORTS_H
#define PORTS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vnetbench.h"

struct port {
	const struct port_kind *kind;
	int fd;
	uint64_t *counters; /* the whole table */
	uint64_t *traffic;  /* this port's group in it */
};

/*
 * Each function makes one system call, counts it and its outcome, and returns
 *   receive  the bytes received (as many as fit in `room`)
 *   send     0: the packet was sent, or was dropped and the reason counted
 * or -EAGAIN: nothing there, or the packet not taken yet; or -errno: the port is of no use any more.
 */
struct port_kind {
	int (*prepare)(const struct port *port);
	ssize_t (*receive)(struct port *port, void *packet, size_t room);
	int (*send)(struct port *port, const void *packet, size_t size, const struct sockaddr_in *to);
	/* How often send may be tried again before the stop descriptor deserves a look. */
	unsigned int patience;
};

/* Set the descriptor to the mode its kind is used in. Returns 0, -EINVAL or the system's -errno. */
int port_open(struct port *port, const struct vnb_port *from, unsigned int index, uint64_t *counters);

static inline ssize_t port_receive(struct port *port, void *packet, size_t room)
{
	return port->kind->receive(port, packet, room);
}

static inline int port_send(struct port *port, const void *packet, size_t size,
			    const struct sockaddr_in *to)
{
	return port->kind->send(port, packet, size, to);
}

#endif
