/*
 * icmp4.c - ICMP net-unreachable and time-exceeded (RFC 792; when to send: RFC 1812, 4.3.2).
 *
 * Theory of operation. A packet that earns an error is not carried any further, so its buffer is
 * free: the part to be quoted (IP header and 8 bytes) moves up, and the error is built in front of
 * it. No second buffer is needed, however many packets a later engine holds at once.
 *
 * Who sends it. The natural source is an address of the tun the pump holds. But the kernel takes a
 * packet that a tun brings from one of the host's own addresses for a forgery and drops it
 * (net/ipv4/fib_frontend.c: fib_validate_source), as it does with the errors of flannel's proxy. The
 * address that was not reached is one that any reverse-path filter expects from this side, so it is
 * the source unless the caller names a better one.
 *
 * An error that answers an error, a fragment other than the first, or a packet whose source or
 * destination is no single host could multiply without end: none is sent (RFC 1812, 4.3.2.7).
 */
#include "icmp.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "checksum.h"
#include "ipv4.h"

enum { TTL = 64, TOS_INTERNETWORK_CONTROL = 0xc0 /* RFC 1812, 4.3.2.5 */ };
enum { NET_UNREACHABLE = 3 << 8 | 0, TIME_EXCEEDED = 11 << 8 | 0 }; /* type and code */
enum { QUOTE = 8 /* bytes behind the IP header */ };

/* Whether `address` (host order) can name a single host other than the receiver itself. */
static bool is_one_host(uint32_t address)
{
	uint8_t first = (uint8_t)(address >> 24);

	return first != 0 && first != 127 && first < 224; /* 224 and up: multicast, class E, broadcast */
}

/* Whether an ICMP message is a query or a reply. Types nobody has defined may be errors. */
static bool is_informational(uint8_t type)
{
	switch (type) {
	case 0:  /* echo reply */
	case 8:  /* echo */
	case 9:  /* router advertisement */
	case 10: /* router solicitation */
	case 13: /* timestamp */
	case 14: /* timestamp reply */
	case 15: /* information request */
	case 16: /* information reply */
	case 17: /* address mask request */
	case 18: /* address mask reply */
		return true;
	default:
		return false;
	}
}

static bool may_be_answered(const uint8_t *packet, size_t size)
{
	size_t header = ipv4_header_size(packet);

	if (load16(packet + IPV4_FRAGMENT) & IPV4_OFFSET_MASK)
		return false;
	if (!is_one_host(load32(packet + IPV4_SOURCE)) || !is_one_host(load32(packet + IPV4_DESTINATION)))
		return false;
	if (packet[IPV4_PROTOCOL] != IPPROTO_ICMP)
		return true;
	return size > header && is_informational(packet[header]);
}

size_t icmp4_error(uint8_t *packet, size_t size, enum icmp_error error, const uint8_t *source)
{
	uint8_t *icmp = packet + IPV4_HEADER, *quote = icmp + ICMP_HEADER;
	size_t quoted = ipv4_header_size(packet) + QUOTE;
	uint8_t from[4], sender[4];
	uint16_t check;

	if (!may_be_answered(packet, size))
		return 0;
	if (quoted > size)
		quoted = size;
	memcpy(from, load32(source) ? source : packet + IPV4_DESTINATION, sizeof(from));
	memcpy(sender, packet + IPV4_SOURCE, sizeof(sender));
	memmove(quote, packet, quoted);

	size = IPV4_HEADER + ICMP_HEADER + quoted;
	memset(packet, 0, IPV4_HEADER + ICMP_HEADER);
	packet[0] = 0x45;
	packet[IPV4_TOS] = TOS_INTERNETWORK_CONTROL;
	store16(packet + IPV4_LENGTH, (uint16_t)size);
	store16(packet + IPV4_FRAGMENT, IPV4_DONT_FRAGMENT); /* so the identification may be 0: RFC 6864 */
	packet[IPV4_TTL] = TTL;
	packet[IPV4_PROTOCOL] = IPPROTO_ICMP;
	memcpy(packet + IPV4_SOURCE, from, sizeof(from));
	memcpy(packet + IPV4_DESTINATION, sender, sizeof(sender));
	check = checksum(packet, IPV4_HEADER);
	memcpy(packet + IPV4_CHECKSUM, &check, sizeof(check));

	store16(icmp, error == ICMP_ERROR_NO_ROUTE ? NET_UNREACHABLE : TIME_EXCEEDED);
	check = checksum(icmp, ICMP_HEADER + quoted);
	memcpy(icmp + 2, &check, sizeof(check));
	return size;
}
