#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ipv4.h"
#include "routes.h"
#include "test.h"

/* An address of either family, as in a packet; of IPv4 the first 4 bytes count. */
struct address {
	uint8_t bytes[16];
};

static struct address address4(uint32_t address)
{
	struct address result = {0};

	address = htonl(address);
	memcpy(result.bytes, &address, sizeof(address));
	return result;
}

static struct address address6(const char *text)
{
	struct address result;

	NEED(inet_pton(AF_INET6, text, result.bytes) == 1);
	return result;
}

/* The last address of the prefix that `address` and `length` name. */
static struct address last_of(struct address address, bool ipv6, unsigned int length)
{
	for (unsigned int bit = length; bit < (ipv6 ? 128 : 32); bit++)
		address.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return address;
}

static struct address first_of(struct address address, bool ipv6, unsigned int length)
{
	for (unsigned int bit = length; bit < (ipv6 ? 128 : 32); bit++)
		address.bytes[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
	return address;
}

/* The address `step` (1 or -1) further, around the ends. */
static struct address neighbour(struct address address, bool ipv6, int step)
{
	for (int i = ipv6 ? 15 : 3; i >= 0; i--) {
		address.bytes[i] = (uint8_t)(address.bytes[i] + step);
		if (address.bytes[i] != (step > 0 ? 0 : 0xff))
			break;
	}
	return address;
}

static struct vnb_route route(struct address prefix, bool ipv6, uint8_t length, uint32_t next_hop)
{
	struct vnb_route result = {.port = htons(8285), .ipv6 = ipv6, .length = length};

	memcpy(result.prefix, prefix.bytes, sizeof(result.prefix));
	next_hop = htonl(next_hop);
	memcpy(result.next_hop, &next_hop, sizeof(next_hop));
	return result;
}

static struct vnb_route route4(uint32_t prefix, uint8_t length, uint32_t next_hop)
{
	return route(address4(prefix), false, length, next_hop);
}

static struct vnb_route route6(const char *prefix, uint8_t length, uint32_t next_hop)
{
	return route(address6(prefix), true, length, next_hop);
}

/* The next hop by looking at every route, the later of equals; 0 if there is none. */
static uint32_t by_definition(const struct vnb_route *routes, size_t count, bool ipv6,
			      struct address address)
{
	const struct vnb_route *best = NULL;

	for (size_t i = 0; i < count; i++) {
		struct address prefix = first_of(address, ipv6, routes[i].length);

		if (routes[i].ipv6 == ipv6 && memcmp(prefix.bytes, routes[i].prefix, 16) == 0 &&
		    (!best || routes[i].length >= best->length))
			best = &routes[i];
	}
	return best ? load32(best->next_hop) : 0;
}

/* The next hop as the table says, 0 if there is none. */
static uint32_t next_hop(const struct routes *table, bool ipv6, struct address address)
{
	const union endpoint *peer = ipv6 ? routes_lookup6(table, address.bytes)
					  : routes_lookup4(table, address.bytes);

	return peer ? ntohl(peer->v4.sin_addr.s_addr) : 0;
}

static uint32_t next_hop4(const struct routes *table, uint32_t address)
{
	return next_hop(table, false, address4(address));
}

static uint32_t next_hop6(const struct routes *table, const char *address)
{
	return next_hop(table, true, address6(address));
}

static struct routes *table_of(const struct vnb_route *routes, size_t count)
{
	struct routes *table = NULL;

	NEED(routes_new(routes, count, &table) == 0);
	return table;
}

static bool agrees(const struct routes *table, const struct vnb_route *routes, size_t count,
		   bool ipv6, struct address address)
{
	return next_hop(table, ipv6, address) == by_definition(routes, count, ipv6, address);
}

static bool agrees_at_edges(const struct routes *table, const struct vnb_route *routes, size_t count)
{
	bool agree = true;

	for (size_t i = 0; i < count; i++) {
		bool ipv6 = routes[i].ipv6;
		struct address first, last;

		memcpy(first.bytes, routes[i].prefix, sizeof(first.bytes));
		last = last_of(first, ipv6, routes[i].length);
		agree &= agrees(table, routes, count, ipv6, first) &&
			 agrees(table, routes, count, ipv6, last) &&
			 agrees(table, routes, count, ipv6, neighbour(first, ipv6, -1)) &&
			 agrees(table, routes, count, ipv6, neighbour(last, ipv6, 1));
	}
	return agree;
}

static struct address random_address(uint32_t *random, bool ipv6)
{
	struct address address = {0};

	for (unsigned int i = 0; i < (ipv6 ? 16 : 4); i++)
		address.bytes[i] = (uint8_t)test_random(random);
	return address;
}

/*
 * Random routes of both families, often inside one another, with few or many peers. In a dense table
 * all lie in a small part of the address space, down to single addresses.
 */
static void fill_randomly(struct vnb_route *routes, size_t count, uint32_t *random)
{
	bool dense = test_random(random) % 2, few_peers = test_random(random) % 2;

	for (size_t i = 0; i < count; i++) {
		bool ipv6 = test_random(random) % 2;
		unsigned int bits = ipv6 ? 128 : 32;
		unsigned int length = dense ? bits - test_random(random) % 12
					    : test_random(random) % (bits + 1);
		struct address base = random_address(random, ipv6);
		const struct vnb_route *other = &routes[i ? test_random(random) % i : 0];

		if (dense)
			memset(base.bytes, 0x0a, ipv6 ? 14 : 2);
		if (i && other->ipv6 == ipv6 && test_random(random) % 2)
			memcpy(base.bytes, other->prefix, sizeof(base.bytes));
		routes[i] = route(first_of(base, ipv6, length), ipv6, (uint8_t)length,
				  1 + (uint32_t)(few_peers ? i % 3 : i));
	}
}

/* Random tables; asked at random, and on both sides of every edge. */
static void random_tables(void)
{
	enum { TABLES = 80, ROUTES_MAX = 200, QUESTIONS = 100 };
	struct vnb_route routes[ROUTES_MAX];
	uint32_t random = 42;
	bool agree = true;

	for (unsigned int t = 0; t < TABLES; t++) {
		size_t count = test_random(&random) % ROUTES_MAX;
		struct routes *table;

		fill_randomly(routes, count, &random);
		table = table_of(routes, count);
		agree &= agrees_at_edges(table, routes, count);
		for (unsigned int i = 0; i < QUESTIONS; i++) {
			bool ipv6 = i % 2;

			agree &= agrees(table, routes, count, ipv6, random_address(&random, ipv6));
		}
		routes_free(table);
	}
	CLAIM(agree, "look-ups agree with a comparison of every route, at every edge");
}

static void extremes4(void)
{
	struct vnb_route three[] = {
		route4(0, 0, 1), route4(UINT32_MAX, 32, 2), route4(0, 32, 3)};
	struct vnb_route nest[33], hosts[256];
	struct routes *table = table_of(NULL, 0);
	bool found = true;

	CLAIM(next_hop4(table, 0) == 0 && next_hop4(table, UINT32_MAX) == 0,
	      "an empty table has no route to anywhere");
	CLAIM(next_hop6(table, "::") == 0 && next_hop6(table, "ff::") == 0, "in either family");
	routes_free(table);

	table = table_of(three, 3);
	CLAIM(next_hop4(table, ADDRESS(8, 8, 8, 8)) == 1, "0.0.0.0/0 matches what nothing else does");
	CLAIM(next_hop4(table, UINT32_MAX) == 2, "a /32 at the end of the address space is found");
	CLAIM(next_hop4(table, UINT32_MAX - 1) == 1, "its neighbour is not");
	CLAIM(next_hop4(table, 0) == 3 && next_hop4(table, 1) == 1, "nor is that of a /32 at 0.0.0.0");
	CLAIM(next_hop6(table, "::") == 0, "a default route of IPv4 says nothing about IPv6");
	routes_free(table);

	for (uint8_t length = 0; length <= 32; length++)
		nest[32 - length] = route(first_of(address4(UINT32_MAX), false, length), false, length,
					  length + 1u);
	table = table_of(nest, 33);
	CLAIM(next_hop4(table, UINT32_MAX) == 33 && next_hop4(table, UINT32_MAX - 1) == 32 &&
		      next_hop4(table, 0) == 1,
	      "33 prefixes nest in one another");
	routes_free(table);

	for (uint32_t i = 0; i < 256; i++)
		hosts[i] = route4(UINT32_MAX - i, 32, i + 1);
	table = table_of(hosts, 256);
	for (uint32_t i = 0; i < 256; i++)
		found &= next_hop4(table, UINT32_MAX - i) == i + 1;
	CLAIM(found && next_hop4(table, UINT32_MAX - 256) == 0, "each host of a /24 may have a peer");
	routes_free(table);
}

static void extremes6(void)
{
	const char *end = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
	struct vnb_route three[] = {route6("::", 0, 1), route6(end, 128, 2), route6("::", 128, 3)};
	struct vnb_route nest[129], far[] = {route6("fd00:1::", 64, 1), route6("fd00:1:0:1::", 64, 2),
					     route6("2001:db8::", 32, 3)};
	struct routes *table = table_of(three, 3);

	CLAIM(next_hop6(table, "2001:db8::1") == 1, "::/0 matches what nothing else does");
	CLAIM(next_hop6(table, end) == 2 && next_hop6(table, "::") == 3,
	      "a /128 at either end of the address space is found");
	CLAIM(next_hop6(table, "::1") == 1 &&
		      next_hop6(table, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe") == 1,
	      "its neighbour is not");
	CLAIM(next_hop4(table, 0) == 0, "a default route of IPv6 says nothing about IPv4");
	routes_free(table);

	for (unsigned int length = 0; length <= 128; length++)
		nest[128 - length] = route(first_of(address6(end), true, length), true, (uint8_t)length,
					   length + 1);
	table = table_of(nest, 129);
	CLAIM(agrees_at_edges(table, nest, 129) && next_hop6(table, end) == 129,
	      "129 prefixes nest in one another");
	routes_free(table);

	table = table_of(far, 3);
	CLAIM(next_hop6(table, "fd00:1:0:1:ffff:ffff:ffff:ffff") == 2 &&
		      next_hop6(table, "fd00:1:0:2::") == 0 && next_hop6(table, "fd00:1::1") == 1 &&
		      next_hop6(table, "2001:db8:ffff::") == 3 && next_hop6(table, "2001:db9::") == 0,
	      "neighbouring subnets are told apart beside one far away");
	routes_free(table);
}

static void refusals(void)
{
	struct vnb_route bad[] = {
		route4(ADDRESS(10, 0, 0, 1), 24, 1), route4(0, 33, 1),     route4(1, 0, 1),
		route4(0, 255, 1),                   route6("fd::1", 64, 1), route6("::", 129, 1),
		route6("::1", 0, 1),                 route6("8000::", 0, 1),
	};
	struct vnb_route twice[] = {route4(ADDRESS(10, 0, 0, 0), 8, 1), route4(ADDRESS(10, 0, 0, 0), 8, 2),
				    route6("fd00::", 8, 4), route6("fd00::", 8, 3)};
	struct routes *table = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CLAIM(routes_new(&bad[i], 1, &table) == -EINVAL,
		      "host bits, and a length beyond the address, are refused");
	CLAIM(table == NULL, "a refused table is not stored");

	table = table_of(twice, 4);
	CLAIM(next_hop4(table, ADDRESS(10, 1, 2, 3)) == 2, "of two equal prefixes the later wins");
	CLAIM(next_hop6(table, "fd00::1") == 3, "whatever its next hop is");
	routes_free(table);
	routes_free(NULL);
}

static void peers(void)
{
	struct vnb_route routes[] = {
		route4(ADDRESS(10, 0, 0, 0), 24, 7),
		route4(ADDRESS(10, 0, 1, 0), 24, 7),
		route4(ADDRESS(10, 0, 2, 0), 24, 7),
		route6("fd00::", 64, 7),
		route6("fd00:0:0:1::", 64, 0),
	};
	struct address hop6 = address6("2001:db8::7");
	union endpoint asked = {.v4 = {.sin_family = AF_INET, .sin_port = htons(8285)}};
	const union endpoint *peer, *other, *six;
	struct routes *table;

	routes[2].port = htons(8286);
	routes[4].hop_ipv6 = 1;
	memcpy(routes[4].next_hop, hop6.bytes, sizeof(hop6.bytes));
	table = table_of(routes, 5);
	peer = routes_lookup4(table, address4(ADDRESS(10, 0, 0, 9)).bytes);
	other = routes_lookup4(table, address4(ADDRESS(10, 0, 2, 9)).bytes);
	six = routes_lookup6(table, address6("fd00:0:0:1::9").bytes);
	CLAIM(peer && peer == routes_lookup4(table, address4(ADDRESS(10, 0, 1, 9)).bytes) &&
		      peer == routes_lookup6(table, address6("fd00::9").bytes),
	      "routes to one peer, of whatever family, lead to one pointer");
	CLAIM(other && other != peer, "another port is another peer");
	CLAIM(six && six->family == AF_INET6 && six->v6.sin6_port == htons(8285) &&
		      memcmp(&six->v6.sin6_addr, hop6.bytes, 16) == 0,
	      "a peer may have an IPv6 address");

	asked.v4.sin_addr.s_addr = htonl(7);
	CLAIM(routes_peer(table, &asked) == peer, "a peer is found by its endpoint");
	asked.v4.sin_port = htons(8287);
	CLAIM(routes_peer(table, &asked) == NULL, "not from another port");
	asked = (union endpoint){.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(8285)}};
	CLAIM(routes_peer(table, &asked) == NULL, "nor from another address");
	memcpy(&asked.v6.sin6_addr, hop6.bytes, 16);
	asked.v6.sin6_flowinfo = htonl(5);
	asked.v6.sin6_scope_id = 6;
	CLAIM(routes_peer(table, &asked) == six, "flow label and scope are not part of its identity");
	routes_free(table);
}

static void scale(bool ipv6)
{
	enum { COUNT = 10000 };
	struct vnb_route *routes = calloc(COUNT, sizeof(*routes));
	struct routes *table;
	clock_t begin;
	double seconds;
	bool known = true;

	NEED(routes);
	for (uint32_t i = 0; i < COUNT; i++) { /* scattered, so that sorting has something to do */
		uint32_t net = i * 7919 % COUNT;

		routes[i] = ipv6 ? route6("fd00::", 64, i + 1) : route4(net << 8, 24, i + 1);
		if (ipv6)
			store16(routes[i].prefix + 6, (uint16_t)net);
	}
	begin = clock();
	table = table_of(routes, COUNT);
	seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
	CLAIM(seconds < 0.1, "a table of 10,000 routes is built in under 100 ms of CPU time");
	for (uint32_t i = 0; i < COUNT; i++) {
		struct address inside;
		const union endpoint *peer;

		memcpy(inside.bytes, routes[i].prefix, 16);
		inside.bytes[ipv6 ? 15 : 3] = 5;
		peer = ipv6 ? routes_lookup6(table, inside.bytes) : routes_lookup4(table, inside.bytes);
		known &= next_hop(table, ipv6, inside) == i + 1 && routes_peer(table, peer) == peer;
	}
	CLAIM(known, "and knows each of 10,000 subnets and peers");
	routes_free(table);
	free(routes);
}

void test_routes(void)
{
	random_tables();
	extremes4();
	extremes6();
	refusals();
	peers();
	scale(false);
	scale(true);
}
