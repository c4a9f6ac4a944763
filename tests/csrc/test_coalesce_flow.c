/*
 * What comes out is written down as text: "0+1 2" is packets 0 and 1 joined, then packet 2 alone.
 * gives() also checks all that must always hold: a single packet is untouched, and cutting a
 * super-packet again gives the packets it was joined from.
 */
#include "coalesce.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "flow.h"
#include "ip.h"
#include "split.h"
#include "test.h"
#include "transport.h"

enum { MSS = 100, ALL = COALESCE_TCP4 | COALESCE_TCP6 | COALESCE_UDP4 | COALESCE_UDP6 };
enum { STORE = 300000, PACKETS = COALESCE_PACKETS };

static struct {
	struct coalescer *coalescer;
	uint8_t now[STORE], before[STORE]; /* the packets, one behind the other */
	size_t start[PACKETS + 1];
	unsigned int count;
} given;

static uint8_t payload[FLOW_PACKET_MAX];

static void forget_packets(void)
{
	coalesce_reset(given.coalescer);
	given.count = 0;
}

/* Add a packet as it is. */
static void add_bytes(const uint8_t *packet, size_t size)
{
	size_t start = given.start[given.count];

	NEED(start + size <= STORE && given.count < PACKETS);
	memcpy(given.now + start, packet, size);
	memcpy(given.before + start, packet, size);
	NEED(coalesce_add(given.coalescer, given.now + start, size));
	given.start[++given.count] = start + size;
}

/* Write the flow's next packet of `size` bytes of payload, and move the flow on. */
static size_t next_packet(struct flow *flow, size_t size, uint8_t *packet)
{
	size_t whole = flow_packet(flow, payload + flow->sequence % 1000, size, packet);

	flow->sequence += (uint32_t)size;
	flow->id++;
	return whole;
}

static void add(struct flow *flow, size_t size)
{
	static uint8_t packet[FLOW_PACKET_MAX];

	add_bytes(packet, next_packet(flow, size, packet));
}

/* Add one packet of the flow with other flags, TCP. */
static void add_flags(struct flow *flow, size_t size, uint8_t flags)
{
	struct flow other = *flow;

	other.flags = flags;
	add(&other, size);
	flow->sequence = other.sequence;
	flow->id = other.id;
}

/* Which packet an iovec points into. */
static unsigned int owner(const struct iovec *piece)
{
	size_t at = (size_t)((const uint8_t *)piece->iov_base - given.now);
	unsigned int i = 0;

	while (at >= given.start[i + 1])
		i++;
	return i;
}

static const uint8_t *original(unsigned int i, size_t *size)
{
	*size = given.start[i + 1] - given.start[i];
	return given.before + given.start[i];
}

/* Whether cutting the item gives what it was joined from, apart from meaningless ids (RFC 6864). */
static bool is_reversible(const struct coalesced *item, const struct iovec *iov)
{
	static uint8_t data[FLOW_PACKET_MAX], made[FLOW_PACKET_MAX];
	struct packet super = {.data = data, .offload = item->offload};
	struct split split;
	bool same;

	for (unsigned int i = 0; i < item->iov_count; i++) {
		memcpy(data + super.size, iov[i].iov_base, iov[i].iov_len);
		super.size += (uint32_t)iov[i].iov_len;
	}
	same = super.size == item->size && split_begin(&split, &super) == 0 &&
	       split.count == item->packets && item->offload.hdr_len == split.header_size;
	for (unsigned int i = 0; same && i < split.count; i++) {
		struct iovec piece;
		size_t size;
		const uint8_t *wanted = original(owner(&iov[i]), &size);
		bool df = load16(wanted + IPV4_FRAGMENT) & IPV4_DONT_FRAGMENT;

		split_segment(&split, i, made, &piece);
		memcpy(made + split.header_size, piece.iov_base, piece.iov_len);
		if (ip_version(made) == 4 && df) {
			same = flow_is_sound(made, size);
			memcpy(made + IPV4_ID, wanted + IPV4_ID, 2);
			memcpy(made + IPV4_CHECKSUM, wanted + IPV4_CHECKSUM, 2);
		}
		same &= split.header_size + piece.iov_len == size && memcmp(made, wanted, size) == 0;
	}
	return same;
}

static bool is_untouched(const struct coalesced *item, const struct iovec *iov)
{
	static const struct virtio_net_hdr none;
	size_t size;
	const uint8_t *wanted = original(owner(iov), &size);

	return memcmp(&item->offload, &none, sizeof(none)) == 0 && item->iov_count == 1 &&
	       iov->iov_len == size && item->size == size &&
	       memcmp(iov->iov_base, wanted, size) == 0;
}

/* Fetch everything, write down what it is, and forget it. False: something is wrong with an item. */
static bool fetch(char *text, size_t room)
{
	struct iovec iov[COALESCE_IOV];
	struct coalesced item;
	bool good = true;
	size_t used = 0;

	text[0] = 0;
	while (coalesce_next(given.coalescer, &item, iov)) {
		good &= item.packets == item.iov_count;
		good &= item.packets > 1 ? is_reversible(&item, iov) : is_untouched(&item, iov);
		for (unsigned int i = 0; i < item.iov_count && used < room - 8; i++)
			used += (size_t)snprintf(text + used, room - used, "%s%u",
						 i ? "+" : used ? " " : "", owner(&iov[i]));
	}
	forget_packets();
	return good;
}

static bool gives(const char *expected)
{
	char text[20 * COALESCE_SEGMENTS];

	if (!fetch(text, sizeof(text)))
		return false;
	if (strcmp(text, expected) != 0)
		printf("got %s, expected %s\n", text, expected);
	return strcmp(text, expected) == 0;
}

static void lengths(bool ipv6, bool udp)
{
	struct flow flow = udp ? flow_udp(ipv6) : flow_tcp(ipv6);

	for (unsigned int i = 0; i < 4; i++)
		add(&flow, MSS);
	CLAIM(gives("0+1+2+3"), "packets of one size are joined, the last as long as the others");
	add(&flow, MSS);
	add(&flow, MSS - 1);
	add(&flow, MSS);
	CLAIM(gives("0+1 2"), "a shorter packet ends its super-packet");
	add(&flow, MSS);
	add(&flow, 1);
	add(&flow, 1);
	CLAIM(gives("0+1 2"), "even of one byte, and the next begins another");
	add(&flow, MSS);
	add(&flow, MSS + 1);
	add(&flow, MSS + 1);
	CLAIM(gives("0 1+2"), "a longer packet begins another");
	add(&flow, 33);
	add(&flow, 33);
	add(&flow, 32);
	CLAIM(gives("0+1+2"), "odd sizes are joined like any");
	add(&flow, MSS);
	add(&flow, 0);
	add(&flow, MSS);
	CLAIM(gives("0 1 2"), "a packet without payload is not joined, nor overtaken");
	add(&flow, MSS);
	CLAIM(gives("0"), "a packet alone stays as it was");
	CLAIM(gives(""), "and nothing gives nothing");
}

static void limits(bool ipv6, bool udp)
{
	struct flow flow = udp ? flow_udp(ipv6) : flow_tcp(ipv6);
	struct iovec iov[COALESCE_IOV];
	struct coalesced item;
	unsigned int most = udp ? 64 : COALESCE_SEGMENTS;
	bool fits = true;

	for (unsigned int i = 0; i < most + 2; i++)
		add(&flow, 10);
	CLAIM(coalesce_next(given.coalescer, &item, iov) && item.packets == most,
	      "a super-packet has at most COALESCE_SEGMENTS packets, of UDP what old kernels take");
	CLAIM(coalesce_next(given.coalescer, &item, iov) && item.packets == 2, "then another begins");
	forget_packets();
	for (unsigned int i = 0; i < 16; i++)
		add(&flow, 9000);
	while (coalesce_next(given.coalescer, &item, iov))
		fits &= item.size <= 65535 && item.packets <= 7;
	CLAIM(fits, "and at most 65535 bytes");
	forget_packets();
}

/* Two packets between which one thing differs. */
#define APART(start, change, claim) \
	do { \
		struct flow one = (start), other; \
		add(&one, MSS); \
		other = one; \
		change; \
		add(&other, MSS); \
		CLAIM(gives("0 1"), claim); \
	} while (0)

static void what_differs(void)
{
	const struct flow tcp = flow_tcp(false), tcp6 = flow_tcp(true), udp = flow_udp(false);
	struct flow flow = tcp;

	APART(tcp, other.tos = 0x03, "an ECN mark is not lost");
	APART(tcp6, other.tos = 0x03, "in a traffic class, either");
	APART(tcp, other.ttl--, "TTLs are equal");
	APART(tcp6, other.ttl--, "and hop limits");
	APART(tcp6, other.label++, "and flow labels");
	APART(tcp, other.fragment = 0, "and don't-fragment");
	APART(tcp, other.host++, "and addresses");
	APART(tcp6, other.host++, "of both families");
	APART(udp, other.source++, "and ports");
	APART(udp, other.destination++, "both of them");
	APART(tcp, other.udp = true, "and protocols");
	APART(tcp, other.sequence++, "a gap in the sequence is kept");
	APART(tcp, other.sequence -= MSS, "so is a repetition");
	APART(tcp, other.acknowledgment++, "every acknowledgment is");
	APART(tcp, other.window++, "every window update is, as in the kernel");
	APART(tcp, other.urgent++, "and every urgent pointer");
	APART(tcp, other.options[11]++, "every timestamp is");
	APART(tcp, other.options_size = 8, "options have one length");
	APART(tcp, other.flags |= TCP_ECE, "an ECN echo is not lost");

	flow.fragment = 0;
	add(&flow, MSS);
	add(&flow, MSS);
	flow.id++;
	add(&flow, MSS);
	flow.id--;
	add(&flow, MSS);
	CLAIM(gives("0+1 2 3"), "without don't-fragment the ids count up");
	flow.fragment = IPV4_DONT_FRAGMENT;
	add(&flow, MSS);
	flow.id = 3;
	add(&flow, MSS);
	flow.id = 3;
	add(&flow, MSS);
	CLAIM(gives("0+1+2"), "with it they mean nothing");
}

static void tcp_flags(bool ipv6)
{
	const uint8_t alone[] = {0x02 | TCP_ACK, 0x04 | TCP_ACK, 0x20 | TCP_ACK, TCP_CWR | TCP_ACK, 0};
	struct flow flow = flow_tcp(ipv6);

	for (size_t i = 0; i < sizeof(alone); i++) {
		add(&flow, MSS);
		add_flags(&flow, MSS, alone[i]);
		add_flags(&flow, MSS, alone[i]);
		add(&flow, MSS);
		CLAIM(gives("0 1 2 3"), "SYN, RST, URG, CWR and no ACK are not joined, nor overtaken");
	}
	add(&flow, MSS);
	add_flags(&flow, MSS, TCP_ACK | TCP_PSH);
	add(&flow, MSS);
	CLAIM(gives("0+1 2"), "PSH ends a super-packet, which has it then");
	add(&flow, MSS);
	add_flags(&flow, MSS, TCP_ACK | TCP_PSH | TCP_FIN);
	add(&flow, MSS);
	CLAIM(gives("0+1 2"), "so does FIN");
	add_flags(&flow, MSS, TCP_ACK | TCP_PSH);
	add(&flow, MSS);
	CLAIM(gives("0 1"), "the first packet's PSH ends it, too");
	for (unsigned int i = 0; i < 3; i++)
		add_flags(&flow, MSS, TCP_ACK | TCP_ECE);
	CLAIM(gives("0+1+2"), "what all have in common, such as ECE, they keep");
}

static void unsuited(void)
{
	static uint8_t packet[FLOW_PACKET_MAX];
	struct flow flow = flow_udp(false), other = flow_tcp(false), fragment = flow_udp(false);
	uint8_t zeros[MSS] = {0};
	size_t size;

	flow.extra_size = 4; /* end of options */
	add(&flow, MSS);
	add(&flow, MSS);
	CLAIM(gives("0 1"), "packets with IPv4 options are not joined");
	flow = flow_udp(true);
	flow.extra[0] = IPPROTO_UDP;
	flow.extra_size = 8;
	flow.extra_protocol = IPPROTO_DSTOPTS;
	add(&flow, MSS);
	add(&flow, MSS);
	CLAIM(gives("0 1"), "nor those with IPv6 extension headers");

	flow = flow_udp(false);
	for (unsigned int i = 0; i < 2; i++) { /* one that would be 0xffff, so that 0 adds up, too */
		flow_packet(&flow, zeros, MSS, packet);
		memcpy(zeros + MSS - 2, packet + IPV4_HEADER + UDP_CHECKSUM, 2);
		size = flow_packet(&flow, zeros, MSS, packet);
		NEED(load16(packet + IPV4_HEADER + UDP_CHECKSUM) == 0xffff);
		store16(packet + IPV4_HEADER + UDP_CHECKSUM, 0);
		add_bytes(packet, size);
		memset(zeros, 0, sizeof(zeros));
	}
	CLAIM(gives("0 1"), "nor UDP without a checksum");

	fragment.fragment = 0x2000; /* more fragments */
	add(&flow, MSS);
	add(&other, MSS);
	add(&fragment, MSS);
	add(&flow, MSS);
	add(&other, MSS);
	CLAIM(gives("0 1 2 3 4"), "nor fragments, and they are not overtaken");

	for (unsigned int i = 0; i < 2; i++) {
		size = next_packet(&other, 10, packet);
		packet[IPV4_HEADER + TCP_OFFSET] = 0xf0; /* 60 bytes, but 42 are there */
		add_bytes(packet, size);
	}
	CLAIM(gives("0 1"), "nor TCP whose header ends behind the packet");
	for (unsigned int i = 0; i < 2; i++) {
		uint8_t *check = packet + IPV4_HEADER + TCP_CHECKSUM;

		do /* until the sum carries nothing */
			size = next_packet(&other, MSS, packet);
		while (load16(check) < 0x100);
		packet[IPV4_HEADER + TCP_OFFSET] |= 1; /* accurate ECN */
		store16(check, (uint16_t)(load16(check) - 0x100));
		NEED(flow_is_sound(packet, size));
		add_bytes(packet, size);
	}
	CLAIM(gives("0 1"), "nor TCP with flags that offload may not know");
}

static void checksums(bool ipv6, bool udp)
{
	static uint8_t packet[FLOW_PACKET_MAX];
	struct flow flow = udp ? flow_udp(ipv6) : flow_tcp(ipv6);
	size_t size, last = flow_header_size(&flow) + MSS - 1;

	for (unsigned int broken = 0; broken < 3; broken++) {
		for (unsigned int i = 0; i < 4; i++) {
			size = next_packet(&flow, MSS, packet);
			packet[last] ^= i == broken;
			add_bytes(packet, size);
		}
		CLAIM(gives(broken == 0 ? "0 1+2+3" : broken == 1 ? "0 1 2+3" : "0+1 2 3"),
		      "a corrupt packet passes alone and untouched, the others are joined");
	}
	if (ipv6)
		return;
	for (unsigned int i = 0; i < 3; i++) {
		size = next_packet(&flow, MSS, packet);
		packet[IPV4_CHECKSUM] ^= i == 1;
		add_bytes(packet, size);
	}
	CLAIM(gives("0 1 2"), "so does one with a corrupt IP header");
}

static void several_flows(void)
{
	struct flow flows[40];
	char text[2000];

	for (unsigned int i = 0; i < 40; i++) {
		flows[i] = i & 1 ? flow_udp(i & 2) : flow_tcp(i & 2);
		flows[i].source = (uint16_t)(1000 + i);
	}
	for (unsigned int i = 0; i < 9; i++)
		add(&flows[i % 3], MSS);
	CLAIM(gives("0+3+6 1+4+7 2+5+8"), "interleaved flows are joined each with itself");
	for (unsigned int i = 0; i < 32; i++)
		add(&flows[i % 16], MSS);
	CLAIM(fetch(text, sizeof(text)) && strstr(text, "0+16 ") && strstr(text, "15+31"),
	      "sixteen at a time");
	for (unsigned int i = 0; i < 120; i++)
		add(&flows[i % 40], MSS);
	CLAIM(fetch(text, sizeof(text)) && strncmp(text, "0 1 2 3", 7) == 0,
	      "more pass through, unjoined and in order");
	add(&flows[0], MSS);
	add(&flows[1], MSS);
	add_flags(&flows[0], 0, TCP_ACK);
	add(&flows[1], MSS);
	add(&flows[0], MSS);
	CLAIM(gives("0 1+3 2 4"), "a packet that cannot join ends its own flow's item only");
}

static void kinds(void)
{
	struct flow flows[4] = {flow_tcp(false), flow_tcp(true), flow_udp(false), flow_udp(true)};
	char expected[] = "0+4 1 2 3 5 6 7";

	for (unsigned int kind = 0; kind < 4; kind++) {
		coalesce_set_kinds(given.coalescer, 1u << kind);
		for (unsigned int i = 0; i < 8; i++)
			add(&flows[i % 4], MSS);
		if (kind == 0)
			CLAIM(gives(expected), "only the kinds asked for are joined");
		else
			CLAIM(gives(kind == 1   ? "0 1+5 2 3 4 6 7"
				    : kind == 2 ? "0 1 2+6 3 4 5 7"
						: "0 1 2 3+7 4 5 6"),
			      "whichever it is");
	}
	add(&flows[3], MSS);
	coalesce_set_kinds(given.coalescer, 0);
	add(&flows[3], MSS);
	coalesce_set_kinds(given.coalescer, ALL);
	add(&flows[3], MSS);
	CLAIM(gives("0 1 2"), "a kind that comes back overtakes nothing");
}

static void capacity(void)
{
	struct flow flow = flow_udp(false);
	uint8_t packet[100];
	size_t size;

	for (unsigned int i = 0; i < COALESCE_PACKETS; i++)
		add(&flow, 10);
	size = next_packet(&flow, 10, packet);
	CLAIM(!coalesce_add(given.coalescer, packet, size), "a full coalescer takes nothing more");
	forget_packets();
	add(&flow, 10);
	CLAIM(gives("0"), "until it is emptied");
}

/* Random packets of a few flows: what gives() checks of each item must hold of any. */
static void anything(void)
{
	struct flow flows[4] = {flow_tcp(false), flow_tcp(true), flow_udp(false), flow_udp(true)};
	char text[4000];
	uint32_t random = 99;
	unsigned int joined = 0;
	bool good = true;

	for (unsigned int round = 0; round < 300; round++) {
		for (unsigned int i = 0; i < 50; i++) {
			uint32_t dice = test_random(&random);
			struct flow *flow = &flows[dice >> 4 & 3];

			flow->fragment = dice & 0x40 ? 0 : IPV4_DONT_FRAGMENT;
			if ((dice & 15) == 0)
				flow->window++;
			if ((dice & 15) == 1)
				add(flow, test_random(&random) % 1500);
			else if ((dice & 15) == 2 && !flow->udp)
				add_flags(flow, MSS, (uint8_t)(dice >> 8));
			else
				add(flow, MSS + (dice >> 4 & 1));
		}
		good &= fetch(text, sizeof(text));
		joined += strchr(text, '+') != NULL;
	}
	CLAIM(good, "whatever is joined is cut again to the same packets");
	CLAIM(joined == 300, "and something was joined in every round");
}

/* A super-packet that is cut and joined again is the same super-packet. */
static void there_and_back(void)
{
	static uint8_t data[FLOW_PACKET_MAX], segment[FLOW_PACKET_MAX], joined[FLOW_PACKET_MAX];
	uint32_t random = 3;
	bool same = true;

	for (unsigned int round = 0; round < 400; round++) {
		struct flow flow = round & 1 ? flow_udp(round & 2) : flow_tcp(round & 2);
		uint16_t mss = (uint16_t)(20 + test_random(&random) % 1500);
		size_t most = (size_t)mss * (flow.udp ? 64 : COALESCE_SEGMENTS), size;
		struct iovec piece, iov[COALESCE_IOV];
		struct coalesced item;
		struct packet super;
		struct split split;

		if (most > 64000)
			most = 64000;
		size = mss + 1 + test_random(&random) % (most - mss - 1);
		flow.flags |= (uint8_t)(test_random(&random) & (TCP_FIN | TCP_PSH | TCP_ECE));
		flow.fragment = round & 4 ? 0 : IPV4_DONT_FRAGMENT;
		flow_super(&flow, payload, size, mss, data, &super);
		NEED(split_begin(&split, &super) == 0);
		for (unsigned int i = 0; i < split.count; i++) {
			split_segment(&split, i, segment, &piece);
			memcpy(segment + split.header_size, piece.iov_base, piece.iov_len);
			add_bytes(segment, split.header_size + piece.iov_len);
		}
		same &= coalesce_next(given.coalescer, &item, iov) && item.size == super.size &&
			item.packets == split.count &&
			memcmp(&item.offload, &super.offload, sizeof(item.offload)) == 0;
		for (unsigned int i = 0, at = 0; i < item.iov_count; at += iov[i++].iov_len)
			memcpy(joined + at, iov[i].iov_base, iov[i].iov_len);
		same &= memcmp(joined, data, super.size) == 0 &&
			!coalesce_next(given.coalescer, &item, iov);
		forget_packets();
	}
	CLAIM(same, "a super-packet that is cut and joined is the same again, virtio header included");
}

void test_coalesce_flow(void)
{
	uint32_t random = 11;

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)test_random(&random);
	given.coalescer = coalesce_new(ALL);
	NEED(given.coalescer);
	for (unsigned int kind = 0; kind < 4; kind++) {
		lengths(kind & 2, kind & 1);
		limits(kind & 2, kind & 1);
		checksums(kind & 2, kind & 1);
	}
	what_differs();
	tcp_flags(false);
	tcp_flags(true);
	unsuited();
	several_flows();
	kinds();
	capacity();
	anything();
	there_and_back();
	coalesce_free(given.coalescer);
}
