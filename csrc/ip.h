/* ip.h - checking an IP packet of either version, and spending one hop of it; see ip.c. */
#ifndef IP_H
#define IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "counters.h"
#include "ipv4.h"
#include "ipv6.h"
#include "packet.h"

/* The version the first byte of a packet names. */
static inline unsigned int ip_version(const uint8_t *packet)
{
	return packet[0] >> 4;
}

/* The hops a packet has left: TTL or hop limit. */
static inline uint8_t ip_hops(const uint8_t *packet)
{
	return packet[ip_version(packet) == 4 ? (int)IPV4_TTL : (int)IPV6_HOP_LIMIT];
}

/* Bytes of the header, without IPv6 extension headers. */
static inline size_t ip_header_size(const uint8_t *packet)
{
	return ip_version(packet) == 4 ? ipv4_header_size(packet) : (size_t)IPV6_HEADER;
}

/*
 * Whether `size` bytes are exactly one IPv4 or IPv6 packet: version, header length, total length. If
 * not, *reason is the drop counter. Nothing past `size` is read. A super-packet is one packet, whose
 * length is that of the whole.
 */
bool ip_valid(const uint8_t *packet, size_t size, enum counter *reason);

/*
 * Take one from the TTL (and patch the checksum) or the hop limit of a valid packet; false, and no
 * change, when that is 0 or 1.
 */
bool ip_spend_hop(uint8_t *packet);

/*
 * Whether the virtio header of a valid packet, or of a frame that has a whole Ethernet header, may
 * be handed to a device: a kind of segmentation that the pump asks devices for, and all that the
 * header points at lies inside the packet. Of a packet, the header must also fit the IP header.
 */
bool ip_offload_valid(const struct packet *packet);
bool frame_offload_valid(const struct packet *frame);

#endif
