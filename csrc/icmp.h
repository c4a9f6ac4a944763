/* icmp.h - the ICMP errors a router returns; see icmp4.c and icmp6.c. */
#ifndef ICMP_H
#define ICMP_H

#include <stddef.h>
#include <stdint.h>

/*
 * Size of the largest error: a buffer that these functions work in must be at least this long. It is
 * the minimum MTU of IPv6, which ICMPv6 fills with as much of the packet as it has (RFC 4443, 2.4).
 */
enum { ICMP_HEADER = 8, ICMP_ERROR_MAX = 1280 };

enum icmp_error { ICMP_ERROR_NO_ROUTE, ICMP_ERROR_TIME_EXCEEDED };

/*
 * Replace the valid IPv4 or IPv6 packet of `size` bytes in `packet` by the ICMP or ICMPv6 error about
 * it, from `source` (an address as in a packet; all zero: the packet's own destination) to its
 * sender. Returns the error's size, or 0 with the packet unchanged where no error may be sent.
 */
size_t icmp4_error(uint8_t *packet, size_t size, enum icmp_error error, const uint8_t *source);
size_t icmp6_error(uint8_t *packet, size_t size, enum icmp_error error, const uint8_t *source);

#endif
