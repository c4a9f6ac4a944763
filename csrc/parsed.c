/*
 * parsed.c - what a packet is, and whether it is sound.
 *
 * Theory of operation. A packet has a kind if the kernel has super-packets for its like: TCP or UDP
 * directly behind an IPv4 header without options, no fragment, or an IPv6 header without extensions.
 * Whether it may be joined to others depends on the others as well; here is only what it says itself.
 */
#include "parsed.h"

#include <netinet/in.h>

#include "checksum.h"

static void parse_tcp(struct parsed *parsed)
{
	const uint8_t *tcp = parsed->packet + parsed->transport;
	const uint8_t ends = TCP_FIN | TCP_PSH;

	if (parsed->size < parsed->transport + (uint32_t)TCP_HEADER || tcp_header_size(tcp) < TCP_HEADER)
		return;
	parsed->header_size = parsed->transport + (uint32_t)tcp_header_size(tcp);
	if (parsed->header_size >= parsed->size)
		return; /* also an acknowledgment alone */
	parsed->payload_size = parsed->size - parsed->header_size;
	parsed->joins = (tcp[TCP_FLAGS] & ~(ends | TCP_ECE)) == TCP_ACK && !(tcp[TCP_OFFSET] & 0x0f);
}

static void parse_udp(struct parsed *parsed)
{
	const uint8_t *udp = parsed->packet + parsed->transport;

	parsed->header_size = parsed->transport + UDP_HEADER;
	if (parsed->header_size >= parsed->size)
		return;
	parsed->payload_size = parsed->size - parsed->header_size;
	parsed->joins = load16(udp + UDP_LENGTH) == UDP_HEADER + parsed->payload_size &&
			load16(udp + UDP_CHECKSUM) != 0;
}

struct parsed parsed_from(uint8_t *packet, size_t size)
{
	struct parsed parsed = {.packet = packet, .size = (uint32_t)size};
	uint8_t protocol, version = (uint8_t)ip_version(packet);

	if (version == 4) {
		if (ipv4_header_size(packet) != IPV4_HEADER ||
		    load16(packet + IPV4_FRAGMENT) & ~IPV4_DONT_FRAGMENT)
			return parsed;
		protocol = packet[IPV4_PROTOCOL];
		parsed.transport = IPV4_HEADER;
	} else {
		protocol = packet[IPV6_NEXT_HEADER];
		parsed.transport = IPV6_HEADER;
	}
	if (size < parsed.transport + (size_t)UDP_HEADER)
		return parsed;
	if (protocol == IPPROTO_TCP) {
		parsed.kind = version == 4 ? COALESCE_TCP4 : COALESCE_TCP6;
		parse_tcp(&parsed);
	} else if (protocol == IPPROTO_UDP) {
		parsed.kind = version == 4 ? COALESCE_UDP4 : COALESCE_UDP6;
		parse_udp(&parsed);
	}
	return parsed;
}

uint64_t parsed_sum_pseudo_header(const struct parsed *parsed, size_t size)
{
	uint64_t sum = checksum_add16(0, parsed_is_tcp(parsed) ? IPPROTO_TCP : IPPROTO_UDP);
	bool ipv4 = parsed_is_ipv4(parsed);

	sum = checksum_add(sum, parsed->packet + (ipv4 ? (int)IPV4_SOURCE : (int)IPV6_SOURCE),
			   ipv4 ? 8 : 2 * IPV6_ADDRESS);
	return checksum_add16(sum, (uint16_t)size);
}

bool parsed_is_sound(const struct parsed *parsed)
{
	size_t size = parsed->size - parsed->transport;

	if (parsed_is_ipv4(parsed) && checksum_fold(checksum_add(0, parsed->packet, IPV4_HEADER)) != 0xffff)
		return false;
	return checksum_fold(checksum_add(parsed_sum_pseudo_header(parsed, size),
					  parsed->packet + parsed->transport, size)) == 0xffff;
}
