/*
 * ip.c - checking a packet and spending one hop of it.
 *
 * Theory of operation. Whatever comes out of a UDP port was written by a stranger. A packet is
 * carried only when its version and lengths agree with what was received, so that every later
 * access is inside the buffer and nothing but one IP packet is ever written to a tun. These are a
 * few compares, no system call; flannel has none of them. The header checksum of IPv4 is left to the
 * kernel that receives the packet: patching keeps a wrong one wrong. What a payload length of zero
 * means in a jumbogram (RFC 2675) is not: such a packet is longer than any a port carries.
 *
 * A virtio header tells a kernel where to write a checksum and where to cut. Kernels check it, but
 * not all of them, and not all of it; so one that points outside its packet, or asks for what no
 * device was told it may ask for, stays here.
 */
#include "ip.h"

#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#include "checksum.h"
#include "transport.h"

enum { CHECKSUM_SIZE = 2 };

bool ip_valid(const uint8_t *packet, size_t size, enum counter *reason)
{
	*reason = DROP_MALFORMED;
	if (size == 0)
		return false;
	switch (ip_version(packet)) {
	case 4:
		return ipv4_header_size(packet) >= IPV4_HEADER && ipv4_header_size(packet) <= size &&
		       load16(packet + IPV4_LENGTH) == size;
	case 6:
		return size >= IPV6_HEADER && load16(packet + IPV6_LENGTH) == size - IPV6_HEADER;
	default:
		*reason = DROP_NOT_IP;
		return false;
	}
}

static void spend_hop4(uint8_t *packet)
{
	uint16_t before, after, check;

	memcpy(&before, packet + IPV4_TTL, sizeof(before)); /* TTL and protocol are one word */
	packet[IPV4_TTL]--;
	memcpy(&after, packet + IPV4_TTL, sizeof(after));
	memcpy(&check, packet + IPV4_CHECKSUM, sizeof(check));
	check = checksum_patch(check, before, after);
	memcpy(packet + IPV4_CHECKSUM, &check, sizeof(check));
}

bool ip_spend_hop(uint8_t *packet)
{
	if (ip_hops(packet) <= 1)
		return false;
	if (ip_version(packet) == 4)
		spend_hop4(packet);
	else
		packet[IPV6_HOP_LIMIT]--;
	return true;
}

/* Whether the checksum left to the device is behind offset `least`, inside the packet. */
static bool is_checksum_inside(const struct virtio_net_hdr *offload, size_t least, size_t size)
{
	return offload->csum_start >= least &&
	       (size_t)offload->csum_start + offload->csum_offset + CHECKSUM_SIZE <= size;
}

/* Whether the transport header of a super-packet, and a segment's worth of bytes, are inside. */
static bool is_segment_inside(const struct virtio_net_hdr *offload, size_t transport, size_t size)
{
	return offload->gso_size > 0 && (size_t)offload->csum_start + transport <= size &&
	       (size_t)offload->csum_start + offload->gso_size <= size;
}

/* What both layers ask for; the transport header cannot begin before offset `least`. */
static bool is_inside(const struct packet *packet, size_t least)
{
	const struct virtio_net_hdr *offload = &packet->offload;
	bool needs_checksum = offload->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;

	if (offload->flags & ~(VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID) ||
	    offload->hdr_len > packet->size)
		return false;
	if (needs_checksum && !is_checksum_inside(offload, least, packet->size))
		return false;
	switch (offload->gso_type) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return true;
	case VIRTIO_NET_HDR_GSO_TCPV4:
	case VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN:
	case VIRTIO_NET_HDR_GSO_TCPV6:
	case VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN:
		return needs_checksum && offload->csum_offset == TCP_CHECKSUM &&
		       is_segment_inside(offload, TCP_HEADER, packet->size);
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return needs_checksum && offload->csum_offset == UDP_CHECKSUM &&
		       is_segment_inside(offload, UDP_HEADER, packet->size);
	default:
		return false;
	}
}

/* Whether the kind of segmentation, and where it finds the transport header, fit the IP header. */
static bool fits_ip_header(const struct packet *packet)
{
	unsigned int kind = packet->offload.gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	uint8_t protocol = kind == VIRTIO_NET_HDR_GSO_UDP_L4 ? IPPROTO_UDP : IPPROTO_TCP;
	uint16_t transport = packet->offload.csum_start;

	if (ip_version(packet->data) == 4)
		return kind != VIRTIO_NET_HDR_GSO_TCPV6 && packet->data[IPV4_PROTOCOL] == protocol &&
		       transport == ipv4_header_size(packet->data);
	return kind != VIRTIO_NET_HDR_GSO_TCPV4 && /* extension headers may be in between */
	       (packet->data[IPV6_NEXT_HEADER] == protocol) == (transport == IPV6_HEADER);
}

bool ip_offload_valid(const struct packet *packet)
{
	return is_inside(packet, ip_header_size(packet->data)) &&
	       (!packet_is_super(packet) || fits_ip_header(packet));
}

bool frame_offload_valid(const struct packet *frame)
{
	return is_inside(frame, ETHER_HDR_LEN + IPV4_HEADER);
}
