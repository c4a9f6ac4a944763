/* lookup6.h - the owner of an IPv6 address; see lookup6.c. */
#ifndef LOOKUP6_H
#define LOOKUP6_H

#include <stdint.h>

#include "prefixes.h"

enum { LOOKUP6_BUCKETS = 1 << 16 };

struct lookup6 {
	struct start *starts;
	size_t count;
	uint32_t *before;   /* for each bucket and the end: how many starts lie before it; at least 1 */
	unsigned int shift; /* of an address, so that its bucket is in the lowest 16 bits */
};

/* Takes over `starts`, which is from malloc(), even when it fails. Returns 0 or -ENOMEM. */
int lookup6_build(struct lookup6 *lookup, struct start *starts, size_t count);
void lookup6_clear(struct lookup6 *lookup);

uint32_t lookup6_find(const struct lookup6 *lookup, struct key address);

#endif
