#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "routes.h"
#include "test.h"

static struct vnb_route route(uint32_t prefix, uint8_t length, uint32_t next_hop)
{
	return (struct vnb_route){
		.prefix = htonl(prefix),
		.length = length,
		.next_hop = htonl(next_hop),
		.port = htons(8285),
	};
}

static uint32_t mask(uint8_t length)
{
	return length == 0 ? 0 : UINT32_MAX << (32 - length);
}

/* Longest prefix by looking at every route; the later of equals. NULL: none. */
static const struct vnb_route *by_definition(const struct vnb_route *routes, size_t count,
					     uint32_t address)
{
	const struct vnb_route *best = NULL;

	for (size_t i = 0; i < count; i++)
		if ((address & mask(routes[i].length)) == ntohl(routes[i].prefix) &&
		    (!best || routes[i].length >= best->length))
			best = &routes[i];
	return best;
}

/* Next hop for `address` in host order, 0 if there is none. */
static uint32_t next_hop(const struct vnb_routes *table, uint32_t address)
{
	struct vnb_route found = {0};
	int result = vnb_routes_find(table, htonl(address), &found);

	return result == -ENETUNREACH ? 0 : ntohl(found.next_hop);
}

static bool agrees(const struct vnb_routes *table, const struct vnb_route *routes, size_t count,
		   uint32_t address)
{
	const struct vnb_route *expected = by_definition(routes, count, address);
	struct routes_range range = routes_lookup(table, address);

	if (range.first > address || range.last < address)
		return false;
	if (!expected || !range.route)
		return !expected && !range.route;
	return memcmp(expected, range.route, sizeof(*expected)) == 0;
}

/* Random nested tables; asked at random, and on both sides of every edge. */
static void random_tables(void)
{
	enum { TABLES = 60, ROUTES_MAX = 150, QUESTIONS = 200 };
	struct vnb_route routes[ROUTES_MAX];
	uint32_t random = 42;
	bool agree = true;

	for (unsigned int t = 0; t < TABLES; t++) {
		size_t count = test_random(&random) % ROUTES_MAX;
		struct vnb_routes *table = NULL;

		for (size_t i = 0; i < count; i++) {
			uint8_t length = (uint8_t)(test_random(&random) % 33);
			uint32_t base = i && test_random(&random) % 2 /* often inside another one */
						? ntohl(routes[test_random(&random) % i].prefix)
						: test_random(&random);

			memset(&routes[i], 0, sizeof(routes[i]));
			routes[i] = route(base & mask(length), length, (uint32_t)i + 1);
		}
		NEED(vnb_routes_new(routes, count, &table) == 0);
		for (size_t i = 0; i < count; i++) {
			uint32_t first = ntohl(routes[i].prefix), last = first | ~mask(routes[i].length);

			agree &= agrees(table, routes, count, first) &&
				 agrees(table, routes, count, last) &&
				 agrees(table, routes, count, first - 1) &&
				 agrees(table, routes, count, last + 1);
		}
		for (unsigned int i = 0; i < QUESTIONS; i++)
			agree &= agrees(table, routes, count, test_random(&random));
		vnb_routes_free(table);
	}
	CLAIM(agree, "look-ups agree with a comparison of every route, at every edge");
}

/* What a range promises is true of every address in it. */
static void ranges(void)
{
	struct vnb_route routes[] = {
		route(ADDRESS(10, 0, 0, 0), 24, 1),
		route(ADDRESS(10, 0, 0, 0), 30, 2),
		route(ADDRESS(10, 0, 0, 8), 32, 3),
		route(ADDRESS(10, 0, 0, 252), 30, 4),
	};
	struct vnb_routes *table = NULL;
	bool kept = true;

	NEED(vnb_routes_new(routes, 4, &table) == 0);
	for (uint32_t a = ADDRESS(9, 255, 255, 250); a < ADDRESS(10, 0, 1, 5); a++) {
		struct routes_range range = routes_lookup(table, a);

		kept &= routes_lookup(table, range.first).route == range.route &&
			routes_lookup(table, range.last).route == range.route &&
			agrees(table, routes, 4, a);
	}
	CLAIM(kept, "both ends of a range have the same longest match as the address asked for");
	vnb_routes_free(table);
}

static void extremes(void)
{
	struct vnb_route all = route(0, 0, 1), host = route(UINT32_MAX, 32, 2), zero = route(0, 32, 3);
	struct vnb_route three[] = {all, host, zero}, nest[33];
	struct vnb_routes *table = NULL;

	NEED(vnb_routes_new(NULL, 0, &table) == 0);
	CLAIM(next_hop(table, 0) == 0 && next_hop(table, UINT32_MAX) == 0,
	      "an empty table has no route to anywhere");
	vnb_routes_free(table);

	NEED(vnb_routes_new(three, 3, &table) == 0);
	CLAIM(next_hop(table, ADDRESS(8, 8, 8, 8)) == 1, "0.0.0.0/0 matches what nothing else does");
	CLAIM(next_hop(table, UINT32_MAX) == 2, "a /32 at the end of the address space is found");
	CLAIM(next_hop(table, UINT32_MAX - 1) == 1, "its neighbour is not");
	CLAIM(next_hop(table, 0) == 3 && next_hop(table, 1) == 1, "nor is that of a /32 at 0.0.0.0");
	vnb_routes_free(table);

	for (uint8_t length = 0; length <= 32; length++)
		nest[32 - length] = route(UINT32_MAX & mask(length), length, length + 1u);
	NEED(vnb_routes_new(nest, 33, &table) == 0);
	CLAIM(next_hop(table, UINT32_MAX) == 33 && next_hop(table, UINT32_MAX - 1) == 32 &&
		      next_hop(table, 0) == 1,
	      "33 prefixes nest in one another");
	vnb_routes_free(table);
}

static void refusals(void)
{
	struct vnb_route bad[] = {
		route(ADDRESS(10, 0, 0, 1), 24, 1), route(0, 33, 1), route(1, 0, 1)};
	struct vnb_route twice[] = {route(ADDRESS(10, 0, 0, 0), 8, 1), route(ADDRESS(10, 0, 0, 0), 8, 2)};
	struct vnb_routes *table = NULL;

	CLAIM(vnb_routes_new(&bad[0], 1, &table) == -EINVAL, "host bits are refused");
	CLAIM(vnb_routes_new(&bad[1], 1, &table) == -EINVAL, "a length of 33 is refused");
	CLAIM(vnb_routes_new(&bad[2], 1, &table) == -EINVAL, "host bits of a /0 are refused");
	CLAIM(table == NULL, "a refused table is not stored");

	NEED(vnb_routes_new(twice, 2, &table) == 0);
	CLAIM(next_hop(table, ADDRESS(10, 1, 2, 3)) == 2, "of two equal prefixes the later wins");
	vnb_routes_free(table);
	vnb_routes_free(NULL);
}

static void scale(void)
{
	enum { COUNT = 10000 };
	struct vnb_route *routes = calloc(COUNT, sizeof(*routes));
	struct vnb_routes *table = NULL;
	clock_t begin;
	double seconds;

	NEED(routes);
	for (uint32_t i = 0; i < COUNT; i++) /* scattered, so that sorting has something to do */
		routes[i] = route(i * 7919 % COUNT << 8, 24, i + 1);
	begin = clock();
	NEED(vnb_routes_new(routes, COUNT, &table) == 0);
	seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
	CLAIM(seconds < 0.1, "a table of 10,000 routes is built in under 100 ms of CPU time");
	CLAIM(next_hop(table, (uint32_t)(7919 % COUNT) << 8 | 5) == 2, "and it answers");
	vnb_routes_free(table);
	free(routes);
}

void test_routes(void)
{
	random_tables();
	ranges();
	extremes();
	refusals();
	scale();
}
