/*
 * flow.c - packets of one flow, made one by one as their sender would.
 *
 * Theory of operation. This is what split.c and coalesce.c are held against, so it shares nothing
 * with them: a segment is not cut out of anything but written from the fields of a struct, and sums
 * are counted word by word in host order, as RFC 1071 defines them.
 */
#include "flow.h"

#include <netinet/in.h>
#include <string.h>

#include "ipv4.h"
#include "ipv6.h"
#include "transport.h"

static uint32_t sum_words(const uint8_t *data, size_t size)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += (uint64_t)data[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint32_t)sum;
}

static uint16_t fold_words(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

struct flow flow_tcp(bool ipv6)
{
	struct flow flow = {
		.ipv6 = ipv6,
		.host = 7,
		.tos = 0x02, /* ECT(0) */
		.ttl = 61,
		.flags = TCP_ACK,
		.id = 0xfff0, /* about to wrap */
		.fragment = IPV4_DONT_FRAGMENT,
		.label = 0x1234d,
		.source = 5201,
		.destination = 40000,
		.sequence = 0xfffff000, /* likewise */
		.acknowledgment = 77,
		.window = 501,
		.options = {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8}, /* timestamps */
		.options_size = 12,
	};

	return flow;
}

struct flow flow_udp(bool ipv6)
{
	struct flow flow = flow_tcp(ipv6);

	flow.udp = true;
	return flow;
}

size_t flow_transport(const struct flow *flow)
{
	return (flow->ipv6 ? (size_t)IPV6_HEADER : (size_t)IPV4_HEADER) + flow->extra_size;
}

size_t flow_header_size(const struct flow *flow)
{
	return flow_transport(flow) +
	       (flow->udp ? (size_t)UDP_HEADER : (size_t)TCP_HEADER + flow->options_size);
}

static void write_ipv4(const struct flow *flow, size_t size, uint8_t *ip)
{
	const uint8_t addresses[8] = {10, 1, 0, flow->host, 10, 2, 0, flow->host};
	size_t header = flow_transport(flow);

	ip[0] = (uint8_t)(0x40 | header / 4);
	ip[IPV4_TOS] = flow->tos;
	store16(ip + IPV4_LENGTH, (uint16_t)size);
	store16(ip + IPV4_ID, flow->id);
	store16(ip + IPV4_FRAGMENT, flow->fragment);
	ip[IPV4_TTL] = flow->ttl;
	ip[IPV4_PROTOCOL] = flow->udp ? IPPROTO_UDP : IPPROTO_TCP;
	memcpy(ip + IPV4_SOURCE, addresses, sizeof(addresses));
	memcpy(ip + IPV4_HEADER, flow->extra, flow->extra_size);
	store16(ip + IPV4_CHECKSUM, (uint16_t)~sum_words(ip, header));
}

static void write_ipv6(const struct flow *flow, size_t size, uint8_t *ip)
{
	store32(ip, 0x60000000 | (uint32_t)flow->tos << 20 | flow->label);
	store16(ip + IPV6_LENGTH, (uint16_t)(size - IPV6_HEADER));
	ip[IPV6_NEXT_HEADER] = flow->udp ? IPPROTO_UDP : IPPROTO_TCP;
	if (flow->extra_size)
		ip[IPV6_NEXT_HEADER] = flow->extra_protocol;
	ip[IPV6_HOP_LIMIT] = flow->ttl;
	for (size_t end = IPV6_SOURCE; end < IPV6_HEADER; end += IPV6_ADDRESS) {
		ip[end] = 0xfd;
		ip[end + 1] = (uint8_t)end;
		ip[end + IPV6_ADDRESS - 1] = flow->host;
	}
	memcpy(ip + IPV6_HEADER, flow->extra, flow->extra_size);
}

/* Write all of the packet but the transport checksum; returns where that belongs. */
static uint8_t *write_packet(const struct flow *flow, const uint8_t *payload, size_t size,
			     uint8_t *packet)
{
	size_t header = flow_header_size(flow);
	uint8_t *transport = packet + flow_transport(flow);

	memset(packet, 0, header);
	(flow->ipv6 ? write_ipv6 : write_ipv4)(flow, header + size, packet);
	memcpy(packet + header, payload, size);
	store16(transport, flow->source);
	store16(transport + 2, flow->destination);
	if (flow->udp) {
		store16(transport + UDP_LENGTH, (uint16_t)(UDP_HEADER + size));
		return transport + UDP_CHECKSUM;
	}
	store32(transport + TCP_SEQUENCE, flow->sequence);
	store32(transport + TCP_ACKNOWLEDGMENT, flow->acknowledgment);
	transport[TCP_OFFSET] = (uint8_t)((TCP_HEADER + flow->options_size) / 4 << 4);
	transport[TCP_FLAGS] = flow->flags;
	store16(transport + TCP_WINDOW, flow->window);
	store16(transport + TCP_URGENT, flow->urgent);
	memcpy(transport + TCP_HEADER, flow->options, flow->options_size);
	return transport + TCP_CHECKSUM;
}

uint16_t flow_pseudo_sum(const uint8_t *packet, bool udp, size_t size)
{
	uint32_t sum = (uint32_t)size + (udp ? IPPROTO_UDP : IPPROTO_TCP);

	if (packet[0] >> 4 == 4)
		return fold_words(sum + sum_words(packet + IPV4_SOURCE, 8));
	return fold_words(sum + sum_words(packet + IPV6_SOURCE, 2 * IPV6_ADDRESS));
}

size_t flow_packet(const struct flow *flow, const uint8_t *payload, size_t size, uint8_t *packet)
{
	uint8_t *field = write_packet(flow, payload, size, packet);
	size_t transport = flow_transport(flow), whole = flow_header_size(flow) + size;
	uint16_t check = (uint16_t)~fold_words(
		flow_pseudo_sum(packet, flow->udp, whole - transport) +
		sum_words(packet + transport, whole - transport));

	store16(field, flow->udp && check == 0 ? 0xffff : check);
	return whole;
}

void flow_super(const struct flow *flow, const uint8_t *payload, size_t size, uint16_t mss,
		uint8_t *data, struct packet *super)
{
	uint8_t *field = write_packet(flow, payload, size, data);
	size_t transport = flow_transport(flow), whole = flow_header_size(flow) + size;
	uint8_t type = flow->ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;

	if (flow->flags & TCP_CWR)
		type |= VIRTIO_NET_HDR_GSO_ECN;
	store16(field, flow_pseudo_sum(data, flow->udp, whole - transport));
	*super = (struct packet){
		.data = data,
		.size = (uint32_t)whole,
		.offload = {
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.gso_type = flow->udp ? VIRTIO_NET_HDR_GSO_UDP_L4 : type,
			.hdr_len = (uint16_t)flow_header_size(flow),
			.gso_size = mss,
			.csum_start = (uint16_t)transport,
			.csum_offset = flow->udp ? (uint16_t)UDP_CHECKSUM : (uint16_t)TCP_CHECKSUM,
		},
	};
}

struct flow flow_segment(const struct flow *flow, unsigned int index, unsigned int count,
			 uint16_t mss)
{
	struct flow segment = *flow;

	segment.id = (uint16_t)(flow->id + index);
	segment.sequence += index * mss;
	if (index > 0)
		segment.flags &= (uint8_t)~TCP_CWR;
	if (index + 1 < count)
		segment.flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	return segment;
}

bool flow_is_sound(const uint8_t *packet, size_t size)
{
	bool ipv4 = packet[0] >> 4 == 4;
	size_t transport = ipv4 ? ipv4_header_size(packet) : (size_t)IPV6_HEADER;
	bool udp = packet[ipv4 ? (int)IPV4_PROTOCOL : (int)IPV6_NEXT_HEADER] == IPPROTO_UDP;

	if (ipv4 && sum_words(packet, transport) != 0xffff)
		return false;
	return fold_words(flow_pseudo_sum(packet, udp, size - transport) +
			  sum_words(packet + transport, size - transport)) == 0xffff;
}
