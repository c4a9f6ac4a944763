/* prefixes.h - from prefixes that nest to ranges that do not; see prefixes.c. */
#ifndef PREFIXES_H
#define PREFIXES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An address as a 128-bit number; one of IPv4 stands in its 32 most significant bits. */
struct key {
	uint64_t high, low;
};

/* Owners are numbered from 1; NO_OWNER is nobody. */
enum { NO_OWNER = 0 };

struct prefix {
	struct key first;
	uint8_t length;
	uint32_t owner;
	uint32_t order; /* of two equal prefixes, the one with the higher order counts */
};

/* From `first` to the start that follows, or to the end of the address space, `owner` owns all. */
struct start {
	struct key first;
	uint32_t owner;
};

static inline bool key_less(struct key a, struct key b)
{
	return (a.high < b.high) | ((a.high == b.high) & (a.low < b.low));
}

/* The bits that a prefix of `length` bits leaves open. */
static inline struct key key_host_bits(unsigned int length)
{
	return (struct key){
		.high = length < 64 ? UINT64_MAX >> length : 0,
		.low = length <= 64 ? UINT64_MAX : length < 128 ? UINT64_MAX >> (length - 64) : 0,
	};
}

/*
 * Write the ranges of longest match to `starts`, which has room for 2 * count + 1, ascending, the
 * first at address 0, neighbours with different owners; return how many. Sorts `prefixes`, whose
 * host bits must be zero.
 */
size_t prefixes_flatten(struct prefix *prefixes, size_t count, struct start *starts);

#endif
