/*
 * forward.c - the decision about one packet, without any input or output.
 *
 * Theory of operation. On layer 3 the pump is a router: it checks the packet, spends one hop of its
 * TTL, and where the packet cannot go on tells its sender so by ICMP. The order is flannel's: route
 * first, TTL second. flannel only says "net unreachable"; this router also says "time exceeded",
 * to the side the packet came from. If that side is the tunnel, the error is a packet like any other
 * and needs a route to its receiver; without one it is not sent.
 *
 * Whom to believe. A datagram says nothing about its sender but the address it came from. As far as
 * the switch `trust` asks for it, that must be a peer, and the peer must own the inner source. For an
 * honest packet the second implies the first, so either costs one look-up; only a packet that fails
 * is asked further questions, so that the counters tell a stranger from a peer that forges.
 *
 * On layer 2 the pump is a cable: a frame passes untouched.
 *
 * A super-packet is decided on as a whole: its segments share its header. Between two devices it
 * passes whole, too, so its virtio header is checked here; on the way to a UDP socket it is cut, and
 * checked by split.c.
 *
 * Nothing here knows about system calls, so every engine, however it receives and sends, decides
 * through these functions.
 */
#include "forward.h"

#include <net/ethernet.h>
#include <string.h>

#include "counters.h"
#include "ip.h"

enum { TUN = 0, UDP = 1 };

static bool drop(struct forwarder *forwarder, enum counter reason, unsigned int packets)
{
	forwarder->counters[reason] += packets;
	return false;
}

static const union endpoint *owner_of_source(const struct forwarder *forwarder,
					     const uint8_t *packet)
{
	return ip_version(packet) == 4 ? routes_lookup4(forwarder->routes, packet + IPV4_SOURCE)
				       : routes_lookup6(forwarder->routes, packet + IPV6_SOURCE);
}

static const union endpoint *owner_of_destination(const struct forwarder *forwarder,
						  const uint8_t *packet)
{
	return ip_version(packet) == 4
		       ? routes_lookup4(forwarder->routes, packet + IPV4_DESTINATION)
		       : routes_lookup6(forwarder->routes, packet + IPV6_DESTINATION);
}

/* Whether a packet from the tunnel is to be carried; if not, *reason is the drop counter. */
static bool is_welcome(const struct forwarder *forwarder, const struct packet *packet,
		       const union endpoint *sender, enum counter *reason)
{
	bool valid = ip_valid(packet->data, packet->size, reason);

	if (forwarder->trust == TRUST_ANYONE)
		return valid;
	if (forwarder->trust == TRUST_SOURCES && valid) {
		const union endpoint *owner = owner_of_source(forwarder, packet->data);

		if (owner && endpoint_equal(owner, sender))
			return true;
		*reason = DROP_SPOOFED_SOURCE;
		valid = false;
	}
	if (!routes_peer(forwarder->routes, sender)) {
		*reason = DROP_UNKNOWN_PEER;
		return false;
	}
	return valid;
}

/* Turn the packet into an ICMP error to its sender, who is beyond port `from`. */
static bool answer(struct forwarder *forwarder, unsigned int from, struct packet *packet,
		   enum icmp_error error, struct outcome *out)
{
	size_t size = ip_version(packet->data) == 4
			      ? icmp4_error(packet->data, packet->size, error, forwarder->icmp_source4)
			      : icmp6_error(packet->data, packet->size, error, forwarder->icmp_source6);

	if (size == 0)
		return false;
	packet->size = (uint32_t)size;
	memset(&packet->offload, 0, sizeof(packet->offload));
	out->port = from;
	forwarder->counters[error == ICMP_ERROR_TIME_EXCEEDED ? ICMP_TIME_EXCEEDED
							      : ICMP_NET_UNREACHABLE]++;
	return true;
}

static bool from_tun_to_udp(struct forwarder *forwarder, struct packet *packet,
			    unsigned int packets, struct outcome *out)
{
	enum counter reason;

	if (!ip_valid(packet->data, packet->size, &reason))
		return drop(forwarder, reason, packets);
	out->to = owner_of_destination(forwarder, packet->data);
	if (!out->to) {
		drop(forwarder, DROP_NO_ROUTE, packets);
		return answer(forwarder, TUN, packet, ICMP_ERROR_NO_ROUTE, out);
	}
	if (!ip_spend_hop(packet->data)) {
		drop(forwarder, DROP_TTL_EXPIRED, packets);
		return answer(forwarder, TUN, packet, ICMP_ERROR_TIME_EXCEEDED, out);
	}
	out->port = UDP;
	return true;
}

static bool from_udp_to_tun(struct forwarder *forwarder, struct packet *packet,
			    unsigned int packets, const union endpoint *sender,
			    struct outcome *out)
{
	enum counter reason;

	if (!is_welcome(forwarder, packet, sender, &reason))
		return drop(forwarder, reason, packets);
	if (!ip_spend_hop(packet->data)) {
		drop(forwarder, DROP_TTL_EXPIRED, packets);
		out->to = owner_of_source(forwarder, packet->data);
		return out->to && answer(forwarder, UDP, packet, ICMP_ERROR_TIME_EXCEEDED, out);
	}
	out->port = TUN;
	return true;
}

bool forward_tun_udp(struct forwarder *forwarder, unsigned int from, struct packet *packet,
		     unsigned int packets, const union endpoint *sender, struct outcome *out)
{
	return from == TUN ? from_tun_to_udp(forwarder, packet, packets, out)
			   : from_udp_to_tun(forwarder, packet, packets, sender, out);
}

bool forward_tun_tun(struct forwarder *forwarder, unsigned int from, struct packet *packet,
		     unsigned int packets, const union endpoint *sender, struct outcome *out)
{
	enum counter reason;

	(void)sender;
	if (!ip_valid(packet->data, packet->size, &reason))
		return drop(forwarder, reason, packets);
	if (!ip_offload_valid(packet))
		return drop(forwarder, DROP_BAD_OFFLOAD, packets);
	if (!ip_spend_hop(packet->data)) {
		drop(forwarder, DROP_TTL_EXPIRED, packets);
		return answer(forwarder, from, packet, ICMP_ERROR_TIME_EXCEEDED, out);
	}
	out->port = !from;
	return true;
}

bool forward_tap_tap(struct forwarder *forwarder, unsigned int from, struct packet *packet,
		     unsigned int packets, const union endpoint *sender, struct outcome *out)
{
	(void)sender;
	if (packet->size < ETHER_HDR_LEN)
		return drop(forwarder, DROP_RUNT, packets);
	if (!frame_offload_valid(packet))
		return drop(forwarder, DROP_BAD_OFFLOAD, packets);
	out->port = !from;
	return true;
}
