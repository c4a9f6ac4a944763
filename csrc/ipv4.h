/*
 * ipv4.h - the IPv4 header as the pump sees it.
 *
 * Fields are loaded and stored bytewise (the compiler makes one instruction of it), so a packet may
 * stand at any address of any buffer. Values are in host order unless a comment says otherwise.
 */
#ifndef IPV4_H
#define IPV4_H

#include <stddef.h>
#include <stdint.h>

enum ipv4_field { /* offset in the header */
	IPV4_TOS = 1,
	IPV4_LENGTH = 2,
	IPV4_ID = 4,
	IPV4_FRAGMENT = 6,
	IPV4_TTL = 8,
	IPV4_PROTOCOL = 9,
	IPV4_CHECKSUM = 10,
	IPV4_SOURCE = 12,
	IPV4_DESTINATION = 16,
	IPV4_HEADER = 20,     /* size without options */
	IPV4_HEADER_MAX = 60, /* and with as many as fit */
};

enum { IPV4_DONT_FRAGMENT = 0x4000, IPV4_OFFSET_MASK = 0x1fff };

static inline uint16_t load16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline uint32_t load32(const uint8_t *bytes)
{
	return (uint32_t)load16(bytes) << 16 | load16(bytes + 2);
}

static inline void store16(uint8_t *bytes, uint16_t value)
{
	bytes[0] = (uint8_t)(value >> 8);
	bytes[1] = (uint8_t)value;
}

static inline size_t ipv4_header_size(const uint8_t *packet)
{
	return (size_t)(packet[0] & 0x0f) * 4;
}

#endif
