/* uring_ring.h - the ring that uring.c opens and receives through, and uring_send.c sends through. */
#ifndef URING_RING_H
#define URING_RING_H

#include <liburing.h>
#include <stdbool.h>

#include "pump.h"

/* What the user_data of a completion says it is about; 0 and 1 are the ports' receive requests. */
enum { ABOUT_STOP = 2, ABOUT_SEND = 3 /* and this plus the message's index */ };

struct received {
	uint16_t buffer;
	uint32_t size;
};

/* A port's receive request, its buffers, and what has come and was not asked for yet. */
struct uring_port {
	struct uring *uring;
	struct io_uring_buf_ring *ring;
	uint8_t *memory;
	size_t pitch;           /* bytes from buffer to buffer */
	size_t offset;          /* from a buffer to what the kernel fills */
	size_t room;            /* bytes the kernel fills */
	unsigned int entries;   /* buffers, a power of two */
	struct msghdr shape;    /* of what RECVMSG puts in front of a datagram; a socket's */
	struct received *queue; /* of `entries`, from head to tail (free-running) */
	unsigned int head, tail;
	unsigned int lent;      /* buffers in use by the batch: those before head */
	bool armed, single;     /* a request is under way; READ_MULTISHOT is not to be had */
	int lost;               /* -errno of a descriptor of no use any more */
};

struct uring {
	struct io_uring ring;
	struct pump *pump;
	struct uring_port port[2];
	bool stop_seen;
	bool is_open;
	struct port_kind kinds[2];    /* as the ports had, but receiving and sending through the ring */
	int results[OUTBOX_MESSAGES]; /* of sends */
	unsigned int outstanding;     /* sends */
};

static inline struct io_uring_sqe *uring_get_sqe(struct uring *uring)
{
	return io_uring_get_sqe(&uring->ring); /* never NULL: the ring holds all there can be */
}

/* Whether io_uring_enter() is to be tried again after this -errno. */
static inline bool uring_is_passing(int result)
{
	return result == -EINTR || result == -EAGAIN || result == -EBUSY;
}

/* Take all completions that there are. */
void uring_harvest(struct uring *uring);

/* Cancel every request of the ring and wait until that is done. */
void uring_cancel_all(struct uring *uring);

/* uring_send.c: send() of struct port_kind, on a device and on a socket. */
int uring_send(struct port *of, const struct message *messages, unsigned int count);

#endif
