/* flow.h - packets of one TCP or UDP flow, made one by one as their sender would; see flow.c. */
#ifndef FLOW_H
#define FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"

enum { FLOW_PACKET_MAX = 65535, FLOW_EXTRA_MAX = 72 };

/* Whatever a header says, in host order. All zero is a sender who sets nothing at all. */
struct flow {
	bool ipv6, udp;
	uint8_t host; /* last byte of both addresses */
	uint8_t tos, ttl, flags;
	uint16_t id, fragment;
	uint32_t label;
	uint16_t source, destination; /* ports */
	uint32_t sequence, acknowledgment;
	uint16_t window, urgent;
	uint8_t options[40]; /* of TCP */
	size_t options_size;
	uint8_t extra[FLOW_EXTRA_MAX]; /* IPv4 options or, the last naming TCP or UDP, IPv6 headers */
	size_t extra_size;
	uint8_t extra_protocol; /* of the first IPv6 extension header */
};

/* What most tests start from: acknowledged data with don't-fragment, timestamps and an id. */
struct flow flow_tcp(bool ipv6);
struct flow flow_udp(bool ipv6);

/* Size of a packet's header, and where TCP or UDP begins. */
size_t flow_header_size(const struct flow *flow);
size_t flow_transport(const struct flow *flow);

/* Write a whole packet with complete checksums. Returns its size. */
size_t flow_packet(const struct flow *flow, const uint8_t *payload, size_t size, uint8_t *packet);

/* Write the super-packet and its virtio header, as a kernel would hand it to a device. */
void flow_super(const struct flow *flow, const uint8_t *payload, size_t size, uint16_t mss,
		uint8_t *data, struct packet *super);

/* How the flow stands at segment `index` of `count`: what the sender would have written there. */
struct flow flow_segment(const struct flow *flow, unsigned int index, unsigned int count,
			 uint16_t mss);

/* Sum of the pseudo-header for TCP or UDP of `size` bytes, word by word, in host order. */
uint16_t flow_pseudo_sum(const uint8_t *packet, bool udp, size_t size);

/* Whether both checksums of a packet without extension headers are right, counted word by word. */
bool flow_is_sound(const uint8_t *packet, size_t size);

#endif
