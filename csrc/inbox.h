/* inbox.h - what one receive brought; see inbox.c. */
#ifndef INBOX_H
#define INBOX_H

#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "packet.h"

enum {
	INBOX_UNITS = 64,
	INBOX_HEADROOM = 64, /* in front of each buffer: a virtio header, and data stays aligned */
	UNIT_MAX = 65535 + 14, /* a super-packet on layer 2, or what UDP_GRO joined */
};

/* What one read or receive brought: a packet, a super-packet, or datagrams that UDP_GRO joined. */
struct unit {
	struct packet packet;
	uint32_t stride;       /* bytes of each datagram in it but the last; the size where one */
	union endpoint sender; /* of a socket */
};

struct inbox {
	size_t room; /* bytes of each buffer, one more than the largest unit: a full one was cut short */
	uint8_t *memory;
	struct unit units[INBOX_UNITS];
};

/* Buffers for `count` units of up to `largest` bytes. Returns 0 or -ENOMEM. */
int inbox_open(struct inbox *inbox, unsigned int count, size_t largest);
void inbox_close(struct inbox *inbox);

/* Bytes from buffer to buffer. */
static inline size_t inbox_pitch(const struct inbox *inbox)
{
	return INBOX_HEADROOM + ((inbox->room + 63) & ~(size_t)63);
}

/* The buffer of unit `index`: `room` bytes, and INBOX_HEADROOM in front of it. */
static inline uint8_t *inbox_buffer(const struct inbox *inbox, unsigned int index)
{
	return inbox->memory + index * inbox_pitch(inbox) + INBOX_HEADROOM;
}

#endif
