/* packets.c - see packets.h; shares no line with what it is used to check. */
#include "packets.h"

#include <string.h>

static void put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static size_t get16(const uint8_t *at)
{
	return (size_t)at[0] << 8 | at[1];
}

static uint32_t sum_bytes(uint32_t sum, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static size_t ip_size(const struct shape *shape)
{
	return (shape->ipv6 ? 40 : 20) + shape->ip_options;
}

size_t transport_offset(const struct shape *shape)
{
	return ip_size(shape);
}

size_t header_size(const struct shape *shape)
{
	return ip_size(shape) + (shape->tcp ? 20 + shape->tcp_options : 8);
}

static uint32_t sum_pseudo(const uint8_t *bytes, size_t size, const struct shape *shape)
{
	uint8_t tail[4] = {0, shape->tcp ? 6 : 17};
	uint32_t sum = shape->ipv6 ? sum_bytes(0, bytes + 8, 32) : sum_bytes(0, bytes + 12, 8);

	put16(tail + 2, size - ip_size(shape));
	return sum_bytes(sum, tail, 4);
}

static void make_ip(uint8_t *bytes, const struct shape *shape, size_t size)
{
	uint8_t protocol = shape->tcp ? 6 : 17;

	if (shape->ipv6) {
		bytes[0] = (uint8_t)(0x60 | shape->tos >> 4);
		bytes[1] = (uint8_t)(shape->tos << 4);
		put16(bytes + 4, size - 40);
		bytes[6] = shape->ip_options ? 60 : protocol;
		bytes[7] = 64;
		bytes[8] = bytes[24] = 0xfd;
		bytes[23] = 1;
		bytes[39] = 2;
		if (shape->ip_options) { /* one padding option */
			bytes[40] = protocol;
			bytes[41] = (uint8_t)(shape->ip_options / 8 - 1);
			bytes[42] = 1;
			bytes[43] = (uint8_t)(shape->ip_options - 4);
		}
		return;
	}
	bytes[0] = (uint8_t)(0x40 | (20 + shape->ip_options) / 4);
	bytes[1] = shape->tos;
	put16(bytes + 2, size);
	put16(bytes + 4, shape->id);
	bytes[6] = shape->fragmentable ? 0 : 0x40;
	bytes[8] = 64;
	bytes[9] = protocol;
	memcpy(bytes + 12, (uint8_t[]){10, 0, 0, 1, 10, 0, 0, 2}, 8);
	memset(bytes + 20, 1, shape->ip_options); /* no operation */
	put16(bytes + 10, ~sum_bytes(0, bytes, ip_size(shape)) & 0xffff);
}

static void make_transport(uint8_t *bytes, const struct shape *shape, size_t size)
{
	put16(bytes, shape->port);
	put16(bytes + 2, 80);
	if (!shape->tcp) {
		put16(bytes + 4, size);
		return;
	}
	put16(bytes + 4, shape->sequence >> 16);
	put16(bytes + 6, shape->sequence & 0xffff);
	put16(bytes + 10, 7); /* acknowledgment */
	bytes[12] = (uint8_t)((20 + shape->tcp_options) / 4 << 4);
	bytes[13] = shape->flags;
	put16(bytes + 14, 500);
	memset(bytes + 20, 1, shape->tcp_options);
}

static size_t make(uint8_t *bytes, const struct shape *shape, bool complete)
{
	size_t header = header_size(shape), size = header + shape->payload, ip = ip_size(shape);
	uint8_t *check = bytes + ip + (shape->tcp ? 16 : 6);
	uint32_t sum;

	memset(bytes, 0, header);
	make_ip(bytes, shape, size);
	make_transport(bytes + ip, shape, size - ip);
	for (size_t i = 0; i < shape->payload; i++) {
		uint32_t place = shape->sequence + (uint32_t)i;

		bytes[header + i] = (uint8_t)(place * 2654435761u >> 24);
	}
	sum = sum_pseudo(bytes, size, shape);
	if (complete) {
		sum = ~sum_bytes(sum, bytes + ip, size - ip) & 0xffff;
		if (sum == 0 && !shape->tcp)
			sum = 0xffff;
	}
	put16(check, sum);
	return size;
}

size_t make_packet(uint8_t *bytes, const struct shape *shape)
{
	return make(bytes, shape, true);
}

struct packet make_super(uint8_t *bytes, const struct shape *shape, uint16_t gso_size)
{
	struct packet packet = {.data = bytes, .size = (uint32_t)make(bytes, shape, false)};

	packet.offload = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = !shape->tcp	   ? VIRTIO_NET_HDR_GSO_UDP_L4
			    : shape->ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6
					  : VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = (uint16_t)header_size(shape),
		.gso_size = gso_size,
		.csum_start = (uint16_t)ip_size(shape),
		.csum_offset = shape->tcp ? 16 : 6,
	};
	return packet;
}

bool is_whole(const uint8_t *bytes, size_t size, const struct shape *shape)
{
	size_t ip = ip_size(shape);

	if (shape->ipv6 ? get16(bytes + 4) + 40 != size : get16(bytes + 2) != size)
		return false;
	if (!shape->ipv6 && sum_bytes(0, bytes, ip) != 0xffff)
		return false;
	if (!shape->tcp && (get16(bytes + ip + 4) != size - ip || get16(bytes + ip + 6) == 0))
		return false;
	return sum_bytes(sum_pseudo(bytes, size, shape), bytes + ip, size - ip) == 0xffff;
}
