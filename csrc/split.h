/* split.h - from a super-packet to the packets it stands for; see split.c. */
#ifndef SPLIT_H
#define SPLIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "packet.h"

/*
 * The longest header (IP with options or extension headers, and TCP with options) that is copied
 * to each segment, and the most segments of one super-packet; more is refused.
 */
enum { SPLIT_HEADER_MAX = 192, SPLIT_SEGMENTS_MAX = 2048 };

/* How a super-packet is cut; filled by split_begin(). The first two are for callers. */
struct split {
	unsigned int count;    /* of segments, at least 1 */
	uint16_t header_size;  /* bytes of the header in front of each segment */
	uint16_t segment_size; /* payload bytes of each segment but the last */
	uint16_t transport;    /* where the transport header begins */
	bool is_udp;
	uint32_t payload_size;
	uint8_t *packet;
	/* Sums over what all segments have in common: all but lengths, ids, sequence, flags, payload. */
	uint64_t ip_sum, transport_sum;
};

/*
 * Prepare to cut the layer-3 super-packet `super` (an IP packet that ip_valid() accepts, IPv4 or
 * IPv6, TCP or UDP, whose virtio header nobody has checked yet). Returns 0, or -EINVAL where the
 * virtio header and the packet contradict each other. Reads nothing outside the packet.
 */
int split_begin(struct split *split, const struct packet *super);

/*
 * Write the header of segment `index` (0..count-1) to `header` (header_size bytes) with complete
 * checksums, and point *payload at its payload within the super-packet, which is neither moved nor
 * changed. Segments may be asked for in any order.
 */
void split_segment(const struct split *split, unsigned int index, uint8_t *header,
		   struct iovec *payload);

/*
 * Complete the checksum of a single IP packet (gso_type NONE) that its virtio header leaves to the
 * device (VIRTIO_NET_HDR_F_NEEDS_CSUM), and clear `offload`. Returns 0, or -EINVAL where the offsets
 * lie outside the packet, or inside its IP header; does nothing for a packet that needs nothing.
 */
int split_complete(struct packet *packet);

#endif
