/*
 * forward.c - the decision about one packet, without any input or output.
 *
 * Theory of operation. On layer 3 the pump is a router: it checks the packet, spends one hop of its
 * TTL, and where the packet cannot go on tells its sender so by ICMP. The order is flannel's: route
 * first, TTL second. flannel only says "net unreachable"; this router also says "time exceeded",
 * to the side the packet came from. If that side is the tunnel, the error is a packet like any other
 * and needs a route to its receiver; without one it is not sent.
 *
 * On layer 2 the pump is a cable: a frame passes untouched.
 *
 * Nothing here knows about system calls, so every engine, however it receives and sends, decides
 * through these functions.
 */
#include "forward.h"

#include <arpa/inet.h>
#include <net/ethernet.h>

#include "counters.h"
#include "ipv4.h"

enum { TUN = 0, UDP = 1 };

void forward_init(struct forwarder *forwarder, const struct vnb_pump *pump, uint64_t *counters)
{
	*forwarder = (struct forwarder){
		.routes = pump->routes,
		.icmp_source = pump->icmp_source,
		.counters = counters,
	};
	if (pump->routes) /* so that last_hit is always a true answer */
		forwarder->last_hit = routes_lookup(pump->routes, 0);
}

/* Fill `to` with the peer that owns `address` (host order); false: nobody does. */
static bool find_next_hop(struct forwarder *forwarder, uint32_t address, struct sockaddr_in *to)
{
	struct routes_range *hit = &forwarder->last_hit;

	if (address < hit->first || address > hit->last)
		*hit = routes_lookup(forwarder->routes, address);
	if (!hit->route)
		return false;
	*to = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = hit->route->port,
		.sin_addr.s_addr = hit->route->next_hop,
	};
	return true;
}

static bool is_valid(struct forwarder *forwarder, const uint8_t *packet, size_t size)
{
	enum counter reason;

	if (ipv4_valid(packet, size, &reason))
		return true;
	forwarder->counters[reason]++;
	return false;
}

/* Turn the packet into an ICMP error to its sender, who is beyond port `from`. */
static bool answer(struct forwarder *forwarder, unsigned int from, uint8_t *packet, size_t size,
		   enum icmp_error error, struct outcome *out)
{
	out->port = from;
	out->size = icmp_error(packet, size, error, forwarder->icmp_source);
	if (out->size == 0)
		return false;
	forwarder->counters[error == ICMP_ERROR_TIME_EXCEEDED ? ICMP_TIME_EXCEEDED
							      : ICMP_NET_UNREACHABLE]++;
	return true;
}

bool forward_tun_udp(struct forwarder *forwarder, unsigned int from, uint8_t *packet, size_t size,
		     struct outcome *out)
{
	if (!is_valid(forwarder, packet, size))
		return false;
	if (from == TUN && !find_next_hop(forwarder, load32(packet + IPV4_DESTINATION), &out->to)) {
		forwarder->counters[DROP_NO_ROUTE]++;
		return answer(forwarder, TUN, packet, size, ICMP_ERROR_NET_UNREACHABLE, out);
	}
	if (!ipv4_decrement_ttl(packet)) {
		forwarder->counters[DROP_TTL_EXPIRED]++;
		if (from == UDP && !find_next_hop(forwarder, load32(packet + IPV4_SOURCE), &out->to))
			return false;
		return answer(forwarder, from, packet, size, ICMP_ERROR_TIME_EXCEEDED, out);
	}
	out->port = !from;
	out->size = size;
	return true;
}

bool forward_tun_tun(struct forwarder *forwarder, unsigned int from, uint8_t *packet, size_t size,
		     struct outcome *out)
{
	if (!is_valid(forwarder, packet, size))
		return false;
	if (!ipv4_decrement_ttl(packet)) {
		forwarder->counters[DROP_TTL_EXPIRED]++;
		return answer(forwarder, from, packet, size, ICMP_ERROR_TIME_EXCEEDED, out);
	}
	out->port = !from;
	out->size = size;
	return true;
}

bool forward_tap_tap(struct forwarder *forwarder, unsigned int from, uint8_t *packet, size_t size,
		     struct outcome *out)
{
	(void)packet;
	if (size < ETHER_HDR_LEN) {
		forwarder->counters[DROP_RUNT]++;
		return false;
	}
	out->port = !from;
	out->size = size;
	return true;
}
