/* Whether super-packets are cut into what the kernel would cut them into. */
#include <errno.h>
#include <string.h>

#include "packets.h"
#include "split.h"
#include "test.h"

enum { MSS = 1400, FIN = 0x01, PSH = 0x08, ACK = 0x10, ECE = 0x40, CWR = 0x80 };

static uint8_t super_bytes[PACKET_ROOM];

/* Put segment `index` together. Returns its size. */
static size_t segment(const struct split *split, unsigned int index, uint8_t *bytes)
{
	struct iovec payload;

	split_segment(split, index, bytes, &payload);
	memcpy(bytes + split->header_size, payload.iov_base, payload.iov_len);
	return split->header_size + payload.iov_len;
}

/*
 * Cut the packet that `shape` describes, and compare each segment with the packet that its sender
 * would have made of that part: same bytes, whatever the header.
 */
static bool cuts(const struct shape *shape, uint16_t gso_size)
{
	static uint8_t got[PACKET_ROOM], expected[PACKET_ROOM];
	struct packet super = make_super(super_bytes, shape, gso_size);
	struct shape part = *shape;
	struct split split;
	bool same = true;

	if (split_begin(&split, &super) < 0 || split.header_size != header_size(shape) ||
	    split.count != (shape->payload + gso_size - 1) / gso_size ||
	    packet_count(&super) != split.count)
		return false;
	for (unsigned int i = split.count; i-- > 0;) { /* any order will do */
		size_t size = segment(&split, i, got);

		part.sequence = shape->sequence + i * gso_size;
		part.id = (uint16_t)(shape->id + i);
		part.payload = i + 1 < split.count ? gso_size : shape->payload - (size_t)i * gso_size;
		part.flags = (uint8_t)(shape->flags & ~(i > 0 ? CWR : 0) &
				       ~(i + 1 < split.count ? FIN | PSH : 0));
		same &= size == make_packet(expected, &part) && memcmp(got, expected, size) == 0 &&
			is_whole(got, size, &part);
	}
	return same;
}

static void awkward_cases(void)
{
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct shape tcp = {.ipv6 = ipv6, .tcp = true, .flags = ACK, .port = 1000, .payload = 9999};
		struct shape udp = {.ipv6 = ipv6, .port = 1000, .payload = 9999}, shape;

		CLAIM(cuts(&tcp, MSS) && cuts(&udp, MSS), "a shorter last segment");
		tcp.payload = udp.payload = 7 * MSS;
		CLAIM(cuts(&tcp, MSS) && cuts(&udp, MSS), "a last segment as long as the others");
		CLAIM(cuts(&tcp, 7 * MSS) && cuts(&udp, 9000), "no more payload than one segment takes");
		tcp.payload = udp.payload = 1001;
		CLAIM(cuts(&tcp, 7) && cuts(&udp, 7), "odd lengths");
		CLAIM(cuts(&udp, 1000), "a last segment of one byte");
		tcp.payload = 60000;
		shape = tcp;
		shape.flags = ACK | FIN | PSH;
		CLAIM(cuts(&shape, MSS), "FIN and PSH are for the last segment");
		shape.flags = ACK | CWR | ECE;
		CLAIM(cuts(&shape, MSS), "CWR is for the first segment, ECE for all");
		shape = tcp;
		shape.tos = 3;
		CLAIM(cuts(&shape, MSS), "ECN bits are for all");
		shape.tcp_options = 12;
		CLAIM(cuts(&shape, MSS), "TCP timestamps are for all");
		shape.tcp_options = 40;
		shape.ip_options = 40;
		CLAIM(cuts(&shape, MSS), "the longest options there are");
		shape = tcp;
		shape.sequence = UINT32_MAX - 5000;
		shape.id = UINT16_MAX - 3;
		shape.fragmentable = true;
		CLAIM(cuts(&shape, MSS), "sequence and identification pass zero");
		udp.ip_options = 24;
		CLAIM(cuts(&udp, 100), "UDP behind IP options");
	}
}

/* A checksum of zero comes about for one value in 65536: find it. */
static void zero_checksums(void)
{
	struct shape udp = {.port = 0, .payload = 2000};
	unsigned int zeros = 0;
	bool whole = true;

	for (udp.port = 0; udp.port < UINT16_MAX; udp.port++) {
		struct packet super = make_super(super_bytes, &udp, 20);
		uint8_t bytes[100];
		struct split split;

		NEED(split_begin(&split, &super) == 0);
		for (unsigned int i = 0; i < 3; i++) {
			size_t size = segment(&split, i, bytes);

			zeros += bytes[26] == 0xff && bytes[27] == 0xff;
			whole &= bytes[26] | bytes[27] && is_whole(bytes, size, &(struct shape){0});
		}
	}
	CLAIM(zeros > 0 && whole, "a UDP checksum that comes out as zero is sent as ffff");
}

static bool refused(const struct packet *packet)
{
	struct split split;

	return split_begin(&split, packet) == -EINVAL;
}

static void hostile_headers(void)
{
	struct shape tcp = {.tcp = true, .flags = ACK, .payload = 5000};
	struct packet good = make_super(super_bytes, &tcp, MSS), bad;

	CLAIM(!refused(&good), "what the kernel says is believed");
	bad = good;
	bad.offload.gso_size = 0;
	CLAIM(refused(&bad), "segments of nothing");
	bad = good;
	bad.offload.flags = 0;
	CLAIM(refused(&bad), "a super-packet whose checksum nobody is to complete");
	bad = good;
	bad.offload.csum_start = 24;
	CLAIM(refused(&bad), "a transport header that is elsewhere");
	bad = good;
	bad.offload.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
	CLAIM(refused(&bad), "UDP segmentation of TCP");
	bad.offload.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	CLAIM(refused(&bad), "IPv6 segmentation of IPv4");
	bad.offload.gso_type = 77;
	CLAIM(refused(&bad), "a kind that nobody knows");
	bad = good;
	bad.size = 39;
	CLAIM(refused(&bad), "a packet that ends in its TCP header");
	bad = good;
	bad.size = 40;
	CLAIM(refused(&bad), "a packet without payload");
	bad = good;
	bad.offload.gso_size = 1;
	CLAIM(refused(&bad), "more segments than any kernel makes");
	bad = good;
	bad.data[32] = 0x40;
	CLAIM(refused(&bad), "a TCP header shorter than TCP's");
	bad.data[32] = 0x50;
	bad.data[6] = 0x20;
	CLAIM(refused(&bad), "a fragment");
}

static void completes_checksums(void)
{
	struct shape shapes[] = {{.payload = 777}, {.tcp = true, .payload = 1}, {.ipv6 = true, .payload = 90}};
	struct packet packet, before;

	for (size_t i = 0; i < 3; i++) {
		packet = make_super(super_bytes, &shapes[i], 1);
		packet.offload.gso_type = VIRTIO_NET_HDR_GSO_NONE;
		CLAIM(split_complete(&packet) == 0 && is_whole(packet.data, packet.size, &shapes[i]) &&
			      packet.offload.flags == 0,
		      "a checksum left to the device is completed");
	}
	before = packet;
	CLAIM(split_complete(&packet) == 0 && packet.data == before.data && packet.size == before.size,
	      "a complete packet stays as it is");
	packet.offload.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	packet.offload.csum_start = (uint16_t)(packet.size - 1);
	packet.offload.csum_offset = 0;
	CLAIM(split_complete(&packet) == -EINVAL, "a checksum behind the packet is refused");
	packet.offload.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	packet.offload.csum_start = UINT16_MAX;
	packet.offload.csum_offset = UINT16_MAX;
	CLAIM(split_complete(&packet) == -EINVAL, "however far behind");
}

void test_split(void)
{
	awkward_cases();
	zero_checksums();
	hostile_headers();
	completes_checksums();
}
