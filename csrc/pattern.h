/* pattern.h - what stands in a datagram of a stream; see pattern.c. */
#ifndef PATTERN_H
#define PATTERN_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>

/* A stream's header, in network byte order, at the beginning of each datagram. */
struct pattern_header {
	uint32_t id;
	uint32_t check;
	uint64_t sequence;
};

/* A bijection of 64 bits in which every bit of the input reaches every bit (splitmix64's). */
static inline uint64_t pattern_mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* What all datagrams of a stream have in common: compute it once. */
static inline uint64_t pattern_key(uint64_t seed, uint32_t id)
{
	return pattern_mix(seed) ^ pattern_mix(~(uint64_t)id);
}

/* What one datagram begins from. */
static inline uint64_t pattern_state(uint64_t key, uint64_t sequence, uint32_t size)
{
	return pattern_mix(key + sequence * 0x9e3779b97f4a7c15 + ((uint64_t)size << 48));
}

static inline struct pattern_header pattern_header(uint32_t id, uint64_t sequence, uint64_t state)
{
	return (struct pattern_header){
		.id = htobe32(id),
		.check = htobe32((uint32_t)(state >> 32)),
		.sequence = htobe64(sequence),
	};
}

/* Fill the `size` bytes behind a header. */
void pattern_fill(uint8_t *payload, size_t size, uint64_t state);

/* Index of the first of the `size` bytes behind a header that is wrong; `size` if none is. */
size_t pattern_check(const uint8_t *payload, size_t size, uint64_t state);

#endif
