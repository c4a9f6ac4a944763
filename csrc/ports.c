/*
 * ports.c - what becomes of a message that a port was to send.
 *
 * Theory of operation. Everything the kernel may answer falls into five classes, whatever the port and
 * the call, and only the last ends a pump:
 *
 *   done       the packet moved
 *   not now    EAGAIN, or EINTR, which here means the same: the caller asks again
 *   dropped    the error concerns one message; it is counted by reason, and the loop goes on
 *   refused    the kernel or the way out does not do the offload of this message: its packets are
 *              sent one by one, and no such message is tried again
 *   lost       the descriptor itself is of no use any more
 */
#include "ports.h"

#include "descriptor.h"

int port_sent(struct port *port, const struct message *message, int error)
{
	if (error == 0) {
		port_count(port, TX_PACKETS, message->packets, message->size);
		port->traffic[TX_UNITS]++;
	} else if (error == EAGAIN || error == EINTR)
		return -EAGAIN;
	else if (descriptor_is_lost(error))
		return -error;
	else if (port->kind->refuses(port, message, error))
		return PORT_REFUSED;
	else
		port->counters[counter_for_error(error)] += message->packets;
	return 1;
}
