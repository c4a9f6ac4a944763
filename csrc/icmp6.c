/*
 * icmp6.c - ICMPv6 no-route and time-exceeded (RFC 4443).
 *
 * Theory of operation. As for IPv4 (see icmp4.c) the error is built in the packet's own buffer, in
 * front of as much of the packet as fits. The checksum covers a pseudo-header: while it is computed,
 * the header of the error is made to stand for that.
 *
 * Which packets cause no error (RFC 4443, 2.4 e): an ICMPv6 error or redirect, a packet to a
 * multicast address, or from an address that is no single host's. Whether a packet is ICMPv6 can
 * only be seen behind its extension headers; one whose headers lead nowhere, or of which more stand in
 * a row than any host sends, causes no error either. Nor does a fragment other than the first: what it
 * belongs to is not in it, and its sender hears of the first.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "checksum.h"
#include "icmp.h"
#include "ipv6.h"

enum { HOP_LIMIT = 64, EXTENSIONS_MAX = 8, EXTENSION_MIN = 8, FRAGMENT_OFFSET_MASK = 0xfff8 };
enum { NO_ROUTE = 1 << 8 | 0, TIME_EXCEEDED = 3 << 8 | 0 }; /* type and code */
enum { REDIRECT = 137, INFORMATIONAL = 128 /* and up: no errors */ };

/* Whether `address` can name a single host other than the receiver itself. */
static bool is_one_host(const uint8_t *address)
{
	static const uint8_t zeros[IPV6_ADDRESS - 1];

	if (address[0] == 0xff)
		return false; /* multicast */
	return memcmp(address, zeros, sizeof(zeros)) != 0 || address[IPV6_ADDRESS - 1] > 1;
}

/* The size of extension header `kind` at `header`; 0: `kind` is none that something may follow. */
static size_t extension_size(uint8_t kind, const uint8_t *header)
{
	switch (kind) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		return ((size_t)header[1] + 1) * 8;
	case IPPROTO_FRAGMENT:
		return 8;
	case IPPROTO_AH:
		return ((size_t)header[1] + 2) * 4;
	default:
		return 0;
	}
}

/* Whether what the packet carries may be answered by an error. */
static bool is_answerable(const uint8_t *packet, size_t size)
{
	uint8_t kind = packet[IPV6_NEXT_HEADER];
	size_t at = IPV6_HEADER;

	for (unsigned int i = 0; i <= EXTENSIONS_MAX; i++) {
		static const uint8_t shortest[EXTENSION_MIN]; /* in place of one that is cut off */
		const uint8_t *header = size - at >= EXTENSION_MIN ? packet + at : shortest;
		size_t length = extension_size(kind, header);

		if (length == 0 && kind != IPPROTO_ICMPV6)
			return true;
		if (length == 0)
			return size > at && packet[at] >= INFORMATIONAL && packet[at] != REDIRECT;
		if (length > size - at)
			return false;
		if (kind == IPPROTO_FRAGMENT && load16(packet + at + 2) & FRAGMENT_OFFSET_MASK)
			return false;
		kind = packet[at];
		at += length;
	}
	return false;
}

static bool may_be_answered(const uint8_t *packet, size_t size)
{
	return is_one_host(packet + IPV6_SOURCE) && is_one_host(packet + IPV6_DESTINATION) &&
	       is_answerable(packet, size);
}

static bool is_unspecified(const uint8_t *address)
{
	static const uint8_t zeros[IPV6_ADDRESS];

	return memcmp(address, zeros, sizeof(zeros)) == 0;
}

size_t icmp6_error(uint8_t *packet, size_t size, enum icmp_error error, const uint8_t *source)
{
	uint8_t *icmp = packet + IPV6_HEADER, *quote = icmp + ICMP_HEADER;
	uint8_t from[IPV6_ADDRESS], sender[IPV6_ADDRESS];
	size_t quoted = ICMP_ERROR_MAX - IPV6_HEADER - ICMP_HEADER;
	uint16_t check;

	if (!may_be_answered(packet, size))
		return 0;
	if (quoted > size)
		quoted = size;
	memcpy(from, is_unspecified(source) ? packet + IPV6_DESTINATION : source, sizeof(from));
	memcpy(sender, packet + IPV6_SOURCE, sizeof(sender));
	memmove(quote, packet, quoted);

	size = IPV6_HEADER + ICMP_HEADER + quoted;
	memset(packet, 0, IPV6_HEADER + ICMP_HEADER);
	store16(packet + IPV6_LENGTH, (uint16_t)(size - IPV6_HEADER));
	packet[IPV6_HOP_LIMIT] = IPPROTO_ICMPV6; /* the last byte of a pseudo-header's second half */
	memcpy(packet + IPV6_SOURCE, from, sizeof(from));
	memcpy(packet + IPV6_DESTINATION, sender, sizeof(sender));
	store16(icmp, error == ICMP_ERROR_NO_ROUTE ? NO_ROUTE : TIME_EXCEEDED);
	check = checksum(packet, size);
	memcpy(icmp + 2, &check, sizeof(check));

	packet[0] = 0x60;
	packet[IPV6_NEXT_HEADER] = IPPROTO_ICMPV6;
	packet[IPV6_HOP_LIMIT] = HOP_LIMIT;
	return size;
}
