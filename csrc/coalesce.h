/* coalesce.h - from packets of one flow to a super-packet; see coalesce.c. */
#ifndef COALESCE_H
#define COALESCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "packet.h"

/* Packets one coalescer holds, packets in one super-packet (of UDP, half), and iovecs of one item. */
enum { COALESCE_PACKETS = 1024, COALESCE_SEGMENTS = 128, COALESCE_IOV = COALESCE_SEGMENTS + 1 };

struct coalescer;

/* What packets are joined: bits, what the device takes. */
enum { COALESCE_TCP4 = 1, COALESCE_TCP6 = 2, COALESCE_UDP4 = 4, COALESCE_UDP6 = 8 };

/* A new, empty coalescer, or NULL (no memory). */
struct coalescer *coalesce_new(unsigned int kinds);
void coalesce_free(struct coalescer *coalescer);

/* From the next packet added on, join only these kinds. */
void coalesce_set_kinds(struct coalescer *coalescer, unsigned int kinds);

/*
 * Add the valid IP packet (see ip_valid()) of `size` bytes at `packet`, which must stay where it is
 * until coalesce_reset(); its header may be changed. Returns false, and takes nothing, when full.
 * Packets of one flow keep their order; packets of different flows may change places.
 */
bool coalesce_add(struct coalescer *coalescer, uint8_t *packet, size_t size);

/* One packet or super-packet to be written; what `iov` points at belongs to the added packets. */
struct coalesced {
	struct virtio_net_hdr offload;
	unsigned int packets; /* that it stands for, at least 1 */
	unsigned int iov_count;
	size_t size; /* bytes of all iovecs */
};

/* Fetch the items one after the other, oldest first; false when there are no more. */
bool coalesce_next(struct coalescer *coalescer, struct coalesced *item,
		   struct iovec iov[COALESCE_IOV]);

/* Forget everything that was added. */
void coalesce_reset(struct coalescer *coalescer);

#endif
