/* icmp.h - the ICMP errors a router returns; see icmp.c. */
#ifndef ICMP_H
#define ICMP_H

#include <stddef.h>
#include <stdint.h>

#include "ipv4.h"

enum { ICMP_HEADER = 8, ICMP_QUOTE = 8 };

/* Size of the largest error: a buffer that icmp_error() works in must be at least this long. */
enum { ICMP_ERROR_MAX = IPV4_HEADER + ICMP_HEADER + IPV4_HEADER_MAX + ICMP_QUOTE };

enum icmp_error { /* type << 8 | code */
	ICMP_ERROR_NET_UNREACHABLE = 3 << 8 | 0,
	ICMP_ERROR_TIME_EXCEEDED = 11 << 8 | 0,
};

/*
 * Replace the valid IPv4 packet of `size` bytes in `packet` by the ICMP error about it, from
 * `source` (network order; 0: the packet's own destination) to its sender. Returns the error's size, or 0 with the
 * packet unchanged where no error may be sent.
 */
size_t icmp_error(uint8_t *packet, size_t size, enum icmp_error error, uint32_t source);

#endif
