/* outbox.h - what a port is about to send; see outbox.c. */
#ifndef OUTBOX_H
#define OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "address.h"

enum {
	OUTBOX_MESSAGES = 64,
	OUTBOX_IOV = 2048,
	OUTBOX_HEADERS = 1 << 16,
	DATAGRAM_MAX = 65507, /* an IPv4 packet less two headers */
};

/* What one send or write carries: one packet, a super-packet, or several datagrams (UDP_SEGMENT). */
struct message {
	const union endpoint *to; /* NULL on a device */
	struct iovec *iov;
	unsigned int iov_count;
	unsigned int packets; /* that it stands for */
	uint32_t size;        /* bytes, without a virtio header */
	uint32_t segment;     /* bytes of each datagram in it but the last */
};

struct outbox {
	unsigned int count;     /* of messages */
	unsigned int iov_count; /* of iovecs used by them */
	size_t header_size;     /* of headers[] used by them */
	bool open;              /* the last message may be extended */
	struct message messages[OUTBOX_MESSAGES];
	struct iovec iov[OUTBOX_IOV];
	_Alignas(16) uint8_t headers[OUTBOX_HEADERS];
};

/* Whether one more message of up to `iov_count` iovecs and `header_size` bytes of header fits. */
static inline bool outbox_has_room(const struct outbox *outbox, unsigned int iov_count,
				   size_t header_size)
{
	return outbox->count < OUTBOX_MESSAGES && outbox->iov_count + iov_count <= OUTBOX_IOV &&
	       outbox->header_size + header_size <= OUTBOX_HEADERS;
}

static inline void outbox_empty(struct outbox *outbox)
{
	outbox->count = outbox->iov_count = 0;
	outbox->header_size = 0;
	outbox->open = false;
}

/* Take `size` bytes of header memory. There must be room. */
uint8_t *outbox_header(struct outbox *outbox, size_t size);

/* Begin a message of `packets` packets without iovecs. There must be room. */
struct message *outbox_begin(struct outbox *outbox, const union endpoint *to, unsigned int packets);

/* Add `size` bytes at `data` to the last message, which has room for it. */
void outbox_append(struct outbox *outbox, const void *data, size_t size);

/* How many datagrams of which size one send may carry; 1 and anything: no UDP_SEGMENT. */
struct segment_limits {
	unsigned int count;
	uint32_t size;
};

/*
 * Begin a datagram of `size` bytes to `to`: as one more segment of the last message where
 * `limits` allow that, or as a message of its own. There must be room for a message. Its bytes are
 * then appended.
 */
void outbox_datagram(struct outbox *outbox, const union endpoint *to, uint32_t size,
		     const struct segment_limits *limits);

#endif
