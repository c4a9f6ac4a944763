#include <arpa/inet.h>
#include <string.h>

#include "forward.h"
#include "test.h"

#define HERE ADDRESS(10, 244, 1, 2)
#define THERE ADDRESS(10, 244, 2, 2)
#define NOWHERE ADDRESS(10, 99, 0, 1)
#define PEER ADDRESS(192, 0, 2, 2)
#define ROUTER ADDRESS(10, 244, 1, 1)

enum { TUN = 0, UDP = 1, SIZE = 100 };

static uint64_t counters[COUNTER_COUNT];
static uint8_t packet[SIZE];
static struct outcome out;

static struct vnb_routes *one_route(uint32_t prefix, uint8_t length)
{
	struct vnb_route route = {
		.prefix = htonl(prefix),
		.length = length,
		.next_hop = htonl(PEER),
		.port = htons(8285),
	};
	struct vnb_routes *table = NULL;

	NEED(vnb_routes_new(&route, 1, &table) == 0);
	return table;
}

static struct forwarder fresh(const struct vnb_routes *routes)
{
	struct vnb_pump pump = {.routes = routes, .icmp_source = htonl(ROUTER)};
	struct forwarder forwarder;

	memset(counters, 0, sizeof(counters));
	memset(&out, 0, sizeof(out));
	forward_init(&forwarder, &pump, counters);
	return forwarder;
}

static bool is_for_peer(void)
{
	return out.to.sin_family == AF_INET && out.to.sin_addr.s_addr == htonl(PEER) &&
	       out.to.sin_port == htons(8285);
}

static void into_the_tunnel(const struct vnb_routes *routes)
{
	struct forwarder forwarder = fresh(routes);

	test_packet(packet, SIZE, HERE, THERE, 64);
	CLAIM(forward_tun_udp(&forwarder, TUN, packet, SIZE, &out) && out.port == UDP &&
		      out.size == SIZE && is_for_peer(),
	      "a packet from the tun goes to the peer that owns its destination");
	CLAIM(packet[IPV4_TTL] == 63 && test_header_is_sound(packet), "with one hop less");

	test_packet(packet, SIZE, HERE, NOWHERE, 64);
	CLAIM(forward_tun_udp(&forwarder, TUN, packet, SIZE, &out) && out.port == TUN &&
		      packet[20] == 3 && load32(packet + IPV4_DESTINATION) == HERE,
	      "where no route matches, its sender hears net-unreachable");
	CLAIM(counters[DROP_NO_ROUTE] == 1 && counters[ICMP_NET_UNREACHABLE] == 1, "counted as both");

	test_packet(packet, SIZE, HERE, NOWHERE, 1);
	NEED(forward_tun_udp(&forwarder, TUN, packet, SIZE, &out));
	CLAIM(packet[20] == 3, "the route is looked up before the TTL");

	test_packet(packet, SIZE, HERE, THERE, 1);
	CLAIM(forward_tun_udp(&forwarder, TUN, packet, SIZE, &out) && out.port == TUN &&
		      packet[20] == 11 && load32(packet + IPV4_DESTINATION) == HERE,
	      "at the end of its TTL, its sender hears time-exceeded");
	CLAIM(counters[DROP_TTL_EXPIRED] == 1 && counters[ICMP_TIME_EXCEEDED] == 1, "counted as both");

	test_packet(packet, SIZE, HERE, THERE, 64);
	NEED(forward_tun_udp(&forwarder, TUN, packet, SIZE, &out));
	CLAIM(is_for_peer(), "a miss before does not make the next look-up miss");
}

static void with_a_default_route(void)
{
	struct vnb_routes *routes = one_route(0, 0);
	struct forwarder forwarder = fresh(routes);

	test_packet(packet, SIZE, HERE, 0, 64);
	CLAIM(forward_tun_udp(&forwarder, TUN, packet, SIZE, &out) && out.port == UDP,
	      "the first look-up is a true one, even that of 0.0.0.0");
	vnb_routes_free(routes);
}

static void out_of_the_tunnel(const struct vnb_routes *routes)
{
	struct forwarder forwarder = fresh(routes);

	test_packet(packet, SIZE, THERE, HERE, 63);
	CLAIM(forward_tun_udp(&forwarder, UDP, packet, SIZE, &out) && out.port == TUN &&
		      packet[IPV4_TTL] == 62,
	      "a packet from the tunnel goes to the tun, without a look-up, with one hop less");

	test_packet(packet, SIZE, THERE, HERE, 1);
	CLAIM(forward_tun_udp(&forwarder, UDP, packet, SIZE, &out) && out.port == UDP && is_for_peer() &&
		      packet[20] == 11 && load32(packet + IPV4_DESTINATION) == THERE,
	      "time-exceeded about it goes back through the tunnel, to the peer that owns its source");

	test_packet(packet, SIZE, NOWHERE, HERE, 1);
	CLAIM(!forward_tun_udp(&forwarder, UDP, packet, SIZE, &out), "or nowhere, without a route there");
	CLAIM(counters[DROP_TTL_EXPIRED] == 2 && counters[ICMP_TIME_EXCEEDED] == 1,
	      "and an error that is not sent is not counted");
}

static void hostile(const struct vnb_routes *routes)
{
	struct forwarder forwarder = fresh(routes);

	test_packet(packet, SIZE, THERE, HERE, 64);
	CLAIM(!forward_tun_udp(&forwarder, UDP, packet, SIZE - 1, &out), "half a packet goes nowhere");
	CLAIM(!forward_tun_udp(&forwarder, UDP, packet, 0, &out), "nor does an empty datagram");
	packet[0] = 0x60;
	CLAIM(!forward_tun_udp(&forwarder, UDP, packet, SIZE, &out), "nor does IPv6");
	CLAIM(!forward_tun_tun(&forwarder, 0, packet, SIZE, &out), "between two tuns, too");
	CLAIM(counters[DROP_MALFORMED] == 2 && counters[DROP_NOT_IPV4] == 2, "counted by reason");
}

static void relays(void)
{
	struct forwarder forwarder = fresh(NULL);
	uint8_t before[SIZE];

	for (unsigned int from = 0; from < 2; from++) {
		test_packet(packet, SIZE, HERE, THERE, 64);
		CLAIM(forward_tun_tun(&forwarder, from, packet, SIZE, &out) && out.port == !from &&
			      packet[IPV4_TTL] == 63,
		      "from a tun to the other it takes one hop");
		test_packet(packet, SIZE, HERE, THERE, 1);
		CLAIM(forward_tun_tun(&forwarder, from, packet, SIZE, &out) && out.port == from &&
			      packet[20] == 11,
		      "time-exceeded goes back to the tun the packet came from");

		test_packet(packet, SIZE, HERE, THERE, 1);
		memcpy(before, packet, SIZE);
		CLAIM(forward_tap_tap(&forwarder, from, packet, SIZE, &out) && out.port == !from &&
			      out.size == SIZE && memcmp(before, packet, SIZE) == 0,
		      "a frame goes to the other tap as it came");
		CLAIM(forward_tap_tap(&forwarder, from, packet, 14, &out), "a bare Ethernet header is a frame");
		CLAIM(!forward_tap_tap(&forwarder, from, packet, 13, &out), "less is none");
	}
	CLAIM(counters[DROP_RUNT] == 2, "runts are counted");
}

void test_forward(void)
{
	struct vnb_routes *routes = one_route(ADDRESS(10, 244, 2, 0), 24);

	into_the_tunnel(routes);
	out_of_the_tunnel(routes);
	hostile(routes);
	vnb_routes_free(routes);
	with_a_default_route();
	relays();
}
