/*
 * prefixes.c - from prefixes that nest to ranges that do not.
 *
 * Theory of operation. Prefixes nest or are disjoint, so they cut the address space into at most
 * 2n + 1 ranges within each of which the longest match is the same. Sort by first address, shorter
 * prefix first, and sweep with a stack of the prefixes that are open (at most 129, one a length).
 * Neighbouring ranges with one owner become one range: whoever looks up asks for the owner, not for
 * the prefix, and a table of many subnets behind few peers shrinks by it.
 */
#include "prefixes.h"

#include <stdlib.h>

enum { DEPTH_MAX = 129 };

struct sweep {
	struct start *starts;
	size_t count;
	const struct prefix *open[DEPTH_MAX];
	size_t depth;
};

static bool is_equal(const struct prefix *a, const struct prefix *b)
{
	return a->first.high == b->first.high && a->first.low == b->first.low &&
	       a->length == b->length;
}

static int compare(const void *left, const void *right)
{
	const struct prefix *a = left, *b = right;

	if (a->first.high != b->first.high)
		return a->first.high < b->first.high ? -1 : 1;
	if (a->first.low != b->first.low)
		return a->first.low < b->first.low ? -1 : 1;
	if (a->length != b->length)
		return a->length < b->length ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static struct key last_address(const struct prefix *prefix)
{
	struct key bits = key_host_bits(prefix->length);

	return (struct key){prefix->first.high | bits.high, prefix->first.low | bits.low};
}

/* From `first` on, `owner` has the longest match. A range that turns out empty goes. */
static void begin_range(struct sweep *sweep, struct key first, uint32_t owner)
{
	struct start *last = &sweep->starts[sweep->count - 1]; /* there always is one */

	if (last->first.high == first.high && last->first.low == first.low)
		sweep->count--;
	if (sweep->count > 0 && sweep->starts[sweep->count - 1].owner == owner)
		return;
	sweep->starts[sweep->count++] = (struct start){first, owner};
}

/* Close the innermost open prefix: what it lies in goes on behind it. */
static void close_one(struct sweep *sweep)
{
	struct key next = last_address(sweep->open[--sweep->depth]);

	if (++next.low == 0 && ++next.high == 0)
		return; /* it ends where the address space ends */
	begin_range(sweep, next, sweep->depth ? sweep->open[sweep->depth - 1]->owner : NO_OWNER);
}

size_t prefixes_flatten(struct prefix *prefixes, size_t count, struct start *starts)
{
	struct sweep sweep = {.starts = starts};

	if (count > 0)
		qsort(prefixes, count, sizeof(*prefixes), compare);
	starts[0] = (struct start){.owner = NO_OWNER};
	sweep.count = 1;
	for (size_t i = 0; i < count; i++) {
		if (i + 1 < count && is_equal(&prefixes[i], &prefixes[i + 1]))
			continue; /* given again, later */
		while (sweep.depth > 0 &&
		       key_less(last_address(sweep.open[sweep.depth - 1]), prefixes[i].first))
			close_one(&sweep);
		sweep.open[sweep.depth++] = &prefixes[i];
		begin_range(&sweep, prefixes[i].first, prefixes[i].owner);
	}
	while (sweep.depth > 0)
		close_one(&sweep);
	return sweep.count;
}
