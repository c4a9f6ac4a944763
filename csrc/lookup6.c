/*
 * lookup6.c - the owner of an IPv6 address.
 *
 * Theory of operation. The subnets of one overlay share a long prefix and differ in few bits behind
 * it. So the bits that all range starts have in common are skipped, and the 16 bits that follow are
 * an index into buckets: each knows which starts lie in it, and a binary search over those, mostly
 * none or one, finds the range. An address in front of the second start or behind the last one is
 * answered at once; any other lies between two starts and shares the skipped bits with them.
 *
 * Where subnets do not share a prefix, the search is longer, but never longer than one over them all.
 */
#include "lookup6.h"

#include <errno.h>
#include <stdlib.h>

enum { BUCKET_BITS = 16 };

static inline size_t bucket_of(const struct lookup6 *lookup, struct key key)
{
	unsigned int shift = lookup->shift;
	uint64_t bits;

	if (shift >= 64)
		bits = key.high >> (shift - 64);
	else if (shift > 0)
		bits = key.high << (64 - shift) | key.low >> shift;
	else
		bits = key.low;
	return bits & (LOOKUP6_BUCKETS - 1);
}

/* How many leading bits of `a` and `b`, which differ, are the same. */
static unsigned int common_bits(struct key a, struct key b)
{
	if (a.high != b.high)
		return (unsigned int)__builtin_clzll(a.high ^ b.high);
	return 64 + (unsigned int)__builtin_clzll(a.low ^ b.low);
}

int lookup6_build(struct lookup6 *lookup, struct start *starts, size_t count)
{
	unsigned int common;
	uint32_t sum = 1;

	*lookup = (struct lookup6){.starts = starts, .count = count};
	if (count <= 2)
		return 0; /* both answers are given without the buckets */
	lookup->before = calloc(LOOKUP6_BUCKETS + 1, sizeof(*lookup->before));
	if (!lookup->before)
		return -ENOMEM;
	common = common_bits(starts[1].first, starts[count - 1].first);
	lookup->shift = common < 128 - BUCKET_BITS ? 128 - BUCKET_BITS - common : 0;

	for (size_t i = 1; i < count; i++)
		lookup->before[bucket_of(lookup, starts[i].first) + 1]++;
	for (size_t i = 0; i <= LOOKUP6_BUCKETS; i++) {
		sum += lookup->before[i];
		lookup->before[i] = sum;
	}
	return 0;
}

void lookup6_clear(struct lookup6 *lookup)
{
	free(lookup->before);
	free(lookup->starts);
}

uint32_t lookup6_find(const struct lookup6 *lookup, struct key address)
{
	const struct start *start = lookup->starts;
	size_t bucket, left;

	if (lookup->count == 1 || key_less(address, start[1].first))
		return start->owner;
	if (!key_less(address, start[lookup->count - 1].first))
		return start[lookup->count - 1].owner;

	bucket = bucket_of(lookup, address);
	start += lookup->before[bucket] - 1;
	left = lookup->before[bucket + 1] - lookup->before[bucket] + 1;
	while (left > 1) { /* no early exit: the compiler makes a conditional move of the choice */
		size_t half = left / 2;

		start += key_less(address, start[half].first) ? 0 : half;
		left -= half;
	}
	return start->owner;
}
