/*
 * lookup4.c - the owner of an IPv4 address in three loads.
 *
 * Theory of operation. A binary search over ten thousand subnets is fourteen loads that each wait
 * for the one before. Here the upper 16 bits of the address are an index into the root table, whose
 * words say one of three things about their part of the address space:
 *
 *     owner   one owner has it all
 *     run     at most eight ranges: the lower 16 bits of the last address of each, then the owners
 *     table   more: 256 words again, one for each value of the next 8 bits
 *
 * A run is searched without a branch: the range's index is the number of ranges that end before the
 * address. Eight ends are 16 bytes, so a compiler compares them all at once. Ends behind the last
 * range are 0xffff, which nothing lies behind.
 *
 * Subnets next to each other make tables, subnets far from each other make runs; so the words stay
 * few for both. The very worst is a table on each of two levels for each nine ranges: 10,000 routes,
 * which are at most 20,001 ranges, then take 5 MiB; those of an overlay take some 300 KiB.
 */
#include "lookup4.h"

#include <errno.h>
#include <stdlib.h>

/* A table under construction, and the ranges still to be entered into it. */
struct build {
	uint32_t *words;
	size_t used, room;
	const struct start *starts;
	size_t count;
	int error;
};

static uint32_t first_of(const struct build *build, size_t range)
{
	return (uint32_t)(build->starts[range].first.high >> 32);
}

static uint32_t last_of(const struct build *build, size_t range)
{
	return range + 1 < build->count ? first_of(build, range + 1) - 1 : UINT32_MAX;
}

/* Take `count` words; their index, or 0, which no run or table has, when there are none. */
static size_t take_words(struct build *build, size_t count)
{
	size_t index = build->used;

	if (build->used + count > build->room) {
		size_t room = 2 * build->room + count;
		uint32_t *words = NULL;

		if (room < (size_t)1 << LOOKUP4_KIND_SHIFT)
			words = realloc(build->words, room * sizeof(*words));
		if (!words) {
			build->error = -ENOMEM;
			return 0;
		}
		build->words = words;
		build->room = room;
	}
	build->used += count;
	return index;
}

/* Write the run of the `count` ranges from `range` on; return its word. */
static uint32_t make_run(struct build *build, size_t range, size_t count)
{
	uint16_t ends[LOOKUP4_RUN];
	size_t index = take_words(build, LOOKUP4_ENDS + count);

	if (build->error)
		return 0;
	for (size_t i = 0; i < LOOKUP4_RUN; i++)
		ends[i] = i + 1 < count ? (uint16_t)last_of(build, range + i) : UINT16_MAX;
	memcpy(&build->words[index], ends, sizeof(ends));
	for (size_t i = 0; i < count; i++)
		build->words[index + LOOKUP4_ENDS + i] = build->starts[range + i].owner;
	return (uint32_t)index | (uint32_t)LOOKUP4_IS_RUN << LOOKUP4_KIND_SHIFT;
}

static void fill_table(struct build *build, size_t index, size_t words, uint32_t first,
		       unsigned int bits, size_t range);

/* The word for the 2^bits addresses from `first`, the first of which is in `range`. */
static uint32_t make_word(struct build *build, uint32_t first, unsigned int bits, size_t range)
{
	uint32_t last = first + ((UINT32_C(1) << bits) - 1);
	size_t count = 1, index;

	while (count <= LOOKUP4_RUN && last_of(build, range + count - 1) < last)
		count++;
	if (count == 1)
		return build->starts[range].owner;
	if (count <= LOOKUP4_RUN)
		return make_run(build, range, count);
	index = take_words(build, LOOKUP4_TABLE);
	if (build->error)
		return 0;
	fill_table(build, index, LOOKUP4_TABLE, first, bits - 8, range);
	return (uint32_t)index | (uint32_t)LOOKUP4_IS_TABLE << LOOKUP4_KIND_SHIFT;
}

/* Fill the table at `index`; each of its words stands for 2^bits addresses. */
static void fill_table(struct build *build, size_t index, size_t words, uint32_t first,
		       unsigned int bits, size_t range)
{
	for (size_t i = 0; i < words && !build->error; i++) {
		uint32_t at = first + ((uint32_t)i << bits), word;

		while (last_of(build, range) < at)
			range++;
		word = make_word(build, at, bits, range);
		build->words[index + i] = word; /* only now: make_word() may move the words */
	}
}

int lookup4_build(struct lookup4 *lookup, const struct start *starts, size_t count)
{
	struct build build = {.starts = starts, .count = count};

	build.words = calloc(LOOKUP4_ROOT, sizeof(*build.words));
	if (!build.words)
		return -ENOMEM;
	build.used = build.room = LOOKUP4_ROOT;
	if (count > 1 || starts[0].owner != NO_OWNER) /* else the zero pages stay untouched */
		fill_table(&build, 0, LOOKUP4_ROOT, 0, 16, 0);
	lookup->words = build.words;
	return build.error;
}

void lookup4_clear(struct lookup4 *lookup)
{
	free(lookup->words);
}
