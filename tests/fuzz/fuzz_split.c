/*
 * fuzz_split.c - arbitrary super-packets and virtio headers through split.c.
 *
 * An input is: a byte of choices, a virtio header, the packet. With choice REPAIR, what a fuzzer does
 * not guess is made right (lengths, where the transport header is, the sum of the pseudo-header).
 * Besides what the sanitizers see (buffers end where packets end), it must hold that
 *
 *   - segments are valid packets whose payloads are the super-packet's, in order and to the last byte;
 *   - no segment but the last is shorter than gso_size, none is longer;
 *   - their checksums are right where the sum in the super-packet was;
 *   - there are as many as packet_count() says, which asks before anything is checked;
 *   - the super-packet is not changed, and segments come out the same in any order.
 */
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"
#include "ip.h"
#include "split.h"
#include "transport.h"

enum { CHOICES = 1, REPAIR = 1, SIZE_MAX_CARRIED = 65535 };

#define HOLD(claim) \
	do { \
		if (!(claim)) \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * Make right what can be without changing what kind of packet this is. Returns whether the sum of the
 * pseudo-header is right now.
 */
static bool repair(struct packet *packet)
{
	bool ipv4 = ip_version(packet->data) == 4;
	bool udp = packet->offload.gso_type == VIRTIO_NET_HDR_GSO_UDP_L4;
	size_t start = ipv4 ? ipv4_header_size(packet->data) : (size_t)IPV6_HEADER;
	size_t field = udp ? (size_t)UDP_CHECKSUM : (size_t)TCP_CHECKSUM;

	if (packet->size < IPV6_HEADER)
		return false;
	if (ipv4)
		store16(packet->data + IPV4_LENGTH, (uint16_t)packet->size);
	else
		store16(packet->data + IPV6_LENGTH, (uint16_t)(packet->size - IPV6_HEADER));
	packet->offload.flags |= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (packet->offload.csum_start <= start)
		packet->offload.csum_start = (uint16_t)start;
	start = packet->offload.csum_start;
	packet->offload.csum_offset = (uint16_t)field;
	if (start + field + 2 > packet->size)
		return false;
	if (udp)
		store16(packet->data + start + UDP_LENGTH, (uint16_t)(packet->size - start));
	store16(packet->data + start + field, flow_pseudo_sum(packet->data, udp, packet->size - start));
	return true;
}

/* Write segment `index` to a buffer that ends where the segment does. */
static uint8_t *cut(const struct split *split, unsigned int index, size_t *size)
{
	uint8_t *header = malloc(split->header_size), *segment;
	struct iovec payload;

	HOLD(header);
	split_segment(split, index, header, &payload);
	*size = split->header_size + payload.iov_len;
	segment = malloc(*size);
	HOLD(segment);
	memcpy(segment, header, split->header_size);
	memcpy(segment + split->header_size, payload.iov_base, payload.iov_len);
	free(header);
	return segment;
}

static bool has_extension_headers(const uint8_t *packet)
{
	return ip_version(packet) == 6 && packet[IPV6_NEXT_HEADER] != IPPROTO_TCP &&
	       packet[IPV6_NEXT_HEADER] != IPPROTO_UDP;
}

static void check_segments(const struct packet *super, bool repaired)
{
	size_t done = 0, size, again_size;
	struct split split;
	enum counter reason;

	if (split_begin(&split, super) < 0)
		return;
	HOLD(split.count >= 1 && split.count <= SPLIT_SEGMENTS_MAX);
	HOLD(split.count == packet_count(super));
	HOLD(split.header_size <= SPLIT_HEADER_MAX && split.header_size < super->size);
	for (unsigned int i = 0; i < split.count; i++) {
		uint8_t *segment = cut(&split, i, &size), *again;
		size_t payload = size - split.header_size;

		HOLD(ip_valid(segment, size, &reason));
		HOLD(payload >= 1 && payload <= super->offload.gso_size);
		HOLD(payload == super->offload.gso_size || i == split.count - 1);
		HOLD(memcmp(segment + split.header_size, super->data + split.header_size + done,
			    payload) == 0);
		if (repaired && !has_extension_headers(segment))
			HOLD(flow_is_sound(segment, size));
		again = cut(&split, i, &again_size);
		HOLD(again_size == size && memcmp(segment, again, size) == 0);
		done += payload;
		free(segment);
		free(again);
	}
	HOLD(split.header_size + done == super->size);
}

static void check_single(struct packet *packet)
{
	uint32_t size = packet->size;
	enum counter reason;

	if (split_complete(packet) < 0)
		return;
	HOLD(packet->size == size && packet->offload.flags == 0 && !packet_is_super(packet));
	HOLD(ip_valid(packet->data, size, &reason));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packet packet;
	bool repaired = false;
	uint8_t choices, *before;
	enum counter reason;

	if (size <= CHOICES + sizeof(packet.offload) || size > SIZE_MAX_CARRIED)
		return -1; /* not worth keeping */
	choices = data[0];
	memcpy(&packet.offload, data + CHOICES, sizeof(packet.offload));
	data += CHOICES + sizeof(packet.offload);
	packet.size = (uint32_t)(size - CHOICES - sizeof(packet.offload));
	packet.data = malloc(packet.size);
	before = malloc(packet.size);
	HOLD(packet.data && before);
	memcpy(packet.data, data, packet.size);
	if (choices & REPAIR)
		repaired = repair(&packet);
	memcpy(before, packet.data, packet.size);
	if (ip_valid(packet.data, packet.size, &reason)) {
		check_segments(&packet, repaired);
		HOLD(packet_count(&packet) >= 1);
		HOLD(memcmp(before, packet.data, packet.size) == 0);
		check_single(&packet);
	}
	free(before);
	free(packet.data);
	return 0;
}
