/*
 * split.c - segmentation in user space: what a kernel or a NIC does with a super-packet.
 *
 * Theory of operation. A super-packet is one header and the payload of many segments. Its segments
 * are made as the kernel's own software segmentation makes them (net/ipv4/af_inet.c:
 * inet_gso_segment, net/ipv4/tcp_offload.c: tcp_gso_segment, net/ipv4/udp_offload.c:
 * __udp_gso_segment), byte for byte: each gets a copy of the header with its own lengths and
 * checksums; the IPv4 identification and the TCP sequence number go up; FIN and PSH are for the last
 * segment, CWR for the first. Payload stays where it is: a segment is a header and a piece of it.
 *
 * The segments travel as packets that must be whole and valid, so the checksum that the kernel had
 * left to the device is computed here: one pass over the payload, started from sums of all that the
 * headers have in common.
 *
 * The virtio header's hdr_len is not used, kernels fill it in differently; csum_start says where the
 * transport header is, and is believed only where the packet's own headers say so, too.
 */
#include "split.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "checksum.h"
#include "transport.h"

/* Where the transport header of protocol `protocol` begins, or 0: there is none, or a fragment. */
static size_t find_transport4(const uint8_t *packet, uint8_t protocol)
{
	bool fragment = load16(packet + IPV4_FRAGMENT) & ~IPV4_DONT_FRAGMENT;

	return packet[IPV4_PROTOCOL] == protocol && !fragment ? ipv4_header_size(packet) : 0;
}

static size_t find_transport6(const uint8_t *packet, size_t size, uint8_t protocol)
{
	uint8_t next = packet[IPV6_NEXT_HEADER];
	size_t offset = IPV6_HEADER;

	while (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS) {
		if (offset + 2 > size)
			return 0;
		next = packet[offset];
		offset += ((size_t)packet[offset + 1] + 1) * 8;
	}
	return next == protocol ? offset : 0;
}

/*
 * The sums that all segments share, with zero in the fields that differ. The checksum field holds
 * the sum of the pseudo-header for the whole super-packet, so its length is taken off.
 */
static void sum_headers(struct split *split)
{
	uint8_t header[SPLIT_HEADER_MAX], *transport = header + split->transport;
	size_t size = split->header_size - split->transport;

	memcpy(header, split->packet, split->header_size);
	if (ip_version(header) == 4) {
		memset(header + IPV4_LENGTH, 0, 4); /* length and identification */
		memset(header + IPV4_CHECKSUM, 0, 2);
		split->ip_sum = checksum_add(0, header, split->transport);
	}
	if (split->is_udp) {
		memset(transport + UDP_LENGTH, 0, 2);
	} else {
		memset(transport + TCP_SEQUENCE, 0, 4);
		memset(transport + TCP_OFFSET, 0, 2); /* header length and flags */
	}
	split->transport_sum = checksum_add16(checksum_add(0, transport, size),
					      (uint16_t)~(size + split->payload_size));
}

/* Whether a super-packet of this kind may be of this IP version; *protocol is its transport. */
static bool is_kind(uint8_t gso_type, unsigned int version, uint8_t *protocol)
{
	*protocol = IPPROTO_TCP;
	switch (gso_type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
	case VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN:
		return version == 4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
	case VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN:
		return version == 6;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		*protocol = IPPROTO_UDP;
		return true;
	default:
		return false;
	}
}

/* Find where the header that each segment gets ends; false: the super-packet is not one. */
static bool find_header(const struct packet *super, uint8_t protocol, size_t *transport, size_t *end)
{
	const uint8_t *start;

	*transport = ip_version(super->data) == 4
			     ? find_transport4(super->data, protocol)
			     : find_transport6(super->data, super->size, protocol);
	if (*transport == 0 || *transport != super->offload.csum_start)
		return false;
	*end = *transport + (protocol == IPPROTO_UDP ? (size_t)UDP_HEADER : (size_t)TCP_HEADER);
	if (*end > super->size)
		return false;
	start = super->data + *transport;
	if (protocol == IPPROTO_UDP)
		return super->offload.csum_offset == UDP_CHECKSUM &&
		       load16(start + UDP_LENGTH) == super->size - *transport;
	*end = *transport + tcp_header_size(start);
	return super->offload.csum_offset == TCP_CHECKSUM && tcp_header_size(start) >= TCP_HEADER;
}

int split_begin(struct split *split, const struct packet *super)
{
	const struct virtio_net_hdr *offload = &super->offload;
	size_t transport, header;
	uint8_t protocol;

	if (!is_kind(offload->gso_type, ip_version(super->data), &protocol) ||
	    offload->gso_size == 0 || !(offload->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return -EINVAL;
	if (!find_header(super, protocol, &transport, &header))
		return -EINVAL;
	if (header >= super->size || header > SPLIT_HEADER_MAX)
		return -EINVAL;
	*split = (struct split){
		.header_size = (uint16_t)header,
		.segment_size = offload->gso_size,
		.transport = (uint16_t)transport,
		.is_udp = protocol == IPPROTO_UDP,
		.payload_size = super->size - (uint32_t)header,
		.packet = super->data,
	};
	split->count = (split->payload_size + split->segment_size - 1) / split->segment_size;
	if (split->count > SPLIT_SEGMENTS_MAX)
		return -EINVAL;
	sum_headers(split);
	return 0;
}

static void write_ip(const struct split *split, unsigned int index, uint8_t *header, size_t size)
{
	uint16_t check, id;

	if (ip_version(header) == 6) {
		store16(header + IPV6_LENGTH, (uint16_t)(size - IPV6_HEADER));
		return;
	}
	id = (uint16_t)(load16(header + IPV4_ID) + index);
	store16(header + IPV4_LENGTH, (uint16_t)size);
	store16(header + IPV4_ID, id);
	check = ~checksum_fold(checksum_add16(checksum_add16(split->ip_sum, (uint16_t)size), id));
	memcpy(header + IPV4_CHECKSUM, &check, sizeof(check));
}

/* Write what is this segment's own, and return its part of the sum. */
static uint64_t write_tcp(const struct split *split, unsigned int index, uint8_t *tcp)
{
	tcp[TCP_FLAGS] &= (uint8_t) ~((index > 0 ? TCP_CWR : 0) |
				      (index < split->count - 1 ? TCP_FIN | TCP_PSH : 0));
	store32(tcp + TCP_SEQUENCE, load32(tcp + TCP_SEQUENCE) + index * split->segment_size);
	return checksum_add16(checksum_add(0, tcp + TCP_SEQUENCE, 4), load16(tcp + TCP_OFFSET));
}

void split_segment(const struct split *split, unsigned int index, uint8_t *header,
		   struct iovec *payload)
{
	size_t offset = (size_t)index * split->segment_size;
	size_t size = split->payload_size - offset;
	uint8_t *transport = header + split->transport;
	uint64_t sum = split->transport_sum;
	uint16_t length, check;

	if (size > split->segment_size)
		size = split->segment_size;
	payload->iov_base = split->packet + split->header_size + offset;
	payload->iov_len = size;
	memcpy(header, split->packet, split->header_size);
	write_ip(split, index, header, split->header_size + size);

	length = (uint16_t)(split->header_size - split->transport + size);
	sum = checksum_add16(sum, length); /* of the pseudo-header */
	if (split->is_udp) {
		store16(transport + UDP_LENGTH, length);
		sum = checksum_add16(sum, length);
	} else {
		sum += write_tcp(split, index, transport);
	}
	check = ~checksum_fold(checksum_add(sum, payload->iov_base, size));
	if (split->is_udp && check == 0)
		check = 0xffff; /* RFC 768: 0 would say that there is none */
	memcpy(transport + (split->is_udp ? UDP_CHECKSUM : TCP_CHECKSUM), &check, sizeof(check));
}

int split_complete(struct packet *packet)
{
	const struct virtio_net_hdr offload = packet->offload;
	size_t start = offload.csum_start, field = start + offload.csum_offset;
	uint16_t check;

	if (offload.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return -EINVAL;
	packet->offload = (struct virtio_net_hdr){0};
	if (!(offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return 0;
	if (start < ip_header_size(packet->data) || start >= packet->size ||
	    field + sizeof(check) > packet->size)
		return -EINVAL;
	/* The field holds the sum of the pseudo-header (net/core/dev.c: skb_checksum_help). */
	check = checksum(packet->data + start, packet->size - start);
	if (check == 0)
		check = 0xffff;
	memcpy(packet->data + field, &check, sizeof(check));
	return 0;
}
