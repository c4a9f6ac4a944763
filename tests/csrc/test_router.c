#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "routes.h"
#include "test.h"

enum { SLOTS = 64, READERS = 4, REPLACEMENTS = 300, PREFIXES = 40 };

static const uint8_t inside[4] = {10, 0, 0, 1}, outside[4] = {11, 0, 0, 1};

static struct vnb_route route(uint8_t second, uint16_t port)
{
	return (struct vnb_route){
		.prefix = {10, second}, .length = 16, .next_hop = {192, 0, 2, 1}, .port = htons(port)};
}

/* The port of the next hop of 10.0.0.1, in the way Python asks; 0 if there is none. */
static uint16_t found_port(const struct vnb_router *router)
{
	struct vnb_route found;
	int result = vnb_router_find(router, inside, 0, &found);

	NEED(result == 0 || result == -ENETUNREACH);
	return result == 0 ? ntohs(found.port) : 0;
}

static struct vnb_router *fresh(void)
{
	struct vnb_router *router = NULL;

	NEED(vnb_router_new(&router) == 0);
	return router;
}

static void answers(void)
{
	struct vnb_router *router = fresh();
	struct vnb_route first = route(0, 1), second = route(0, 2), found, bad = route(0, 3);
	struct vnb_route six = {.ipv6 = 1, .prefix = {0xfd}, .length = 8, .hop_ipv6 = 1, .port = htons(9)};

	bad.length = 4;
	memset(six.next_hop, 7, sizeof(six.next_hop));
	CLAIM(found_port(router) == 0, "a new router has no routes");
	CLAIM(vnb_router_replace(router, &first, 1) == 0 && found_port(router) == 1, "then those given");
	CLAIM(vnb_router_find(router, outside, 0, &found) == -ENETUNREACH, "and no others");
	CLAIM(vnb_router_replace(router, &bad, 1) == -EINVAL && found_port(router) == 1,
	      "a refused replacement changes nothing");
	CLAIM(vnb_router_replace(router, &second, 1) == 0 && found_port(router) == 2,
	      "an accepted one changes all");
	NEED(vnb_router_find(router, inside, 0, &found) == 0);
	CLAIM(memcmp(found.next_hop, second.next_hop, 16) == 0 && !found.hop_ipv6 && !found.length,
	      "the next hop is told, not the prefix");
	NEED(vnb_router_replace(router, &six, 1) == 0);
	CLAIM(vnb_router_find(router, six.prefix, 1, &found) == 0 && found.hop_ipv6 == 1 &&
		      found.port == six.port && memcmp(found.next_hop, six.next_hop, 16) == 0,
	      "an IPv6 next hop, too");
	CLAIM(vnb_router_replace(router, NULL, 0) == 0 && found_port(router) == 0,
	      "all routes can be taken away");
	vnb_router_free(router);
	vnb_router_free(NULL);
}

static void slots(void)
{
	struct vnb_router *router = fresh();
	int slot[SLOTS];
	bool distinct = true;

	for (int i = 0; i < SLOTS; i++) {
		slot[i] = router_join(router);
		for (int j = 0; j < i; j++)
			distinct &= slot[i] >= 0 && slot[i] != slot[j];
	}
	CLAIM(distinct, "64 pumps can share a router");
	CLAIM(router_join(router) == -ENOSPC, "more cannot");
	router_leave(router, slot[5]);
	CLAIM(router_join(router) == slot[5], "until one leaves");
	vnb_router_free(router);
}

struct race {
	struct vnb_router *router;
	atomic_bool stop, started, replaced, begun;
	atomic_uint wrong;
};

static void *replace_once(void *argument)
{
	struct race *race = argument;
	struct vnb_route second = route(0, 2);

	atomic_store(&race->started, true);
	NEED(vnb_router_replace(race->router, &second, 1) == 0);
	atomic_store(&race->replaced, true);
	return NULL;
}

/* What a pump has acquired stays; what it acquires next is new. */
static void a_batch_under_way(void)
{
	struct race race = {.router = fresh()};
	struct vnb_route first = route(0, 1);
	const struct routes *table;
	struct timespec while_ = {.tv_nsec = 20000000};
	int slot = router_join(race.router), idle = router_join(race.router);
	pthread_t thread;

	NEED(slot >= 0 && idle >= 0);
	NEED(vnb_router_replace(race.router, &first, 1) == 0);
	table = router_acquire(race.router, slot);
	NEED(pthread_create(&thread, NULL, replace_once, &race) == 0);
	while (!atomic_load(&race.started) || router_acquire(race.router, idle) == table)
		router_release(race.router, idle);
	nanosleep(&while_, NULL);
	CLAIM(!atomic_load(&race.replaced), "who replaces routes waits for a batch under way");
	CLAIM(routes_lookup4(table, inside)->v4.sin_port == htons(1), "which goes on with its own routes");
	CLAIM(routes_lookup4(router_acquire(race.router, idle), inside)->v4.sin_port == htons(2),
	      "while the next batch has the new ones already");
	router_release(race.router, slot);
	NEED(pthread_join(thread, NULL) == 0);
	CLAIM(atomic_load(&race.replaced), "and a pump that uses the new routes holds nobody up");
	vnb_router_free(race.router);
}

/*
 * All prefixes of a table have one port, so a look-up into a mixture shows, as one into freed memory
 * does under a sanitizer. Batches are short, so that replacements fall between their steps.
 */
static void *look_up(void *argument)
{
	struct race *race = argument;
	int slot = router_join(race->router);

	NEED(slot >= 0);
	for (uint8_t i = 0; !atomic_load(&race->stop); i++) {
		const struct routes *table = router_acquire(race->router, slot);
		const uint8_t address[4] = {10, i % PREFIXES, 3, 4};
		const union endpoint *first = routes_lookup4(table, inside);
		const union endpoint *other = routes_lookup4(table, address);

		if (!first || !other || first->v4.sin_port != other->v4.sin_port)
			atomic_fetch_add(&race->wrong, 1);
		router_release(race->router, slot);
		atomic_store(&race->begun, true);
	}
	router_leave(race->router, slot);
	return NULL;
}

static void replace_all(struct vnb_router *router, uint16_t port)
{
	struct vnb_route routes[PREFIXES];

	for (uint8_t i = 0; i < PREFIXES; i++)
		routes[i] = route(i, port);
	NEED(vnb_router_replace(router, routes, PREFIXES) == 0);
}

static void a_race(void)
{
	struct race race = {.router = fresh()};
	pthread_t threads[READERS];

	replace_all(race.router, 1);
	for (int i = 0; i < READERS; i++)
		NEED(pthread_create(&threads[i], NULL, look_up, &race) == 0);
	while (!atomic_load(&race.begun))
		;
	for (uint16_t i = 0; i < REPLACEMENTS; i++)
		replace_all(race.router, i);
	atomic_store(&race.stop, true);
	for (int i = 0; i < READERS; i++)
		NEED(pthread_join(threads[i], NULL) == 0);
	CLAIM(atomic_load(&race.wrong) == 0,
	      "each batch of four pumps sees one whole table, however often it is replaced");
	CLAIM(found_port(race.router) == REPLACEMENTS - 1, "and the last replacement is in force");
	vnb_router_free(race.router);
}

void test_router(void)
{
	answers();
	slots();
	a_batch_under_way();
	a_race();
}
