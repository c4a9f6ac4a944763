/*
 * routes.c - the immutable route table: which peer owns an address, and who is a peer at all.
 *
 * Theory of operation. Each distinct next hop is stored once, so that two routes lead to the same
 * peer exactly when they lead to the same pointer, and numbered from 1. The prefixes are flattened
 * into ranges (prefixes.c), whose owners are those numbers, and the ranges are arranged for look-up
 * (lookup4.c, lookup6.c). Peers are found by endpoint in an open hash table at most half full; a
 * stranger can choose what is asked for, but not what is stored.
 *
 * The table never changes afterwards, so any number of pumps may share it.
 */
#include "routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipv4.h"
#include "lookup4.h"
#include "lookup6.h"
#include "prefixes.h"

struct routes {
	struct lookup4 lookup4;
	struct lookup6 lookup6;
	union endpoint *peers; /* in the order of their numbers; the first is nobody */
	uint32_t peer_count;   /* with nobody */
	uint32_t *hash;        /* numbers of peers; 0: free */
	uint32_t hash_mask;    /* its size, a power of two, less 1 */
};

static inline struct key key4(const uint8_t *address)
{
	return (struct key){.high = (uint64_t)load32(address) << 32};
}

static inline struct key key6(const uint8_t *address)
{
	return (struct key){
		.high = (uint64_t)load32(address) << 32 | load32(address + 4),
		.low = (uint64_t)load32(address + 8) << 32 | load32(address + 12),
	};
}

static bool is_valid(const struct vnb_route *route)
{
	struct key first = route->ipv6 ? key6(route->prefix) : key4(route->prefix);
	struct key open = key_host_bits(route->length);

	return route->length <= (route->ipv6 ? 128 : 32) && !(first.high & open.high) &&
	       !(first.low & open.low);
}

static union endpoint endpoint_of(const struct vnb_route *route)
{
	union endpoint endpoint;

	memset(&endpoint, 0, sizeof(endpoint));
	if (route->hop_ipv6) {
		endpoint.v6.sin6_family = AF_INET6;
		endpoint.v6.sin6_port = route->port;
		memcpy(&endpoint.v6.sin6_addr, route->next_hop, sizeof(endpoint.v6.sin6_addr));
	} else {
		endpoint.v4.sin_family = AF_INET;
		endpoint.v4.sin_port = route->port;
		memcpy(&endpoint.v4.sin_addr, route->next_hop, sizeof(endpoint.v4.sin_addr));
	}
	return endpoint;
}

static uint32_t hash_of(const union endpoint *endpoint)
{
	const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15); /* 2^64 / golden ratio */
	uint64_t hash;

	if (endpoint->family == AF_INET6) {
		struct key key = key6(endpoint->v6.sin6_addr.s6_addr);

		hash = (key.high * odd ^ key.low) + endpoint->v6.sin6_port;
	} else {
		hash = (uint64_t)endpoint->v4.sin_addr.s_addr << 16 | endpoint->v4.sin_port;
	}
	hash *= odd;
	return (uint32_t)(hash >> 32 ^ hash >> 48);
}

/* The number of the peer `endpoint`, or that of nobody and, in *slot, where it would be stored. */
static uint32_t find_peer(const struct routes *table, const union endpoint *endpoint, uint32_t *slot)
{
	for (uint32_t i = hash_of(endpoint);; i++) {
		uint32_t peer = table->hash[i & table->hash_mask];

		*slot = i & table->hash_mask;
		if (peer == NO_OWNER || endpoint_equal(&table->peers[peer], endpoint))
			return peer;
	}
}

static uint32_t add_peer(struct routes *table, const struct vnb_route *route)
{
	union endpoint endpoint = endpoint_of(route);
	uint32_t slot, peer = find_peer(table, &endpoint, &slot);

	if (peer != NO_OWNER)
		return peer;
	peer = table->peer_count++;
	table->peers[peer] = endpoint;
	table->hash[slot] = peer;
	return peer;
}

/* Room for the peers of `count` routes. */
static int prepare_peers(struct routes *table, size_t count)
{
	size_t size = 4;

	while (size < 2 * (count + 1))
		size *= 2;
	table->hash_mask = (uint32_t)(size - 1);
	table->hash = calloc(size, sizeof(*table->hash));
	table->peers = calloc(count + 1, sizeof(*table->peers));
	table->peer_count = 1;
	return table->hash && table->peers ? 0 : -ENOMEM;
}

/* Arrange the routes of one family for look-up. `prefixes` has room for them all. */
static int build_family(struct routes *table, const struct vnb_route *routes, size_t count,
			bool ipv6, struct prefix *prefixes)
{
	struct start *starts;
	size_t chosen = 0;
	int result;

	for (size_t i = 0; i < count; i++) {
		if (!routes[i].ipv6 != !ipv6)
			continue;
		prefixes[chosen++] = (struct prefix){
			.first = ipv6 ? key6(routes[i].prefix) : key4(routes[i].prefix),
			.length = routes[i].length,
			.owner = add_peer(table, &routes[i]),
			.order = (uint32_t)i,
		};
	}
	starts = calloc(2 * chosen + 1, sizeof(*starts));
	if (!starts)
		return -ENOMEM;
	chosen = prefixes_flatten(prefixes, chosen, starts);
	if (ipv6)
		return lookup6_build(&table->lookup6, starts, chosen);
	result = lookup4_build(&table->lookup4, starts, chosen);
	free(starts);
	return result;
}

static int build(struct routes *table, const struct vnb_route *routes, size_t count)
{
	struct prefix *prefixes = calloc(count + 1, sizeof(*prefixes));
	int result = prefixes ? prepare_peers(table, count) : -ENOMEM;
	union endpoint *peers;

	if (result == 0)
		result = build_family(table, routes, count, false, prefixes);
	if (result == 0)
		result = build_family(table, routes, count, true, prefixes);
	free(prefixes);
	if (result < 0)
		return result;
	peers = realloc(table->peers, table->peer_count * sizeof(*peers));
	if (peers) /* many routes often lead to few peers */
		table->peers = peers;
	return 0;
}

int routes_new(const struct vnb_route *routes, size_t count, struct routes **table)
{
	struct routes *new;
	int result;

	for (size_t i = 0; i < count; i++)
		if (!is_valid(&routes[i]))
			return -EINVAL;
	if (count > UINT32_MAX / 8) /* owners, orders and hash slots are numbers of 32 bits */
		return -ENOMEM;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	result = build(new, routes, count);
	if (result < 0) {
		routes_free(new);
		return result;
	}
	*table = new;
	return 0;
}

void routes_free(struct routes *table)
{
	if (!table)
		return;
	lookup4_clear(&table->lookup4);
	lookup6_clear(&table->lookup6);
	free(table->peers);
	free(table->hash);
	free(table);
}

const union endpoint *routes_lookup4(const struct routes *table, const uint8_t *address)
{
	uint32_t owner = lookup4_find(&table->lookup4, load32(address));

	return owner == NO_OWNER ? NULL : &table->peers[owner];
}

const union endpoint *routes_lookup6(const struct routes *table, const uint8_t *address)
{
	uint32_t owner = lookup6_find(&table->lookup6, key6(address));

	return owner == NO_OWNER ? NULL : &table->peers[owner];
}

const union endpoint *routes_peer(const struct routes *table, const union endpoint *sender)
{
	uint32_t slot, peer = find_peer(table, sender, &slot);

	return peer == NO_OWNER ? NULL : &table->peers[peer];
}
