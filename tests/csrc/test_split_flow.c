/* Segments are compared with the packets that flow.c writes one by one. */
#include "split.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"
#include "ip.h"
#include "test.h"
#include "transport.h"

enum { MSS = 100 };

static uint8_t payload[FLOW_PACKET_MAX];

/* Write segment `index` behind its header; returns its size. */
static size_t cut(const struct split *split, unsigned int index, uint8_t *packet)
{
	struct iovec piece;

	split_segment(split, index, packet, &piece);
	memcpy(packet + split->header_size, piece.iov_base, piece.iov_len);
	return split->header_size + piece.iov_len;
}

/* Whether a super-packet of the flow is cut to what its sender would have sent packet by packet. */
static bool is_cut_right(const struct flow *flow, size_t size, uint16_t mss)
{
	static uint8_t data[FLOW_PACKET_MAX], made[FLOW_PACKET_MAX], wanted[FLOW_PACKET_MAX];
	unsigned int count = (unsigned int)((size + mss - 1) / mss);
	struct packet super;
	struct split split;
	bool right;

	flow_super(flow, payload, size, mss, data, &super);
	right = split_begin(&split, &super) == 0 && split.count == count &&
		packet_count(&super) == count;
	for (unsigned int i = count; right && i-- > 0;) { /* in an order nobody would ask for */
		struct flow segment = flow_segment(flow, i, count, mss);
		size_t left = size - (size_t)i * mss;
		size_t length = flow_packet(&segment, payload + (size_t)i * mss,
					    left < mss ? left : mss, wanted);

		right = cut(&split, i, made) == length && memcmp(made, wanted, length) == 0;
	}
	return right;
}

static void lengths(void)
{
	bool right = true;

	for (unsigned int kind = 0; kind < 4; kind++) {
		struct flow flow = kind & 1 ? flow_udp(kind & 2) : flow_tcp(kind & 2);

		CLAIM(is_cut_right(&flow, 5 * MSS, MSS), "the last segment may be as long as the others");
		CLAIM(is_cut_right(&flow, 5 * MSS + 1, MSS), "or one byte long");
		CLAIM(is_cut_right(&flow, 5 * MSS - 1, MSS), "or one byte shorter");
		CLAIM(is_cut_right(&flow, MSS, MSS), "one full segment is a super-packet, too");
		CLAIM(is_cut_right(&flow, 1, MSS), "so is one byte");
		CLAIM(is_cut_right(&flow, 1, 65535), "whatever segment size is named");
		CLAIM(is_cut_right(&flow, 65000, 1448), "a super-packet may be as long as IP allows");
		CLAIM(is_cut_right(&flow, 2048, 1), "and its segments as short as one byte");
		for (uint16_t mss = 1; mss < 60; mss++)
			for (size_t size = 1; size < 130; size += 3)
				right &= is_cut_right(&flow, size, mss);
	}
	CLAIM(right, "every length, odd ones included, is cut to what its sender would have sent");
}

static void tcp_flags(void)
{
	static uint8_t data[4096], made[4096];
	struct flow flow = flow_tcp(false);
	struct packet super;
	struct split split;

	flow.flags = TCP_ACK | TCP_FIN | TCP_PSH | TCP_CWR | TCP_ECE;
	flow_super(&flow, payload, 3 * MSS, MSS, data, &super);
	NEED(split_begin(&split, &super) == 0);
	cut(&split, 0, made);
	CLAIM(made[20 + TCP_FLAGS] == (TCP_ACK | TCP_CWR | TCP_ECE),
	      "CWR is for the first segment; FIN and PSH are not");
	cut(&split, 1, made);
	CLAIM(made[20 + TCP_FLAGS] == (TCP_ACK | TCP_ECE), "those in the middle have none of them");
	cut(&split, 2, made);
	CLAIM(made[20 + TCP_FLAGS] == (TCP_ACK | TCP_ECE | TCP_FIN | TCP_PSH),
	      "FIN and PSH are for the last");
	flow_super(&flow, payload, MSS, MSS, data, &super);
	NEED(split_begin(&split, &super) == 0);
	cut(&split, 0, made);
	CLAIM(made[20 + TCP_FLAGS] == flow.flags, "a single segment is first and last");

	CLAIM(is_cut_right(&flow, 5 * MSS, MSS), "checksums follow the flags");
	flow.flags |= 0x20; /* URG */
	flow.urgent = 17;
	CLAIM(is_cut_right(&flow, 5 * MSS, MSS), "an urgent pointer is copied, as kernels do");
}

static void headers(void)
{
	static const uint8_t ipv4_options[] = {0x94, 4, 0, 0, 1, 1, 1, 0}; /* router alert */
	static const uint8_t ipv6_headers[] = {
		60, 0, 1, 4, 0, 0, 0, 0,                            /* hop-by-hop: padding */
		6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    /* destination options */
	};
	struct flow flow = flow_tcp(false);

	memcpy(flow.extra, ipv4_options, flow.extra_size = sizeof(ipv4_options));
	CLAIM(is_cut_right(&flow, 5 * MSS, MSS), "IPv4 options are copied to each segment");
	flow.fragment = 0;
	CLAIM(is_cut_right(&flow, 5 * MSS, MSS), "the id counts up with fragmentation allowed, too");
	flow.options_size = 0;
	CLAIM(is_cut_right(&flow, 5 * MSS, MSS), "TCP may have no options");
	flow.options_size = 40;
	CLAIM(is_cut_right(&flow, 5 * MSS, MSS), "or as many as fit");

	flow = flow_tcp(true);
	memcpy(flow.extra, ipv6_headers, flow.extra_size = sizeof(ipv6_headers));
	flow.extra_protocol = IPPROTO_HOPOPTS;
	CLAIM(is_cut_right(&flow, 5 * MSS, MSS), "IPv6 extension headers are copied to each segment");
	flow.udp = true;
	flow.extra[8] = IPPROTO_UDP;
	CLAIM(is_cut_right(&flow, 5 * MSS, MSS), "of UDP as of TCP");
}

/* The checksum of a UDP segment whose last two payload bytes were chosen to make it zero. */
static void zero_checksum(bool ipv6)
{
	static uint8_t data[4096], made[4096];
	uint8_t bytes[2 * MSS] = {0};
	struct flow flow = flow_udp(ipv6);
	size_t header = flow_header_size(&flow), field = header - UDP_HEADER + UDP_CHECKSUM;
	struct packet super;
	struct split split;

	flow_packet(&flow, bytes, MSS, made);
	memcpy(bytes + MSS - 2, made + field, 2); /* what is missing to all ones */
	flow_super(&flow, bytes, 2 * MSS, MSS, data, &super);
	NEED(split_begin(&split, &super) == 0);
	cut(&split, 0, made);
	CLAIM(load16(made + field) == 0xffff, "a UDP checksum of zero is sent as 0xffff");
	CLAIM(flow_is_sound(made, header + MSS), "which is right as well");
}

static void single_packets(void)
{
	uint8_t data[200], wanted[200];
	struct flow flow = flow_tcp(true);
	struct packet packet;

	flow_super(&flow, payload, MSS, MSS, data, &packet);
	packet.offload.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	flow_packet(&flow, payload, MSS, wanted);
	CLAIM(split_complete(&packet) == 0 && memcmp(data, wanted, packet.size) == 0,
	      "a checksum left to the device is completed");
	CLAIM(packet.offload.flags == 0 && packet.offload.csum_start == 0,
	      "and the virtio header then asks for nothing");
	CLAIM(split_complete(&packet) == 0 && memcmp(data, wanted, packet.size) == 0,
	      "a packet that asks for nothing stays as it is");

	packet.offload.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	CLAIM(split_complete(&packet) == -EINVAL, "a super-packet is not a single packet");
	for (unsigned int start = 0; start < packet.size + 10; start++) {
		bool inside = start >= IPV6_HEADER && start + 6 + 2 <= packet.size;

		packet.offload = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
							 .csum_start = (uint16_t)start,
							 .csum_offset = 6};
		CLAIM(split_complete(&packet) == (inside ? 0 : -EINVAL),
		      "no checksum is written to the IP header or outside the packet");
	}
}

/* Ask about a copy that ends where its allocation ends, so that a sanitizer sees an overrun. */
static bool is_refused(const struct packet *super)
{
	struct packet exact = *super;
	struct split split;
	unsigned int count;
	int result;

	exact.data = malloc(super->size);
	NEED(exact.data);
	memcpy(exact.data, super->data, super->size);
	result = split_begin(&split, &exact);
	count = packet_count(&exact); /* of anything, as it is asked first */
	free(exact.data);
	return result == -EINVAL && count >= 1;
}

/* A good super-packet to be spoilt. */
static struct packet super_of(const struct flow *flow)
{
	static uint8_t data[FLOW_PACKET_MAX];
	struct packet super;

	flow_super(flow, payload, 10 * MSS, MSS, data, &super);
	NEED(!is_refused(&super));
	return super;
}

#define REFUSED(flow, change, claim) \
	do { \
		struct packet super = super_of(flow); \
		change; \
		CLAIM(is_refused(&super), claim); \
	} while (0)

static void hostile_virtio_headers(void)
{
	const struct flow tcp = flow_tcp(false), tcp6 = flow_tcp(true), udp = flow_udp(false);
	struct packet trusting = super_of(&tcp);

	trusting.offload.hdr_len = 0xffff;
	CLAIM(!is_refused(&trusting), "hdr_len is not used, as kernels get it wrong");

	REFUSED(&tcp, super.offload.gso_size = 0, "segments need a size");
	REFUSED(&tcp, super.offload.flags = 0, "and a checksum to be completed");
	REFUSED(&tcp, super.offload.gso_type = VIRTIO_NET_HDR_GSO_NONE, "a packet is no super-packet");
	REFUSED(&tcp, super.offload.gso_type = VIRTIO_NET_HDR_GSO_ECN, "ECN alone is no kind");
	REFUSED(&tcp, super.offload.gso_type = VIRTIO_NET_HDR_GSO_UDP, "UFO is not segmentation");
	REFUSED(&tcp, super.offload.gso_type = VIRTIO_NET_HDR_GSO_TCPV6, "IPv4 is not cut as IPv6");
	REFUSED(&tcp6, super.offload.gso_type = VIRTIO_NET_HDR_GSO_TCPV4, "nor IPv6 as IPv4");
	REFUSED(&tcp, super.offload.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4, "nor TCP as UDP");
	REFUSED(&udp, super.offload.gso_type = VIRTIO_NET_HDR_GSO_TCPV4, "nor UDP as TCP");
	REFUSED(&udp, super.offload.gso_type |= VIRTIO_NET_HDR_GSO_ECN, "UDP has no CWR");
	REFUSED(&tcp, super.offload.csum_start += 2, "TCP begins where IP ends");
	REFUSED(&tcp, super.offload.csum_start = 0xffff, "which is inside the packet");
	REFUSED(&tcp, super.offload.csum_offset = 6, "TCP's checksum is where it is");
	REFUSED(&udp, super.offload.csum_offset = 16, "so is UDP's");
}

static void hostile_packets(void)
{
	const struct flow tcp = flow_tcp(false), tcp6 = flow_tcp(true), udp = flow_udp(false);
	struct flow many = flow_udp(true);
	struct packet cut_short;
	bool refused = true;

	REFUSED(&tcp, store16(super.data + IPV4_FRAGMENT, 0x2000), "a first fragment is not cut");
	REFUSED(&tcp, store16(super.data + IPV4_FRAGMENT, 1), "nor a later one");
	REFUSED(&tcp6, super.data[IPV6_NEXT_HEADER] = IPPROTO_FRAGMENT, "nor an IPv6 one");
	REFUSED(&tcp6, super.data[IPV6_NEXT_HEADER] = IPPROTO_HOPOPTS, "TCP is no hop-by-hop option");
	REFUSED(&tcp, super.data[20 + TCP_OFFSET] = 0x40, "TCP's header has at least 20 bytes");
	REFUSED(&udp, store16(super.data + 20 + UDP_LENGTH, 10 * MSS), "UDP's length is the packet's");
	REFUSED(&tcp, super.size = 52, "a super-packet has a payload");
	REFUSED(&tcp, super.data[0] = 0x55, "IP has two versions");

	cut_short = super_of(&tcp6);
	for (cut_short.size = IPV6_HEADER; cut_short.size < 72; cut_short.size++)
		refused &= is_refused(&cut_short);
	CLAIM(refused, "a super-packet that ends inside its TCP header is refused");

	many.extra_protocol = IPPROTO_DSTOPTS;
	many.extra[0] = IPPROTO_UDP;
	many.extra[1] = 8;
	many.extra_size = 72;
	CLAIM(is_cut_right(&many, 5 * MSS, MSS), "a long extension header is copied, too");
	REFUSED(&many,
		(super.data[IPV6_HEADER + 1] = 18, super.offload.csum_start = 40 + 19 * 8,
		 store16(super.data + 40 + 19 * 8 + UDP_LENGTH, (uint16_t)(super.size - 40 - 19 * 8))),
		"but not one longer than SPLIT_HEADER_MAX");
	REFUSED(&tcp, (super.offload.gso_size = 1, super.size = 52 + SPLIT_SEGMENTS_MAX + 1),
		"nor more segments than SPLIT_SEGMENTS_MAX");
}

void test_split_flow(void)
{
	uint32_t random = 5;

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)test_random(&random);
	lengths();
	tcp_flags();
	headers();
	zero_checksum(false);
	zero_checksum(true);
	single_packets();
	hostile_virtio_headers();
	hostile_packets();
}
