/* checksum.h - the Internet checksum; see checksum.c. */
#ifndef CHECKSUM_H
#define CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * The one's-complement sum of 16-bit words as they lie in memory, added to `sum`, not yet folded.
 * Pieces may be summed one after the other if all but the last have an even size.
 */
uint64_t checksum_add(uint64_t sum, const void *data, size_t size);

/* The same of one 16-bit value in host order. */
uint64_t checksum_add16(uint64_t sum, uint16_t value);

/* A sum as 16 bits in the byte order of memory: store it, or its complement, with memcpy. */
uint16_t checksum_fold(uint64_t sum);

/* The checksum of `size` bytes, in the byte order of memory: store it with memcpy. */
uint16_t checksum(const void *data, size_t size);

/* What `check` becomes when the 16-bit word `before` of the data becomes `after`. */
uint16_t checksum_patch(uint16_t check, uint16_t before, uint16_t after);

#endif
