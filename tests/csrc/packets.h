/* packets.h - TCP and UDP packets and super-packets to split and to join, and a second opinion. */
#ifndef PACKETS_H
#define PACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"

enum { PACKET_ROOM = 1 << 17 };

/* What a packet is to be; zero is IPv4, UDP, no options. */
struct shape {
	bool ipv6, tcp, fragmentable;
	unsigned int ip_options; /* bytes: IPv4 options, or an IPv6 destination-options header */
	unsigned int tcp_options;
	uint16_t port, id;
	uint8_t tos, flags; /* flags: of TCP */
	uint32_t sequence;
	size_t payload;
};

/*
 * Write the packet at `bytes` (PACKET_ROOM long) with payload bytes that follow from their place in
 * the stream (sequence + offset), and correct checksums. Returns its size.
 */
size_t make_packet(uint8_t *bytes, const struct shape *shape);

/* The same as a super-packet: only the pseudo-header is summed, and there is a virtio header. */
struct packet make_super(uint8_t *bytes, const struct shape *shape, uint16_t gso_size);

/* Bytes of the headers of such a packet; where the transport header begins. */
size_t header_size(const struct shape *shape);
size_t transport_offset(const struct shape *shape);

/* Whether lengths and both checksums are right, summed bytewise here. */
bool is_whole(const uint8_t *bytes, size_t size, const struct shape *shape);

#endif
