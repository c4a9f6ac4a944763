/* Many packets of many flows, and super-packets that are cut and joined again. */
#include <string.h>

#include "ip.h"
#include "joining.h"
#include "split.h"
#include "test.h"
#include "transport.h"

static void several_flows(void)
{
	struct flow flows[40];
	char text[2000];

	for (unsigned int i = 0; i < 40; i++) {
		flows[i] = i & 1 ? flow_udp(i & 2) : flow_tcp(i & 2);
		flows[i].source = (uint16_t)(1000 + i);
	}
	for (unsigned int i = 0; i < 9; i++)
		joining_add(&flows[i % 3], MSS);
	CLAIM(joining_gives("0+3+6 1+4+7 2+5+8"), "interleaved flows are joined each with itself");
	for (unsigned int i = 0; i < 32; i++)
		joining_add(&flows[i % 16], MSS);
	CLAIM(joining_fetch(text, sizeof(text)) && strstr(text, "0+16 ") && strstr(text, "15+31"),
	      "sixteen at a time");
	for (unsigned int i = 0; i < 120; i++)
		joining_add(&flows[i % 40], MSS);
	CLAIM(joining_fetch(text, sizeof(text)) && strncmp(text, "0 1 2 3", 7) == 0,
	      "more pass through, unjoined and in order");
	joining_add(&flows[0], MSS);
	joining_add(&flows[1], MSS);
	joining_add_flags(&flows[0], 0, TCP_ACK);
	joining_add(&flows[1], MSS);
	joining_add(&flows[0], MSS);
	CLAIM(joining_gives("0 1+3 2 4"), "a packet that cannot join ends its own flow's item only");
}

static void kinds(struct coalescer *coalescer)
{
	struct flow flows[4] = {flow_tcp(false), flow_tcp(true), flow_udp(false), flow_udp(true)};
	char expected[] = "0+4 1 2 3 5 6 7";

	for (unsigned int kind = 0; kind < 4; kind++) {
		coalesce_set_kinds(coalescer, 1u << kind);
		for (unsigned int i = 0; i < 8; i++)
			joining_add(&flows[i % 4], MSS);
		if (kind == 0)
			CLAIM(joining_gives(expected), "only the kinds asked for are joined");
		else
			CLAIM(joining_gives(kind == 1   ? "0 1+5 2 3 4 6 7"
				    : kind == 2 ? "0 1 2+6 3 4 5 7"
						: "0 1 2 3+7 4 5 6"),
			      "whichever it is");
	}
	joining_add(&flows[3], MSS);
	coalesce_set_kinds(coalescer, 0);
	joining_add(&flows[3], MSS);
	coalesce_set_kinds(coalescer, ALL);
	joining_add(&flows[3], MSS);
	CLAIM(joining_gives("0 1 2"), "a kind that comes back overtakes nothing");
}

static void capacity(struct coalescer *coalescer)
{
	struct flow flow = flow_udp(false);
	uint8_t packet[100];
	size_t size;

	for (unsigned int i = 0; i < COALESCE_PACKETS; i++)
		joining_add(&flow, 10);
	size = joining_next_packet(&flow, 10, packet);
	CLAIM(!coalesce_add(coalescer, packet, size), "a full coalescer takes nothing more");
	joining_forget();
	joining_add(&flow, 10);
	CLAIM(joining_gives("0"), "until it is emptied");
}

/* Random packets of a few flows: what joining_gives() checks of each item must hold of any. */
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
				joining_add(flow, test_random(&random) % 1500);
			else if ((dice & 15) == 2 && !flow->udp)
				joining_add_flags(flow, MSS, (uint8_t)(dice >> 8));
			else
				joining_add(flow, MSS + (dice >> 4 & 1));
		}
		good &= joining_fetch(text, sizeof(text));
		joined += strchr(text, '+') != NULL;
	}
	CLAIM(good, "whatever is joined is cut again to the same packets");
	CLAIM(joined == 300, "and something was joined in every round");
}

/* A super-packet that is cut and joined again is the same super-packet. */
static void there_and_back(struct coalescer *coalescer)
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
		flow_super(&flow, joining_payload, size, mss, data, &super);
		NEED(split_begin(&split, &super) == 0);
		for (unsigned int i = 0; i < split.count; i++) {
			split_segment(&split, i, segment, &piece);
			memcpy(segment + split.header_size, piece.iov_base, piece.iov_len);
			joining_add_bytes(segment, split.header_size + piece.iov_len);
		}
		same &= coalesce_next(coalescer, &item, iov) && item.size == super.size &&
			item.packets == split.count &&
			memcmp(&item.offload, &super.offload, sizeof(item.offload)) == 0;
		for (unsigned int i = 0, at = 0; i < item.iov_count; at += iov[i++].iov_len)
			memcpy(joined + at, iov[i].iov_base, iov[i].iov_len);
		same &= memcmp(joined, data, super.size) == 0 &&
			!coalesce_next(coalescer, &item, iov);
		joining_forget();
	}
	CLAIM(same, "a super-packet that is cut and joined is the same again, virtio header included");
}

void test_coalesce_many(void)
{
	struct coalescer *coalescer = joining_open();

	several_flows();
	kinds(coalescer);
	capacity(coalescer);
	anything();
	there_and_back(coalescer);
	joining_close();
}
