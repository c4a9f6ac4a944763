/*
 * ipv4.c - checking a packet and spending one hop of it.
 *
 * Theory of operation. Whatever comes out of a UDP port was written by a stranger. A packet is
 * carried only when its version and lengths agree with what was received, so that every later
 * access is inside the buffer and nothing but one IPv4 packet is ever written to a tun. These are
 * a few compares, no system call; flannel has none of them. The header checksum is left to the
 * kernel that receives the packet: patching keeps a wrong one wrong.
 */
#include "ipv4.h"

#include <string.h>

#include "checksum.h"

bool ipv4_valid(const uint8_t *packet, size_t size, enum counter *reason)
{
	*reason = DROP_MALFORMED;
	if (size == 0)
		return false;
	if (packet[0] >> 4 != 4) {
		*reason = DROP_NOT_IPV4;
		return false;
	}
	return ipv4_header_size(packet) >= IPV4_HEADER && ipv4_header_size(packet) <= size &&
	       load16(packet + IPV4_LENGTH) == size;
}

bool ipv4_decrement_ttl(uint8_t *packet)
{
	uint16_t before, after, check;

	if (packet[IPV4_TTL] <= 1)
		return false;
	memcpy(&before, packet + IPV4_TTL, sizeof(before)); /* TTL and protocol are one word */
	packet[IPV4_TTL]--;
	memcpy(&after, packet + IPV4_TTL, sizeof(after));
	memcpy(&check, packet + IPV4_CHECKSUM, sizeof(check));
	check = checksum_patch(check, before, after);
	memcpy(packet + IPV4_CHECKSUM, &check, sizeof(check));
	return true;
}
