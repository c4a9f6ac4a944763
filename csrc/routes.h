/* routes.h - what the pump needs of route tables beyond vnetbench.h; see routes.c and router.c. */
#ifndef ROUTES_H
#define ROUTES_H

#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "vnetbench.h"

struct routes; /* an immutable longest-prefix table, IPv4 and IPv6 */

/* Build a table; see vnb_router_replace() for what is refused. Returns 0, -EINVAL or -ENOMEM. */
int routes_new(const struct vnb_route *routes, size_t count, struct routes **table);
void routes_free(struct routes *table);

/*
 * The peer that owns `address` (4 bytes for AF_INET, 16 for AF_INET6, as in the packet), or NULL.
 * Routes with the same next hop and port give the same pointer, so peers are compared as pointers.
 */
const union endpoint *routes_lookup4(const struct routes *table, const uint8_t *address);
const union endpoint *routes_lookup6(const struct routes *table, const uint8_t *address);

/* The peer whose endpoint is `sender`, as the same pointer, or NULL: it is no next hop of any route. */
const union endpoint *routes_peer(const struct routes *table, const union endpoint *sender);

/*
 * How a pump's thread uses a router: it registers once (-> slot, or -ENOSPC), then brackets each
 * batch; between acquire and release the table stays. Neither makes a system call or waits.
 */
int router_join(struct vnb_router *router);
void router_leave(struct vnb_router *router, int slot);
const struct routes *router_acquire(struct vnb_router *router, int slot);
void router_release(struct vnb_router *router, int slot);

#endif
