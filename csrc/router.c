/*
 * router.c - the routes in force, replaced while pumps use them.
 *
 * Theory of operation. The router points at one immutable table. A pump that is about to look up
 * stores that pointer in its slot and then checks that it is still the one in force: from then on
 * the table cannot go (a hazard pointer). Whoever replaces the table first exchanges the pointer and
 * then waits until no slot holds the former one. All four steps are sequentially consistent, so
 * either the pump sees the exchange and tries again, or the other thread sees the slot.
 *
 * So a pump spends two stores and two loads a batch, makes no system call and never waits; the
 * replacing thread sleeps while a batch is under way. Each slot has a cache line of its own: pumps
 * do not slow each other down.
 */
#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "routes.h"

enum { SLOTS = 64, CACHE_LINE = 64, WAIT_NS = 50000 /* less than most batches on a busy pump */ };

struct slot {
	alignas(CACHE_LINE) _Atomic(struct routes *) used; /* NULL between two batches */
	atomic_bool taken;
};

struct vnb_router {
	alignas(CACHE_LINE) _Atomic(struct routes *) current;
	struct slot slots[SLOTS];
};

int vnb_router_new(struct vnb_router **router)
{
	struct vnb_router *new = aligned_alloc(CACHE_LINE, sizeof(*new));
	struct routes *empty;
	int result;

	if (!new)
		return -ENOMEM;
	result = routes_new(NULL, 0, &empty);
	if (result < 0) {
		free(new);
		return result;
	}
	atomic_init(&new->current, empty);
	for (size_t i = 0; i < SLOTS; i++) {
		atomic_init(&new->slots[i].used, NULL);
		atomic_init(&new->slots[i].taken, false);
	}
	*router = new;
	return 0;
}

void vnb_router_free(struct vnb_router *router)
{
	if (!router)
		return;
	routes_free(atomic_load(&router->current));
	free(router);
}

/* Sleep until no pump uses `table`, which is not in force any more. */
static void wait_for_pumps(struct vnb_router *router, const struct routes *table)
{
	const struct timespec pause = {.tv_nsec = WAIT_NS};

	for (size_t i = 0; i < SLOTS; i++)
		while (atomic_load(&router->slots[i].used) == table)
			nanosleep(&pause, NULL);
}

int vnb_router_replace(struct vnb_router *router, const struct vnb_route *routes, size_t count)
{
	struct routes *table;
	int result = routes_new(routes, count, &table);

	if (result < 0)
		return result;
	table = atomic_exchange(&router->current, table);
	wait_for_pumps(router, table);
	routes_free(table);
	return 0;
}

int vnb_router_find(const struct vnb_router *router, const uint8_t *address, int ipv6,
		    struct vnb_route *next_hop)
{
	const struct routes *table = atomic_load(&router->current);
	const union endpoint *peer =
		ipv6 ? routes_lookup6(table, address) : routes_lookup4(table, address);

	if (!peer)
		return -ENETUNREACH;
	memset(next_hop, 0, sizeof(*next_hop));
	if (peer->family == AF_INET6) {
		next_hop->hop_ipv6 = 1;
		next_hop->port = peer->v6.sin6_port;
		memcpy(next_hop->next_hop, &peer->v6.sin6_addr, sizeof(peer->v6.sin6_addr));
	} else {
		next_hop->port = peer->v4.sin_port;
		memcpy(next_hop->next_hop, &peer->v4.sin_addr, sizeof(peer->v4.sin_addr));
	}
	return 0;
}

int router_join(struct vnb_router *router)
{
	for (int i = 0; i < SLOTS; i++)
		if (!atomic_exchange(&router->slots[i].taken, true))
			return i;
	return -ENOSPC;
}

void router_leave(struct vnb_router *router, int slot)
{
	router_release(router, slot);
	atomic_store(&router->slots[slot].taken, false);
}

const struct routes *router_acquire(struct vnb_router *router, int slot)
{
	struct routes *table = atomic_load_explicit(&router->current, memory_order_relaxed);

	for (;;) {
		struct routes *now;

		atomic_store(&router->slots[slot].used, table);
		now = atomic_load(&router->current);
		if (now == table)
			return table;
		table = now;
	}
}

void router_release(struct vnb_router *router, int slot)
{
	atomic_store_explicit(&router->slots[slot].used, NULL, memory_order_release);
}
