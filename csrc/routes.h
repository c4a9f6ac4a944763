/* routes.h - what the pump needs of a route table beyond vnetbench.h; see routes.c. */
#ifndef ROUTES_H
#define ROUTES_H

#include "vnetbench.h"

/* All addresses from `first` to `last` (host order, inclusive) have the same longest match. */
struct routes_range {
	uint32_t first, last;
	const struct vnb_route *route; /* NULL: no route */
};

/* The range that holds `address` (host order). */
struct routes_range routes_lookup(const struct vnb_routes *table, uint32_t address);

#endif
