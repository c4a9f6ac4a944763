/*
 * transport.h - TCP and UDP headers as the pump sees them; fields are loaded as in ipv4.h. Values
 * are offsets in the header unless a comment says otherwise.
 */
#ifndef TRANSPORT_H
#define TRANSPORT_H

#include "ip.h"

enum tcp_field {
	TCP_SEQUENCE = 4,
	TCP_ACKNOWLEDGMENT = 8,
	TCP_OFFSET = 12, /* header length in the upper four bits */
	TCP_FLAGS = 13,
	TCP_WINDOW = 14,
	TCP_CHECKSUM = 16,
	TCP_URGENT = 18,
	TCP_HEADER = 20, /* size without options */
};

enum tcp_flag { TCP_FIN = 0x01, TCP_PSH = 0x08, TCP_ACK = 0x10, TCP_ECE = 0x40, TCP_CWR = 0x80 };

enum udp_field { UDP_LENGTH = 4, UDP_CHECKSUM = 6, UDP_HEADER = 8 /* size */ };

static inline size_t tcp_header_size(const uint8_t *tcp)
{
	return (size_t)(tcp[TCP_OFFSET] >> 4) * 4;
}

static inline void store32(uint8_t *bytes, uint32_t value)
{
	store16(bytes, (uint16_t)(value >> 16));
	store16(bytes + 2, (uint16_t)value);
}

#endif
