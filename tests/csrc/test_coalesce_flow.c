/* Which packets of a flow are joined, and which are not. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "ip.h"
#include "joining.h"
#include "test.h"
#include "transport.h"

static void lengths(bool ipv6, bool udp)
{
	struct flow flow = udp ? flow_udp(ipv6) : flow_tcp(ipv6);

	for (unsigned int i = 0; i < 4; i++)
		joining_add(&flow, MSS);
	CLAIM(joining_gives("0+1+2+3"), "packets of one size are joined, the last as long as the others");
	joining_add(&flow, MSS);
	joining_add(&flow, MSS - 1);
	joining_add(&flow, MSS);
	CLAIM(joining_gives("0+1 2"), "a shorter packet ends its super-packet");
	joining_add(&flow, MSS);
	joining_add(&flow, 1);
	joining_add(&flow, 1);
	CLAIM(joining_gives("0+1 2"), "even of one byte, and the next begins another");
	joining_add(&flow, MSS);
	joining_add(&flow, MSS + 1);
	joining_add(&flow, MSS + 1);
	CLAIM(joining_gives("0 1+2"), "a longer packet begins another");
	joining_add(&flow, 33);
	joining_add(&flow, 33);
	joining_add(&flow, 32);
	CLAIM(joining_gives("0+1+2"), "odd sizes are joined like any");
	joining_add(&flow, MSS);
	joining_add(&flow, 0);
	joining_add(&flow, MSS);
	CLAIM(joining_gives("0 1 2"), "a packet without joining_payload is not joined, nor overtaken");
	joining_add(&flow, MSS);
	CLAIM(joining_gives("0"), "a packet alone stays as it was");
	CLAIM(joining_gives(""), "and nothing gives nothing");
}

static void limits(struct coalescer *coalescer, bool ipv6, bool udp)
{
	struct flow flow = udp ? flow_udp(ipv6) : flow_tcp(ipv6);
	struct iovec iov[COALESCE_IOV];
	struct coalesced item;
	unsigned int most = udp ? 64 : COALESCE_SEGMENTS;
	bool fits = true;

	for (unsigned int i = 0; i < most + 2; i++)
		joining_add(&flow, 10);
	CLAIM(coalesce_next(coalescer, &item, iov) && item.packets == most,
	      "a super-packet has at most COALESCE_SEGMENTS packets, of UDP what old kernels take");
	CLAIM(coalesce_next(coalescer, &item, iov) && item.packets == 2, "then another begins");
	joining_forget();
	for (unsigned int i = 0; i < 16; i++)
		joining_add(&flow, 9000);
	while (coalesce_next(coalescer, &item, iov))
		fits &= item.size <= 65535 && item.packets <= 7;
	CLAIM(fits, "and at most 65535 bytes");
	joining_forget();
}

/* Two packets between which one thing differs. */
#define APART(start, change, claim) \
	do { \
		struct flow one = (start), other; \
		joining_add(&one, MSS); \
		other = one; \
		change; \
		joining_add(&other, MSS); \
		CLAIM(joining_gives("0 1"), claim); \
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
	joining_add(&flow, MSS);
	joining_add(&flow, MSS);
	flow.id++;
	joining_add(&flow, MSS);
	flow.id--;
	joining_add(&flow, MSS);
	CLAIM(joining_gives("0+1 2 3"), "without don't-fragment the ids count up");
	flow.fragment = IPV4_DONT_FRAGMENT;
	joining_add(&flow, MSS);
	flow.id = 3;
	joining_add(&flow, MSS);
	flow.id = 3;
	joining_add(&flow, MSS);
	CLAIM(joining_gives("0+1+2"), "with it they mean nothing");
}

static void tcp_flags(bool ipv6)
{
	const uint8_t alone[] = {0x02 | TCP_ACK, 0x04 | TCP_ACK, 0x20 | TCP_ACK, TCP_CWR | TCP_ACK, 0};
	struct flow flow = flow_tcp(ipv6);

	for (size_t i = 0; i < sizeof(alone); i++) {
		joining_add(&flow, MSS);
		joining_add_flags(&flow, MSS, alone[i]);
		joining_add_flags(&flow, MSS, alone[i]);
		joining_add(&flow, MSS);
		CLAIM(joining_gives("0 1 2 3"), "SYN, RST, URG, CWR and no ACK are not joined, nor overtaken");
	}
	joining_add(&flow, MSS);
	joining_add_flags(&flow, MSS, TCP_ACK | TCP_PSH);
	joining_add(&flow, MSS);
	CLAIM(joining_gives("0+1 2"), "PSH ends a super-packet, which has it then");
	joining_add(&flow, MSS);
	joining_add_flags(&flow, MSS, TCP_ACK | TCP_PSH | TCP_FIN);
	joining_add(&flow, MSS);
	CLAIM(joining_gives("0+1 2"), "so does FIN");
	joining_add_flags(&flow, MSS, TCP_ACK | TCP_PSH);
	joining_add(&flow, MSS);
	CLAIM(joining_gives("0 1"), "the first packet's PSH ends it, too");
	for (unsigned int i = 0; i < 3; i++)
		joining_add_flags(&flow, MSS, TCP_ACK | TCP_ECE);
	CLAIM(joining_gives("0+1+2"), "what all have in common, such as ECE, they keep");
}

static void unsuited(void)
{
	static uint8_t packet[FLOW_PACKET_MAX];
	struct flow flow = flow_udp(false), other = flow_tcp(false), fragment = flow_udp(false);
	uint8_t zeros[MSS] = {0};
	size_t size;

	flow.extra_size = 4; /* end of options */
	joining_add(&flow, MSS);
	joining_add(&flow, MSS);
	CLAIM(joining_gives("0 1"), "packets with IPv4 options are not joined");
	flow = flow_udp(true);
	flow.extra[0] = IPPROTO_UDP;
	flow.extra_size = 8;
	flow.extra_protocol = IPPROTO_DSTOPTS;
	joining_add(&flow, MSS);
	joining_add(&flow, MSS);
	CLAIM(joining_gives("0 1"), "nor those with IPv6 extension headers");

	flow = flow_udp(false);
	for (unsigned int i = 0; i < 2; i++) { /* one that would be 0xffff, so that 0 adds up, too */
		flow_packet(&flow, zeros, MSS, packet);
		memcpy(zeros + MSS - 2, packet + IPV4_HEADER + UDP_CHECKSUM, 2);
		size = flow_packet(&flow, zeros, MSS, packet);
		NEED(load16(packet + IPV4_HEADER + UDP_CHECKSUM) == 0xffff);
		store16(packet + IPV4_HEADER + UDP_CHECKSUM, 0);
		joining_add_bytes(packet, size);
		memset(zeros, 0, sizeof(zeros));
	}
	CLAIM(joining_gives("0 1"), "nor UDP without a checksum");

	fragment.fragment = 0x2000; /* more fragments */
	joining_add(&flow, MSS);
	joining_add(&other, MSS);
	joining_add(&fragment, MSS);
	joining_add(&flow, MSS);
	joining_add(&other, MSS);
	CLAIM(joining_gives("0 1 2 3 4"), "nor fragments, and they are not overtaken");

	for (unsigned int i = 0; i < 2; i++) {
		size = joining_next_packet(&other, 10, packet);
		packet[IPV4_HEADER + TCP_OFFSET] = 0xf0; /* 60 bytes, but 42 are there */
		joining_add_bytes(packet, size);
	}
	CLAIM(joining_gives("0 1"), "nor TCP whose header ends behind the packet");
	for (unsigned int i = 0; i < 2; i++) {
		uint8_t *check = packet + IPV4_HEADER + TCP_CHECKSUM;

		do /* until the sum carries nothing */
			size = joining_next_packet(&other, MSS, packet);
		while (load16(check) < 0x100);
		packet[IPV4_HEADER + TCP_OFFSET] |= 1; /* accurate ECN */
		store16(check, (uint16_t)(load16(check) - 0x100));
		NEED(flow_is_sound(packet, size));
		joining_add_bytes(packet, size);
	}
	CLAIM(joining_gives("0 1"), "nor TCP with flags that offload may not know");
}

static void checksums(bool ipv6, bool udp)
{
	static uint8_t packet[FLOW_PACKET_MAX];
	struct flow flow = udp ? flow_udp(ipv6) : flow_tcp(ipv6);
	size_t size, last = flow_header_size(&flow) + MSS - 1;

	for (unsigned int broken = 0; broken < 3; broken++) {
		for (unsigned int i = 0; i < 4; i++) {
			size = joining_next_packet(&flow, MSS, packet);
			packet[last] ^= i == broken;
			joining_add_bytes(packet, size);
		}
		CLAIM(joining_gives(broken == 0 ? "0 1+2+3" : broken == 1 ? "0 1 2+3" : "0+1 2 3"),
		      "a corrupt packet passes alone and untouched, the others are joined");
	}
	if (ipv6)
		return;
	for (unsigned int i = 0; i < 3; i++) {
		size = joining_next_packet(&flow, MSS, packet);
		packet[IPV4_CHECKSUM] ^= i == 1;
		joining_add_bytes(packet, size);
	}
	CLAIM(joining_gives("0 1 2"), "so does one with a corrupt IP header");
}

void test_coalesce_flow(void)
{
	struct coalescer *coalescer = joining_open();

	for (unsigned int kind = 0; kind < 4; kind++) {
		lengths(kind & 2, kind & 1);
		limits(coalescer, kind & 2, kind & 1);
		checksums(kind & 2, kind & 1);
	}
	what_differs();
	tcp_flags(false);
	tcp_flags(true);
	unsuited();
	joining_close();
}
