/* checksum.h - the Internet checksum; see checksum.c. */
#ifndef CHECKSUM_H
#define CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of `size` bytes, in the byte order of memory: store it with memcpy. */
uint16_t checksum(const void *data, size_t size);

/* What `check` becomes when the 16-bit word `before` of the data becomes `after`. */
uint16_t checksum_patch(uint16_t check, uint16_t before, uint16_t after);

#endif
