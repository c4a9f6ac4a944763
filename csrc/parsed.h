/* parsed.h - what coalesce.c needs to know of a packet; see parsed.c. */
#ifndef PARSED_H
#define PARSED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coalesce.h"
#include "transport.h"

/* A packet that may be joined, and where its parts are. */
struct parsed {
	uint8_t *packet;
	uint32_t size, header_size, payload_size;
	uint16_t transport;
	uint8_t kind; /* a bit of coalesce.h */
	bool joins;   /* whether its own contents allow it */
};

static inline bool parsed_is_tcp(const struct parsed *parsed)
{
	return parsed->kind & (COALESCE_TCP4 | COALESCE_TCP6);
}

static inline bool parsed_is_ipv4(const struct parsed *parsed)
{
	return parsed->transport == IPV4_HEADER;
}

/* Find the kind of a valid IP packet; 0 where it is of none: its flow cannot be told. */
struct parsed parsed_from(uint8_t *packet, size_t size);

/* Sum of the pseudo-header for `size` bytes of transport header and payload. */
uint64_t parsed_sum_pseudo_header(const struct parsed *parsed, size_t size);

/* Whether both checksums are right. */
bool parsed_is_sound(const struct parsed *parsed);

#endif
