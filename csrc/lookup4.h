/* lookup4.h - the owner of an IPv4 address in three loads; see lookup4.c. */
#ifndef LOOKUP4_H
#define LOOKUP4_H

#include <stdint.h>
#include <string.h>

#include "prefixes.h"

/*
 * The upper two bits of a word say what it is: the number of an owner, or the index of the words of
 * a run or of a table. A run has at most LOOKUP4_RUN ranges, whose ends fill LOOKUP4_ENDS words.
 */
enum { LOOKUP4_OWNER = 0, LOOKUP4_IS_RUN = 1, LOOKUP4_IS_TABLE = 2, LOOKUP4_KIND_SHIFT = 30 };
enum { LOOKUP4_RUN = 8, LOOKUP4_ENDS = LOOKUP4_RUN / 2 };
enum { LOOKUP4_ROOT = 1 << 16, LOOKUP4_TABLE = 1 << 8 };

struct lookup4 {
	uint32_t *words; /* the root table is in front */
};

/* Returns 0 or -ENOMEM. */
int lookup4_build(struct lookup4 *lookup, const struct start *starts, size_t count);
void lookup4_clear(struct lookup4 *lookup);

/* The owner of `address` (host order). */
static inline uint32_t lookup4_find(const struct lookup4 *lookup, uint32_t address)
{
	const uint32_t *words = lookup->words;
	const uint32_t mask = (UINT32_C(1) << LOOKUP4_KIND_SHIFT) - 1;
	uint32_t word = words[address >> 16];
	uint16_t low = (uint16_t)address, last[LOOKUP4_RUN];
	uint32_t index = 0;

	if (word >> LOOKUP4_KIND_SHIFT == LOOKUP4_IS_TABLE) {
		word = words[(word & mask) + (low >> 8)];
		if (word >> LOOKUP4_KIND_SHIFT == LOOKUP4_IS_TABLE)
			word = words[(word & mask) + (low & 0xff)];
	}
	if (word >> LOOKUP4_KIND_SHIFT == LOOKUP4_OWNER)
		return word;
	words += word & mask;
	memcpy(last, words, sizeof(last));
	for (unsigned int i = 0; i < LOOKUP4_RUN; i++)
		index += last[i] < low;
	return words[LOOKUP4_ENDS + index];
}

#endif
