/*
 * packet.c - how many packets a super-packet stands for.
 *
 * Theory of operation. The transport header of a super-packet begins where its checksum does, on
 * layer 2 as on layer 3, so the payload's size follows without a look at the headers before it.
 */
#include "packet.h"

#include "transport.h"

unsigned int packet_count(const struct packet *packet)
{
	const struct virtio_net_hdr *offload = &packet->offload;
	bool is_udp = offload->gso_type == VIRTIO_NET_HDR_GSO_UDP_L4;
	uint32_t transport = offload->csum_start;
	uint32_t header = transport + (is_udp ? (uint32_t)UDP_HEADER : (uint32_t)TCP_HEADER);

	if (!packet_is_super(packet) || offload->gso_size == 0 || header >= packet->size)
		return 1;
	if (!is_udp)
		header = transport + (uint32_t)tcp_header_size(packet->data + transport);
	if (header >= packet->size)
		return 1;
	return (packet->size - header + offload->gso_size - 1) / offload->gso_size;
}
