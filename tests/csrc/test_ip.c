#include <stdlib.h>
#include <string.h>

#include "ip.h"
#include "test.h"

/* Ask about a copy that ends where its allocation ends, so that a sanitizer sees an overrun. */
static bool is_valid(const uint8_t *packet, size_t size, enum counter *reason)
{
	uint8_t *exact = malloc(size ? size : 1);
	bool valid;

	NEED(exact);
	if (size)
		memcpy(exact, packet, size);
	valid = ip_valid(exact, size, reason);
	free(exact);
	return valid;
}

static bool is_refused(const uint8_t *packet, size_t size, enum counter expected)
{
	enum counter reason;

	return !is_valid(packet, size, &reason) && reason == expected;
}

static void sizes(void)
{
	uint8_t packet[100];
	enum counter reason;
	bool refused = true;

	test_packet(packet, 64, 1, 2, 64);
	CLAIM(is_valid(packet, 64, &reason), "a whole packet is valid");
	for (size_t size = 0; size < 64; size++)
		refused &= is_refused(packet, size, DROP_MALFORMED);
	CLAIM(refused, "a packet cut short at any byte is malformed");
	CLAIM(is_refused(packet, 65, DROP_MALFORMED), "so is one with a byte behind its end");

	test_packet(packet, IPV4_HEADER, 1, 2, 64);
	CLAIM(is_valid(packet, IPV4_HEADER, &reason), "a header without payload is valid");
}

static void headers(void)
{
	uint8_t packet[100];
	enum counter reason;
	bool refused = true;

	test_packet(packet, 40, 1, 2, 64);
	for (unsigned int version = 0; version < 16; version++) {
		packet[0] = (uint8_t)(version << 4 | 5);
		if (version != 4 && version != 6)
			refused &= is_refused(packet, 40, DROP_NOT_IP);
	}
	CLAIM(refused, "every version but 4 and 6 is refused as such");

	refused = true;
	for (uint8_t words = 0; words < 5; words++) {
		packet[0] = 0x40 | words;
		refused &= is_refused(packet, 40, DROP_MALFORMED);
	}
	CLAIM(refused, "a header shorter than 20 bytes is malformed");
	packet[0] = 0x4a;
	CLAIM(is_valid(packet, 40, &reason), "a header may fill the packet");
	packet[0] = 0x4b;
	CLAIM(is_refused(packet, 40, DROP_MALFORMED), "but not be longer than it");
	packet[0] = 0x45;
	store16(packet + IPV4_LENGTH, 0);
	CLAIM(is_refused(packet, 40, DROP_MALFORMED), "a total length of zero is malformed");
}

static void ttl(void)
{
	uint8_t packet[28], before[28];

	for (uint8_t value = 0; value < 2; value++) {
		test_packet(packet, sizeof(packet), 1, 2, value);
		memcpy(before, packet, sizeof(packet));
		CLAIM(!ip_spend_hop(packet), "TTL 0 and 1 have no hop left");
		CLAIM(memcmp(packet, before, sizeof(packet)) == 0, "and the packet is left as it came");
	}
	test_packet(packet, sizeof(packet), 1, 2, 2);
	CLAIM(ip_spend_hop(packet) && packet[IPV4_TTL] == 1, "TTL 2 has one");
}

static void sizes6(void)
{
	uint8_t packet[100];
	enum counter reason;
	bool refused = true;

	test_packet6(packet, 64, "fd00::1", "fd00::2", 64);
	CLAIM(is_valid(packet, 64, &reason), "a whole packet of IPv6 is valid");
	for (size_t size = 0; size < 64; size++)
		refused &= is_refused(packet, size, DROP_MALFORMED);
	CLAIM(refused, "one cut short at any byte is malformed");
	CLAIM(is_refused(packet, 65, DROP_MALFORMED), "so is one with a byte behind its end");

	store16(packet + IPV6_LENGTH, 0);
	CLAIM(is_valid(packet, IPV6_HEADER, &reason), "a header without payload is valid");
	CLAIM(is_refused(packet, 64, DROP_MALFORMED), "a payload length of zero, as in a jumbogram, is not");
}

static void hop_limit(void)
{
	uint8_t packet[48], before[48];

	for (uint8_t value = 0; value < 2; value++) {
		test_packet6(packet, sizeof(packet), "fd00::1", "fd00::2", value);
		memcpy(before, packet, sizeof(packet));
		CLAIM(!ip_spend_hop(packet) && memcmp(packet, before, sizeof(packet)) == 0,
		      "a hop limit of 0 or 1 has no hop left, and the packet is left as it came");
	}
	test_packet6(packet, sizeof(packet), "fd00::1", "fd00::2", 255);
	memcpy(before, packet, sizeof(packet));
	CLAIM(ip_spend_hop(packet) && packet[IPV6_HOP_LIMIT] == 254, "one of 255 has one");
	packet[IPV6_HOP_LIMIT] = 255;
	CLAIM(memcmp(packet, before, sizeof(packet)) == 0, "and nothing else changes");
}

enum { TCP = 6, SUPER_SIZE = 1400 };

static uint8_t super[SUPER_SIZE];

/* A TCP super-packet and the virtio header a kernel gives it. */
static struct packet super_packet(bool ipv6)
{
	uint16_t header = ipv6 ? IPV6_HEADER : IPV4_HEADER;

	if (ipv6)
		test_packet6(super, SUPER_SIZE, "fd00::1", "fd00::2", 64);
	else
		test_packet(super, SUPER_SIZE, 1, 2, 64);
	super[ipv6 ? IPV6_NEXT_HEADER : IPV4_PROTOCOL] = TCP;
	return (struct packet){
		.data = super,
		.size = SUPER_SIZE,
		.offload = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			    .gso_type = ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
			    .hdr_len = header + 20u,
			    .gso_size = 500,
			    .csum_start = header,
			    .csum_offset = 16},
	};
}

/* The same as UDP. */
static struct packet super_datagram(void)
{
	struct packet packet = super_packet(false);

	super[IPV4_PROTOCOL] = 17;
	packet.offload.gso_type = 5;
	packet.offload.csum_offset = 6;
	return packet;
}

static void honest_offloads(void)
{
	struct packet packet;

	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		packet = super_packet(ipv6);
		CLAIM(ip_offload_valid(&packet), "a super-packet as a kernel makes it is valid");
		packet.offload.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
		CLAIM(ip_offload_valid(&packet), "with ECN, too");
		packet.offload.gso_type = VIRTIO_NET_HDR_GSO_NONE;
		packet.offload.gso_size = 0;
		CLAIM(ip_offload_valid(&packet), "so is a packet that needs a checksum");
		packet.offload = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_DATA_VALID};
		CLAIM(ip_offload_valid(&packet), "or that needs nothing");
	}
	packet = super_datagram();
	CLAIM(ip_offload_valid(&packet), "or that is many datagrams");
	packet = super_packet(true);
	super[IPV6_NEXT_HEADER] = 60;
	packet.offload.csum_start += 8;
	CLAIM(ip_offload_valid(&packet), "or that has an extension header");
}

/* Each change makes an honest header a lie. */
#define LIE(change, claim) \
	do { \
		struct packet packet = super_packet(false); \
		change; \
		CLAIM(!ip_offload_valid(&packet), claim); \
	} while (0)

static void lying_offloads(void)
{
	LIE(packet.offload.flags = 0, "a super-packet needs a checksum");
	LIE(packet.offload.flags |= 4, "an unknown flag is refused");
	LIE(packet.offload.gso_type = VIRTIO_NET_HDR_GSO_UDP, "so is UFO, which nobody asked for");
	LIE(packet.offload.gso_type = 2, "and an unknown kind of segmentation");
	LIE(packet.offload.gso_type = VIRTIO_NET_HDR_GSO_ECN, "or none at all with ECN");
	LIE(packet.offload.gso_size = 0, "segments have a size");
	LIE(packet.offload.gso_size = SUPER_SIZE - IPV4_HEADER + 1, "and one of them fits the packet");
	LIE(packet.offload.hdr_len = SUPER_SIZE + 1, "as does the header");
	LIE(packet.offload.csum_start = 0, "a checksum does not cover the IP header");
	LIE(packet.offload.csum_start = UINT16_MAX, "nor begin outside the packet");
	LIE(packet.offload.csum_start++, "nor beside the transport header");
	LIE(packet.offload.csum_offset = 6, "that of TCP is not where that of UDP is");
	LIE(super[IPV4_PROTOCOL] = 17, "the kind of segmentation is that of the protocol");
	LIE(packet.offload.gso_type = VIRTIO_NET_HDR_GSO_TCPV6, "and that of the IP version");
	LIE(packet = super_packet(true); packet.offload.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
	    "either way round");
	LIE(packet = super_packet(true); packet.offload.csum_start += 8,
	    "without extension headers, nothing is behind them");
	LIE(packet = super_datagram(); packet.offload.gso_type |= VIRTIO_NET_HDR_GSO_ECN,
	    "datagrams have no ECN of their own");
	LIE(packet.size = 39; packet.offload.hdr_len = packet.offload.gso_size = 1,
	    "a TCP header is whole");
	LIE(packet.offload.gso_type = 0; packet.offload.csum_offset = UINT16_MAX,
	    "a checksum is stored inside the packet");
	LIE(packet.offload.gso_type = 0; packet.offload.csum_offset = SUPER_SIZE - IPV4_HEADER - 1,
	    "to its last byte");
}

static void frames(void)
{
	struct packet frame = super_packet(false);

	CLAIM(!frame_offload_valid(&frame), "in a frame, the IP header is behind another one");
	frame.offload.csum_start += 14;
	CLAIM(frame_offload_valid(&frame), "and a frame is a cable's, whatever its IP header says");
	frame.offload.csum_start = SUPER_SIZE;
	CLAIM(!frame_offload_valid(&frame), "but what its virtio header points at is inside it");
}

void test_ip(void)
{
	sizes();
	sizes6();
	headers();
	ttl();
	hop_limit();
	honest_offloads();
	lying_offloads();
	frames();
}
