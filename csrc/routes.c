/*
 * routes.c - longest-prefix match by binary search.
 *
 * Theory of operation. Prefixes nest or are disjoint, so they cut the address space into at most
 * 2n + 1 ranges within each of which the longest match is the same. The ranges are computed once:
 * sort by first address, shorter prefix first, and sweep with a stack of the prefixes that are open
 * (at most 33, one a length). A look-up is then a search for the last range that starts at or below
 * the address, over eight bytes an entry. The table never changes afterwards, so any number of
 * pumps may share it; whoever wants to remember the last hit keeps the range it was given.
 */
#include "routes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { NO_ROUTE = UINT32_MAX, DEPTH_MAX = 33 };

struct start {
	uint32_t first; /* host order */
	uint32_t route; /* index in routes, or NO_ROUTE */
};

struct vnb_routes {
	struct vnb_route *routes;
	struct start *starts; /* ascending; the first is 0.0.0.0 */
	size_t count;         /* of starts */
};

static uint32_t host_bits(uint8_t length)
{
	return length == 0 ? UINT32_MAX : (UINT32_C(1) << (32 - length)) - 1;
}

static uint32_t first_address(const struct vnb_route *route)
{
	return ntohl(route->prefix);
}

static uint32_t last_address(const struct vnb_route *route)
{
	return first_address(route) | host_bits(route->length);
}

static bool is_valid(const struct vnb_route *route)
{
	return route->length <= 32 && !(first_address(route) & host_bits(route->length));
}

/* Orders pointers into one array; of equal prefixes the one that was given later comes later. */
static int compare(const void *left, const void *right)
{
	const struct vnb_route *a = *(const struct vnb_route *const *)left;
	const struct vnb_route *b = *(const struct vnb_route *const *)right;

	if (a->prefix != b->prefix)
		return first_address(a) < first_address(b) ? -1 : 1;
	if (a->length != b->length)
		return a->length < b->length ? -1 : 1;
	return a < b ? -1 : a > b;
}

/* From `first` on, `route` is the longest match. A range that turns out empty is overwritten. */
static void begin_range(struct vnb_routes *table, uint32_t first, uint32_t route)
{
	if (table->count == 0 || table->starts[table->count - 1].first != first)
		table->count++;
	table->starts[table->count - 1] = (struct start){first, route};
}

/* Close every open prefix that ends before `address`; return how many stay open. */
static size_t close_before(struct vnb_routes *table, const uint32_t *open, size_t depth,
			   uint64_t address)
{
	while (depth > 0) {
		uint64_t end = (uint64_t)last_address(&table->routes[open[depth - 1]]) + 1;

		if (end > address)
			break;
		depth--;
		if (end <= UINT32_MAX)
			begin_range(table, (uint32_t)end, depth ? open[depth - 1] : NO_ROUTE);
	}
	return depth;
}

/* Fill table->starts from the sorted routes; there is room for 2 * count + 1. */
static void flatten(struct vnb_routes *table, const struct vnb_route *const *sorted, size_t count)
{
	uint32_t open[DEPTH_MAX];
	size_t depth = 0;

	begin_range(table, 0, NO_ROUTE);
	for (size_t i = 0; i < count; i++) {
		uint32_t route = (uint32_t)(sorted[i] - table->routes);

		if (i + 1 < count && sorted[i]->prefix == sorted[i + 1]->prefix &&
		    sorted[i]->length == sorted[i + 1]->length)
			continue; /* given again, later */
		depth = close_before(table, open, depth, first_address(sorted[i]));
		open[depth++] = route;
		begin_range(table, first_address(sorted[i]), route);
	}
	close_before(table, open, depth, (uint64_t)UINT32_MAX + 1);
}

int vnb_routes_new(const struct vnb_route *routes, size_t count, struct vnb_routes **table)
{
	struct vnb_routes *new = calloc(1, sizeof(*new));
	const struct vnb_route **sorted = calloc(count + 1, sizeof(*sorted));
	int result = -ENOMEM;

	if (!new || !sorted || count >= NO_ROUTE / 2)
		goto out;
	new->routes = calloc(count + 1, sizeof(*new->routes));
	new->starts = calloc(2 * count + 1, sizeof(*new->starts));
	if (!new->routes || !new->starts)
		goto out;

	result = -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (!is_valid(&routes[i]))
			goto out;
		new->routes[i] = routes[i];
		sorted[i] = &new->routes[i];
	}
	qsort(sorted, count, sizeof(*sorted), compare);
	flatten(new, sorted, count);
	*table = new;
	new = NULL;
	result = 0;
out:
	free(sorted);
	vnb_routes_free(new);
	return result;
}

void vnb_routes_free(struct vnb_routes *table)
{
	if (!table)
		return;
	free(table->starts);
	free(table->routes);
	free(table);
}

struct routes_range routes_lookup(const struct vnb_routes *table, uint32_t address)
{
	const struct start *start = table->starts;
	struct routes_range range;
	size_t left = table->count;

	while (left > 1) { /* no early exit: the compiler makes a conditional move of the choice */
		size_t half = left / 2;

		start += start[half].first <= address ? half : 0;
		left -= half;
	}
	range.first = start->first;
	range.last = start + 1 < table->starts + table->count ? start[1].first - 1 : UINT32_MAX;
	range.route = start->route == NO_ROUTE ? NULL : &table->routes[start->route];
	return range;
}

int vnb_routes_find(const struct vnb_routes *table, uint32_t address, struct vnb_route *route)
{
	struct routes_range range = routes_lookup(table, ntohl(address));

	if (!range.route)
		return -ENETUNREACH;
	*route = *range.route;
	return 0;
}
