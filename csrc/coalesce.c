/*
 * coalesce.c - from packets of one flow to a super-packet, as receive offload does it.
 *
 * Theory of operation. Packets are added in the order they came, and come out as items: a single
 * packet as it was, or the header of a first packet with the payloads of all that followed. Payload
 * is not moved; an item is a chain of pieces. For the newest flows the last item is kept open. A
 * packet joins its flow's open item where the kernel's own receive offload would let it
 * (net/ipv4/tcp_offload.c: tcp_gro_receive, net/ipv4/udp_offload.c: udp_gro_receive_segment,
 * net/ipv4/af_inet.c: inet_gro_receive) and where cutting the super-packet again gives the same
 * packets; else it begins an item of its own behind it, so a flow keeps its order.
 *
 *     all equal    addresses, ports, TOS or traffic class and flow label, TTL, don't-fragment
 *     IPv4 id      counts up, unless don't-fragment makes it meaningless (RFC 6864)
 *     TCP          next in sequence; acknowledgment, window, flags, urgent pointer and options
 *                  equal; only ACK and ECE may be set, and FIN or PSH, which end the item
 *     size         as the first payload; a shorter one ends the item
 *     nothing      with IP options, extension headers, fragments, SYN, RST, URG, CWR, or, of UDP, no
 *                  checksum
 *
 * A super-packet is handed over without its transport checksum: the kernel takes it as computed by
 * a device. So every packet that joins is verified first, and one with a wrong checksum stays alone
 * and untouched: whoever receives it shall see that it is broken. What stays alone need not be
 * verified, and is not: the first packet of an item is when the second comes.
 */
#include "coalesce.h"

#include <stdlib.h>
#include <string.h>

#include "checksum.h"
#include "parsed.h"

/* Kernels take super-packets of UDP, as they join them, of at most 64 packets (128 since 6.9). */
enum { OPEN_MAX = 16, SUPER_MAX = 65535, UDP_SEGMENTS = 64, NONE = -1 };

struct item {
	struct parsed first;
	uint32_t payload_size; /* of all its packets */
	unsigned int packets;
	int head, last;        /* of its pieces */
	uint16_t id;           /* of the last packet, IPv4 */
	uint8_t flags;         /* FIN and PSH of the last packet, TCP */
	bool verified;         /* the first packet is known to be sound */
	bool closed;           /* nothing more may join */
};

struct piece {
	uint8_t *data;
	uint32_t size;
	int next;
};

struct coalescer {
	unsigned int kinds;
	unsigned int item_count, piece_count, next_item;
	unsigned int open_count;
	int open[OPEN_MAX]; /* items, the newest flow last */
	struct item items[COALESCE_PACKETS];
	struct piece pieces[COALESCE_PACKETS];
};

struct coalescer *coalesce_new(unsigned int kinds)
{
	struct coalescer *coalescer = calloc(1, sizeof(*coalescer));

	if (coalescer)
		coalescer->kinds = kinds;
	return coalescer;
}

void coalesce_free(struct coalescer *coalescer)
{
	free(coalescer);
}

void coalesce_set_kinds(struct coalescer *coalescer, unsigned int kinds)
{
	coalescer->kinds = kinds;
	coalescer->open_count = 0; /* or packets of a kind that comes back would overtake others */
}

void coalesce_reset(struct coalescer *coalescer)
{
	coalescer->item_count = coalescer->piece_count = coalescer->next_item = 0;
	coalescer->open_count = 0;
}

/* ---- which packets belong together -------------------------------------------------------- */

static bool same_flow(const struct parsed *a, const struct parsed *b)
{
	size_t addresses = parsed_is_ipv4(a) ? IPV4_SOURCE : IPV6_SOURCE;
	size_t size = parsed_is_ipv4(a) ? 8 : 2 * IPV6_ADDRESS;

	return a->kind == b->kind && /* addresses, and the ports behind them */
	       memcmp(a->packet + addresses, b->packet + addresses, size + 4) == 0;
}

static bool fits_ip(const struct item *item, const uint8_t *a, const uint8_t *b)
{
	uint16_t fragment = load16(a + IPV4_FRAGMENT);

	if (!parsed_is_ipv4(&item->first)) /* version, class and flow label; hop limit */
		return load32(a) == load32(b) && a[IPV6_HOP_LIMIT] == b[IPV6_HOP_LIMIT];
	if (a[IPV4_TOS] != b[IPV4_TOS] || a[IPV4_TTL] != b[IPV4_TTL] ||
	    fragment != load16(b + IPV4_FRAGMENT))
		return false;
	return fragment & IPV4_DONT_FRAGMENT || load16(b + IPV4_ID) == (uint16_t)(item->id + 1);
}

static bool fits_tcp(const struct item *item, const struct parsed *next)
{
	const uint8_t *a = item->first.packet + item->first.transport;
	const uint8_t *b = next->packet + next->transport;
	uint8_t differ = a[TCP_FLAGS] ^ b[TCP_FLAGS];

	return load32(b + TCP_SEQUENCE) == load32(a + TCP_SEQUENCE) + item->payload_size &&
	       load32(b + TCP_ACKNOWLEDGMENT) == load32(a + TCP_ACKNOWLEDGMENT) &&
	       a[TCP_OFFSET] == b[TCP_OFFSET] && !(differ & ~(TCP_FIN | TCP_PSH)) &&
	       load16(a + TCP_WINDOW) == load16(b + TCP_WINDOW) &&
	       /* urgent pointer and options */
	       memcmp(a + TCP_URGENT, b + TCP_URGENT, tcp_header_size(a) - TCP_URGENT) == 0;
}

/* Whether a packet of the item's flow may join it, as far as headers and sizes tell. */
static bool fits(const struct item *item, const struct parsed *next)
{
	uint32_t size = item->first.header_size + item->payload_size + next->payload_size;
	unsigned int most = parsed_is_tcp(next) ? COALESCE_SEGMENTS : UDP_SEGMENTS;

	return !item->closed && next->joins && next->header_size == item->first.header_size &&
	       next->payload_size <= item->first.payload_size && size <= SUPER_MAX &&
	       item->packets < most && fits_ip(item, item->first.packet, next->packet) &&
	       (!parsed_is_tcp(next) || fits_tcp(item, next));
}

static void note_last(struct item *item, const struct parsed *last)
{
	item->id = load16(last->packet + IPV4_ID);
	item->flags = 0;
	if (parsed_is_tcp(last))
		item->flags = last->packet[last->transport + TCP_FLAGS] & (TCP_FIN | TCP_PSH);
	item->closed = item->flags || last->payload_size < item->first.payload_size;
}

/* Add the packet to the item; false: one of the two is broken, and nothing was done. */
static bool join(struct coalescer *coalescer, struct item *item, const struct parsed *next)
{
	struct piece *piece = &coalescer->pieces[coalescer->piece_count];

	if (!item->verified)
		item->verified = parsed_is_sound(&item->first);
	if (!item->verified || !parsed_is_sound(next))
		return false;
	*piece = (struct piece){next->packet + next->header_size, next->payload_size, NONE};
	coalescer->pieces[item->last].next = (int)coalescer->piece_count;
	item->last = (int)coalescer->piece_count++;
	item->payload_size += next->payload_size;
	item->packets++;
	note_last(item, next);
	return true;
}

/* ---- adding ------------------------------------------------------------------------------- */

/* Begin an item with this packet alone. Returns its index. */
static int begin(struct coalescer *coalescer, const struct parsed *parsed)
{
	struct item *item = &coalescer->items[coalescer->item_count];

	*item = (struct item){
		.first = *parsed,
		.payload_size = parsed->payload_size,
		.packets = 1,
		.head = (int)coalescer->piece_count,
		.last = (int)coalescer->piece_count,
	};
	coalescer->pieces[coalescer->piece_count++] =
		(struct piece){parsed->packet, parsed->size, NONE};
	return (int)coalescer->item_count++;
}

/* Where in open[] the packet's flow is, or NONE. The newest flow is the likeliest. */
static int find_flow(const struct coalescer *coalescer, const struct parsed *parsed)
{
	for (int i = (int)coalescer->open_count - 1; i >= 0; i--)
		if (same_flow(&coalescer->items[coalescer->open[i]].first, parsed))
			return i;
	return NONE;
}

/* Forget open flow `place`; the others keep their order. */
static void forget(struct coalescer *coalescer, int place)
{
	coalescer->open_count--;
	memmove(&coalescer->open[place], &coalescer->open[place + 1],
		(coalescer->open_count - (unsigned int)place) * sizeof(coalescer->open[0]));
}

static void open_flow(struct coalescer *coalescer, int item)
{
	if (coalescer->open_count == OPEN_MAX)
		forget(coalescer, 0);
	coalescer->open[coalescer->open_count++] = item;
}

bool coalesce_add(struct coalescer *coalescer, uint8_t *packet, size_t size)
{
	struct parsed parsed;
	int place, item;

	if (coalescer->piece_count == COALESCE_PACKETS)
		return false;
	parsed = parsed_from(packet, size);
	if (!(parsed.kind & coalescer->kinds)) {
		/* Without a kind it may belong to any flow, as a fragment does: nothing overtakes it. */
		if (!parsed.kind)
			coalescer->open_count = 0;
		begin(coalescer, &parsed);
		return true;
	}
	place = find_flow(coalescer, &parsed);
	if (place != NONE) {
		struct item *open = &coalescer->items[coalescer->open[place]];

		if (fits(open, &parsed) && join(coalescer, open, &parsed)) {
			if (open->closed)
				forget(coalescer, place);
			return true;
		}
		forget(coalescer, place);
	}
	item = begin(coalescer, &parsed);
	if (!parsed.joins)
		return true;
	note_last(&coalescer->items[item], &parsed);
	if (!coalescer->items[item].closed)
		open_flow(coalescer, item);
	return true;
}

/* ---- taking out --------------------------------------------------------------------------- */

static uint8_t gso_type(const struct parsed *parsed)
{
	switch (parsed->kind) {
	case COALESCE_TCP4:
		return VIRTIO_NET_HDR_GSO_TCPV4;
	case COALESCE_TCP6:
		return VIRTIO_NET_HDR_GSO_TCPV6;
	default:
		return VIRTIO_NET_HDR_GSO_UDP_L4;
	}
}

/* Make the header of the first packet that of all. */
static void write_header(const struct item *item, struct virtio_net_hdr *offload)
{
	const struct parsed *first = &item->first;
	uint8_t *ip = first->packet, *transport = ip + first->transport;
	size_t size = first->header_size + item->payload_size;
	size_t field = parsed_is_tcp(first) ? (int)TCP_CHECKSUM : (int)UDP_CHECKSUM;
	uint16_t check = 0;

	if (parsed_is_ipv4(first)) {
		store16(ip + IPV4_LENGTH, (uint16_t)size);
		memcpy(ip + IPV4_CHECKSUM, &check, sizeof(check));
		check = checksum(ip, IPV4_HEADER);
		memcpy(ip + IPV4_CHECKSUM, &check, sizeof(check));
	} else {
		store16(ip + IPV6_LENGTH, (uint16_t)(size - IPV6_HEADER));
	}
	if (parsed_is_tcp(first))
		transport[TCP_FLAGS] |= item->flags;
	else
		store16(transport + UDP_LENGTH, (uint16_t)(size - first->transport));
	check = checksum_fold(parsed_sum_pseudo_header(first, size - first->transport));
	memcpy(transport + field, &check, sizeof(check));
	*offload = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = gso_type(first),
		.hdr_len = (uint16_t)first->header_size,
		.gso_size = (uint16_t)first->payload_size,
		.csum_start = first->transport,
		.csum_offset = (uint16_t)field,
	};
}

bool coalesce_next(struct coalescer *coalescer, struct coalesced *out, struct iovec iov[COALESCE_IOV])
{
	struct item *item;

	if (coalescer->next_item == coalescer->item_count)
		return false;
	item = &coalescer->items[coalescer->next_item];
	*out = (struct coalesced){.packets = item->packets};
	if (item->packets > 1) {
		write_header(item, &out->offload);
		out->size = item->first.header_size + item->payload_size;
	} else {
		out->size = item->first.size;
	}
	for (int piece = item->head; piece != NONE; piece = coalescer->pieces[piece].next)
		iov[out->iov_count++] = (struct iovec){coalescer->pieces[piece].data,
						       coalescer->pieces[piece].size};
	coalescer->next_item++;
	return true;
}
