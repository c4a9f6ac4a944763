/* udp.h - what udp.c and uring.c share of UDP sockets. */
#ifndef UDP_H
#define UDP_H

#include "ports.h"

/* Room for the one control message either way: a segment size, of 2 bytes to send, 4 received. */
struct udp_control {
	_Alignas(struct cmsghdr) uint8_t bytes[CMSG_SPACE(sizeof(int))];
};

/* Check the socket and set its mode, timeouts and offload. Returns 0 or -errno. */
int udp_prepare(struct port *port, const int64_t *settings);

/* Point `header` at a message and, where it is of several datagrams, `control`. */
void udp_describe(const struct message *message, struct msghdr *header, struct udp_control *control);

/* The bytes of each datagram but the last of what was received into `header`, `size` bytes. */
uint32_t udp_stride(struct msghdr *header, uint32_t size);

/* Account for a receive that failed. Returns 0 where that concerned one datagram, or -errno. */
int udp_receive_failed(struct port *port, int error);

#endif
