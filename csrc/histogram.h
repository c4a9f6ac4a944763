/*
 * histogram.h - times in buckets of equal relative width.
 *
 * Theory of operation. Up to 2^7 ns a bucket is one nanosecond; above, each power of two is cut into
 * 2^7 equal buckets. So a bucket is never wider than 1/128 of what is in it, whatever that is, and
 * finding it takes a count of leading zeros and a shift.
 */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

#include "vnetbench.h"

enum { HISTOGRAM_BITS = 7, HISTOGRAM_PARTS = 1 << HISTOGRAM_BITS };

/* Whose bucket `ns` is; what is negative counts as 0, what is too long as the longest. */
static inline uint32_t histogram_bucket(int64_t ns)
{
	unsigned int exponent;
	uint64_t bucket;

	if (ns < HISTOGRAM_PARTS)
		return ns > 0 ? (uint32_t)ns : 0;
	exponent = 63 - (unsigned int)__builtin_clzll((unsigned long long)ns) - HISTOGRAM_BITS;
	bucket = (uint64_t)exponent * HISTOGRAM_PARTS + ((uint64_t)ns >> exponent);
	return bucket < VNB_BUCKETS ? (uint32_t)bucket : VNB_BUCKETS - 1;
}

/* The least that is in `bucket`. */
static inline int64_t histogram_lowest(uint32_t bucket)
{
	uint32_t exponent = bucket / HISTOGRAM_PARTS;

	if (exponent < 2)
		return bucket;
	return (int64_t)(HISTOGRAM_PARTS + bucket % HISTOGRAM_PARTS) << (exponent - 1);
}

#endif
