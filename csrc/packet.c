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
	uint32_t header = offload->csum_start;

	if (!packet_is_super(packet) || offload->gso_size == 0 || header + TCP_HEADER > packet->size)
		return 1;
	if (offload->gso_type == VIRTIO_NET_HDR_GSO_UDP_L4)
		header += UDP_HEADER;
	else
		header += (uint32_t)(packet->data[header + TCP_OFFSET] >> 4) * 4;
	if (header >= packet->size)
		return 1;
	return (packet->size - header + offload->gso_size - 1) / offload->gso_size;
}
