/*
 * fuzz_coalesce.c - arbitrary sequences of packets through coalesce.c, and back through split.c.
 *
 * An input is: a byte of kinds, then commands of three bytes: which of eight flows sends, how long a
 * payload, and what is special about the packet. A packet may also be given byte by byte. Besides
 * what the sanitizers see (buffers end where packets end), it must hold that
 *
 *   - every packet comes out, once, and packets of one flow keep their order;
 *   - a packet that comes out alone is untouched and asks for nothing;
 *   - a super-packet is of a kind asked for and within its limits, and cutting it gives the packets
 *     it was joined from, all of them sound: nothing corrupt was joined.
 */
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "coalesce.h"
#include "flow.h"
#include "ip.h"
#include "split.h"
#include "transport.h"

enum { COMMAND = 3, FLOWS = 8, PACKETS = 200, IP_SIZE_MAX = 65535 };

#define HOLD(claim) \
	do { \
		if (!(claim)) \
			abort(); \
	} while (0)

/* A packet that was added, in a buffer of its own, and what it was before. */
struct given {
	uint8_t *now, *before;
	size_t size;
	bool seen;
};

struct trial {
	unsigned int kinds, count;
	struct flow flows[FLOWS];
	struct given given[PACKETS];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void keep(struct trial *trial, const uint8_t *packet, size_t size)
{
	struct given *given = &trial->given[trial->count];
	enum counter reason;

	if (!ip_valid(packet, size, &reason))
		return;
	*given = (struct given){.now = malloc(size), .before = malloc(size), .size = size};
	HOLD(given->now && given->before);
	memcpy(given->now, packet, size);
	memcpy(given->before, packet, size);
	trial->count++;
}

/* Change the flow for good; 16 such changes exist. */
static void change_flow(struct flow *flow, uint8_t which)
{
	switch (which & 15) {
	case 0: flow->window++; break;
	case 1: flow->acknowledgment++; break;
	case 2: flow->sequence++; break;
	case 3: flow->id++; break;
	case 4: flow->tos ^= 1; break;
	case 5: flow->ttl--; break;
	case 6: flow->fragment ^= IPV4_DONT_FRAGMENT; break;
	case 7: flow->fragment ^= 0x2000; break;
	case 8: flow->options[11]++; break;
	case 9: flow->options_size ^= 12; break;
	case 10: flow->flags ^= TCP_ECE; break;
	case 11: flow->flags ^= TCP_CWR; break;
	case 12: flow->urgent++; break;
	case 13: flow->label ^= 1; break;
	case 14: flow->extra_size ^= flow->ipv6 ? 8 : 4; break;
	default: flow->id = 0xffff; break;
	}
}

/* Send one packet of the flow; `special` says what is special about it, mostly nothing. */
static void add(struct trial *trial, struct flow *flow, uint8_t length, uint8_t special)
{
	static uint8_t packet[2048], payload[1024];
	size_t size = length & 0x80 ? 64 : length & 0x7f, whole;
	struct flow now = *flow;

	for (size_t i = 0; i < size; i++)
		payload[i] = (uint8_t)(special + i * 7);
	if (special == 1)
		now.flags |= TCP_PSH;
	if (special == 2)
		now.flags |= TCP_FIN;
	whole = flow_packet(&now, payload, size, packet);
	if (special == 3)
		packet[whole - 1] ^= 0x10;
	if (special == 4)
		store16(packet + flow_transport(flow) + UDP_CHECKSUM, 0);
	if (special >= 0xf0)
		change_flow(flow, special);
	keep(trial, packet, whole);
	flow->sequence += (uint32_t)size;
	flow->id++;
}

static void begin(struct trial *trial, uint8_t kinds)
{
	memset(trial, 0, sizeof(*trial));
	trial->kinds = kinds & 15;
	for (unsigned int i = 0; i < FLOWS; i++) {
		trial->flows[i] = i & 1 ? flow_udp(i & 2) : flow_tcp(i & 2);
		trial->flows[i].source = (uint16_t)(trial->flows[i].source + (i >> 2));
		trial->flows[i].extra_protocol = IPPROTO_DSTOPTS;
		trial->flows[i].extra[0] = i & 2 ? i & 1 ? IPPROTO_UDP : IPPROTO_TCP : 1;
	}
}

static void make_packets(struct trial *trial, const uint8_t *data, size_t size)
{
	while (size >= COMMAND && trial->count < PACKETS) {
		const uint8_t *command = data;

		data += COMMAND;
		size -= COMMAND;
		if (command[0] & 0x80) { /* the packet itself follows */
			size_t length = command[1] < size ? command[1] : size;

			keep(trial, data, length);
			data += length;
			size -= length;
		} else {
			add(trial, &trial->flows[command[0] % FLOWS], command[1], command[2]);
		}
	}
}

/* Which packet an iovec lies in. */
static unsigned int owner(const struct trial *trial, const struct iovec *piece)
{
	const uint8_t *at = piece->iov_base;

	for (unsigned int i = 0; i < trial->count; i++)
		if (at >= trial->given[i].now && at + piece->iov_len <= trial->given[i].now + trial->given[i].size)
			return i;
	abort();
}

static bool same_flow(const uint8_t *a, const uint8_t *b)
{
	if (ip_version(a) != ip_version(b))
		return false;
	if (ip_version(a) == 4) /* with the ports, where there are no options */
		return a[IPV4_PROTOCOL] == b[IPV4_PROTOCOL] && ipv4_header_size(a) == ipv4_header_size(b) &&
		       memcmp(a + IPV4_SOURCE, b + IPV4_SOURCE, 8) == 0;
	return a[IPV6_NEXT_HEADER] == b[IPV6_NEXT_HEADER] &&
	       memcmp(a + IPV6_SOURCE, b + IPV6_SOURCE, 2 * IPV6_ADDRESS) == 0;
}

/* Where the ports of a packet are, or 0: it is none that may be joined. */
static size_t ports_of(const struct given *given)
{
	size_t at = ip_version(given->before) == 4 ? ipv4_header_size(given->before) : (size_t)IPV6_HEADER;

	return at + 4 <= given->size ? at : 0;
}

/* A packet comes out: all of its flow that were given before it must have come out. */
static void take(struct trial *trial, unsigned int index)
{
	struct given *given = &trial->given[index];
	size_t ports = ports_of(given);

	HOLD(!given->seen);
	given->seen = true;
	for (unsigned int i = 0; i < index; i++) {
		const struct given *other = &trial->given[i];

		if (!other->seen && ports && ports == ports_of(other) &&
		    same_flow(given->before, other->before))
			HOLD(memcmp(given->before + ports, other->before + ports, 4) != 0);
	}
}

static void check_alone(const struct given *given, const struct coalesced *item,
			const struct iovec *iov)
{
	static const struct virtio_net_hdr none;

	HOLD(item->iov_count == 1 && iov->iov_base == given->now && iov->iov_len == given->size);
	HOLD(memcmp(&item->offload, &none, sizeof(none)) == 0 && item->size == given->size);
	HOLD(memcmp(given->now, given->before, given->size) == 0);
}

/* Compare a segment with what it was, apart from ids and checksums that say the same otherwise. */
static void check_segment(uint8_t *segment, size_t size, const struct given *given)
{
	uint8_t *before = given->before;
	bool ipv4 = ip_version(segment) == 4;
	bool udp = segment[ipv4 ? (int)IPV4_PROTOCOL : (int)IPV6_NEXT_HEADER] == IPPROTO_UDP;
	size_t field = (ipv4 ? (size_t)IPV4_HEADER : (size_t)IPV6_HEADER) +
		       (udp ? (size_t)UDP_CHECKSUM : (size_t)TCP_CHECKSUM);

	HOLD(size == given->size && flow_is_sound(segment, size) && flow_is_sound(before, size));
	if (ipv4) {
		if (load16(before + IPV4_FRAGMENT) & IPV4_DONT_FRAGMENT)
			memcpy(segment + IPV4_ID, before + IPV4_ID, 2);
		memcpy(segment + IPV4_CHECKSUM, before + IPV4_CHECKSUM, 2);
	}
	memcpy(segment + field, before + field, 2);
	HOLD(memcmp(segment, before, size) == 0);
}

static void check_joined(const struct trial *trial, const struct coalesced *item,
			 const struct iovec *iov)
{
	static uint8_t data[IP_SIZE_MAX], segment[IP_SIZE_MAX];
	struct packet super = {.data = data, .offload = item->offload};
	struct split split;

	HOLD(item->packets <= COALESCE_SEGMENTS && item->size <= IP_SIZE_MAX);
	for (unsigned int i = 0; i < item->iov_count; i++) {
		memcpy(data + super.size, iov[i].iov_base, iov[i].iov_len);
		super.size += (uint32_t)iov[i].iov_len;
	}
	HOLD(super.size == item->size && ip_offload_valid(&super));
	HOLD(split_begin(&split, &super) == 0 && split.count == item->packets);
	for (unsigned int i = 0; i < split.count; i++) {
		struct iovec piece;

		split_segment(&split, i, segment, &piece);
		memcpy(segment + split.header_size, piece.iov_base, piece.iov_len);
		check_segment(segment, split.header_size + piece.iov_len,
			      &trial->given[owner(trial, &iov[i])]);
	}
}

static bool is_asked_for(unsigned int kinds, const uint8_t *packet, uint8_t gso_type)
{
	switch (gso_type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return kinds & COALESCE_TCP4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return kinds & COALESCE_TCP6;
	default:
		return kinds & (ip_version(packet) == 4 ? COALESCE_UDP4 : COALESCE_UDP6);
	}
}

static void run(struct trial *trial, struct coalescer *coalescer)
{
	struct iovec iov[COALESCE_IOV];
	struct coalesced item;
	unsigned int packets = 0;

	for (unsigned int i = 0; i < trial->count; i++)
		HOLD(coalesce_add(coalescer, trial->given[i].now, trial->given[i].size));
	while (coalesce_next(coalescer, &item, iov)) {
		HOLD(item.packets >= 1 && item.iov_count == item.packets);
		for (unsigned int i = 0; i < item.iov_count; i++)
			take(trial, owner(trial, &iov[i]));
		packets += item.packets;
		if (item.packets == 1) {
			check_alone(&trial->given[owner(trial, iov)], &item, iov);
			continue;
		}
		HOLD(is_asked_for(trial->kinds, iov->iov_base, item.offload.gso_type));
		check_joined(trial, &item, iov);
	}
	HOLD(packets == trial->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct trial trial;
	struct coalescer *coalescer;

	if (size < 1 + COMMAND)
		return -1; /* not worth keeping */
	begin(&trial, data[0]);
	make_packets(&trial, data + 1, size - 1);
	coalescer = coalesce_new(trial.kinds);
	HOLD(coalescer);
	run(&trial, coalescer);
	coalesce_free(coalescer);
	for (unsigned int i = 0; i < trial.count; i++) {
		free(trial.given[i].now);
		free(trial.given[i].before);
	}
	return 0;
}
