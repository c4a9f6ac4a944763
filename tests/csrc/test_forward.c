#include <arpa/inet.h>
#include <string.h>

#include "counters.h"
#include "forward.h"
#include "ip.h"
#include "test.h"

#define HERE ADDRESS(10, 244, 1, 2)
#define THERE ADDRESS(10, 244, 2, 2)
#define ELSEWHERE ADDRESS(10, 244, 3, 2)
#define NOWHERE ADDRESS(10, 99, 0, 1)

#define HERE6 "fd00:1::2"
#define THERE6 "fd00:2::2"
#define ELSEWHERE6 "fd00:3::2"
#define NOWHERE6 "fd00:99::1"

enum { TUN = 0, UDP = 1, SIZE = 100, ROUTES = 4, MANY = 40 };

static uint64_t counters[COUNTER_COUNT];
static uint8_t buffer[FORWARD_ROOM];
static struct packet packet;
static struct outcome out;
static union endpoint peer, other_peer, stranger;

static struct vnb_route route(struct vnb_route route, uint8_t host)
{
	const uint8_t next_hop[4] = {192, 0, 2, host};

	memcpy(route.next_hop, next_hop, sizeof(next_hop));
	route.port = htons(8285);
	return route;
}

static union endpoint endpoint(uint8_t host)
{
	return (union endpoint){.v4 = {.sin_family = AF_INET,
				       .sin_port = htons(8285),
				       .sin_addr.s_addr = htonl(ADDRESS(192, 0, 2, host))}};
}

/* Peer 2 owns the subnets of THERE and THERE6, peer 3 those of ELSEWHERE and ELSEWHERE6. */
static struct routes *subnets(void)
{
	struct vnb_route routes[ROUTES] = {
		route((struct vnb_route){.prefix = {10, 244, 2}, .length = 24}, 2),
		route((struct vnb_route){.prefix = {10, 244, 3}, .length = 24}, 3),
		route((struct vnb_route){.prefix = {0xfd, 0, 0, 2}, .length = 64, .ipv6 = 1}, 2),
		route((struct vnb_route){.prefix = {0xfd, 0, 0, 3}, .length = 64, .ipv6 = 1}, 3),
	};
	struct routes *table = NULL;

	peer = endpoint(2);
	other_peer = endpoint(3);
	stranger = endpoint(4);
	NEED(routes_new(routes, ROUTES, &table) == 0);
	return table;
}

static struct forwarder fresh(const struct routes *routes, enum trust trust)
{
	memset(counters, 0, sizeof(counters));
	memset(&out, 0, sizeof(out));
	return (struct forwarder){
		.routes = routes,
		.trust = trust,
		.icmp_source4 = {10, 244, 1, 1},
		.icmp_source6 = {0xfd, 0, 0, 1, [15] = 1},
		.counters = counters,
	};
}

static void put4(uint32_t from, uint32_t to, uint8_t ttl)
{
	test_packet(buffer, SIZE, from, to, ttl);
	packet = (struct packet){.data = buffer, .size = SIZE};
}

static void put6(const char *from, const char *to, uint8_t hop_limit)
{
	test_packet6(buffer, SIZE, from, to, hop_limit);
	packet = (struct packet){.data = buffer, .size = SIZE};
}

static bool is_for(const union endpoint *endpoint)
{
	return out.port == UDP && out.to && endpoint_equal(out.to, endpoint);
}

static bool is_for4(uint32_t receiver)
{
	return load32(buffer + IPV4_DESTINATION) == receiver;
}

static bool is_for6(const char *receiver)
{
	uint8_t address[16];

	NEED(inet_pton(AF_INET6, receiver, address) == 1);
	return memcmp(buffer + IPV6_DESTINATION, address, sizeof(address)) == 0;
}

static bool from_tun(struct forwarder *forwarder)
{
	return forward_tun_udp(forwarder, TUN, &packet, 1, NULL, &out);
}

static bool from_udp(struct forwarder *forwarder, const union endpoint *sender)
{
	return forward_tun_udp(forwarder, UDP, &packet, 1, sender, &out);
}

static void into_the_tunnel(const struct routes *routes)
{
	struct forwarder forwarder = fresh(routes, TRUST_SOURCES);

	put4(HERE, THERE, 64);
	CLAIM(from_tun(&forwarder) && packet.size == SIZE && is_for(&peer),
	      "a packet from the tun goes to the peer that owns its destination");
	CLAIM(buffer[IPV4_TTL] == 63 && test_header_is_sound(buffer), "with one hop less");
	put4(HERE, ELSEWHERE, 64);
	CLAIM(from_tun(&forwarder) && is_for(&other_peer), "another to another");

	put4(HERE, NOWHERE, 64);
	CLAIM(from_tun(&forwarder) && out.port == TUN && buffer[20] == 3 && is_for4(HERE) &&
		      packet.size == 20 + 8 + 28,
	      "where no route matches, its sender hears net-unreachable");
	CLAIM(load32(buffer + IPV4_SOURCE) == ADDRESS(10, 244, 1, 1), "from the pump's own address");
	CLAIM(counters[DROP_NO_ROUTE] == 1 && counters[ICMP_NET_UNREACHABLE] == 1, "counted as both");

	put4(HERE, NOWHERE, 1);
	NEED(from_tun(&forwarder));
	CLAIM(buffer[20] == 3, "the route is looked up before the TTL");

	put4(HERE, THERE, 1);
	CLAIM(from_tun(&forwarder) && out.port == TUN && buffer[20] == 11 && is_for4(HERE),
	      "at the end of its TTL, its sender hears time-exceeded");
	CLAIM(counters[DROP_TTL_EXPIRED] == 1 && counters[ICMP_TIME_EXCEEDED] == 1, "counted as both");
}

static void into_the_tunnel6(const struct routes *routes)
{
	struct forwarder forwarder = fresh(routes, TRUST_SOURCES);

	put6(HERE6, THERE6, 64);
	CLAIM(from_tun(&forwarder) && is_for(&peer) && buffer[IPV6_HOP_LIMIT] == 63,
	      "a packet of IPv6 goes to the owner of its destination, with one hop less");
	put6(HERE6, NOWHERE6, 64);
	CLAIM(from_tun(&forwarder) && out.port == TUN && buffer[40] == 1 && is_for6(HERE6) &&
		      packet.size == 48 + SIZE && buffer[IPV6_SOURCE + 15] == 1,
	      "where no route matches, its sender hears so from the pump's own address");
	put6(HERE6, THERE6, 1);
	CLAIM(from_tun(&forwarder) && out.port == TUN && buffer[40] == 3 && is_for6(HERE6),
	      "at the end of its hop limit, too");
	put6("fe80::1", "ff02::2", 255);
	CLAIM(!from_tun(&forwarder), "what a kernel says to all routers goes nowhere, without an error");
	CLAIM(counters[DROP_NO_ROUTE] == 2 && counters[DROP_TTL_EXPIRED] == 1 &&
		      counters[ICMP_NET_UNREACHABLE] == 1 && counters[ICMP_TIME_EXCEEDED] == 1,
	      "all of it counted");
}

static void out_of_the_tunnel(const struct routes *routes, enum trust trust)
{
	struct forwarder forwarder = fresh(routes, trust);

	put4(THERE, HERE, 63);
	CLAIM(from_udp(&forwarder, &peer) && out.port == TUN && buffer[IPV4_TTL] == 62,
	      "a packet from the tunnel goes to the tun with one hop less");
	put6(THERE6, HERE6, 63);
	CLAIM(from_udp(&forwarder, &peer) && out.port == TUN && buffer[IPV6_HOP_LIMIT] == 62,
	      "one of IPv6 as well");

	put4(THERE, HERE, 1);
	CLAIM(from_udp(&forwarder, &peer) && is_for(&peer) && buffer[20] == 11 && is_for4(THERE),
	      "time-exceeded about it goes back through the tunnel, to the peer that owns its source");
	put6(ELSEWHERE6, HERE6, 1);
	CLAIM(from_udp(&forwarder, &other_peer) && is_for(&other_peer) && buffer[40] == 3 &&
		      is_for6(ELSEWHERE6),
	      "that of IPv6 as well");
	CLAIM(counters[DROP_TTL_EXPIRED] == 2 && counters[ICMP_TIME_EXCEEDED] == 2, "counted as both");
}

static void anyone(const struct routes *routes)
{
	struct forwarder forwarder = fresh(routes, TRUST_ANYONE);

	put4(NOWHERE, HERE, 64);
	CLAIM(from_udp(&forwarder, &stranger) && out.port == TUN,
	      "who trusts anyone takes anything from a stranger");
	put4(NOWHERE, HERE, 1);
	CLAIM(!from_udp(&forwarder, &stranger), "but has no route to tell him of a packet's end");
	CLAIM(counters[DROP_TTL_EXPIRED] == 1 && counters[ICMP_TIME_EXCEEDED] == 0,
	      "and an error that is not sent is not counted");
}

static void peers_only(const struct routes *routes)
{
	struct forwarder forwarder = fresh(routes, TRUST_PEERS);

	put4(ELSEWHERE, HERE, 64);
	CLAIM(from_udp(&forwarder, &peer), "who trusts peers takes any source from them");
	put4(THERE, HERE, 64);
	CLAIM(!from_udp(&forwarder, &stranger), "and nothing from a stranger");
	peer.v4.sin_port++;
	CLAIM(!from_udp(&forwarder, &peer), "who may be on a peer's host");
	peer.v4.sin_port--;
	packet.size--;
	CLAIM(!from_udp(&forwarder, &stranger) && counters[DROP_UNKNOWN_PEER] == 3,
	      "whose datagrams count as such, whatever is in them");
	CLAIM(!from_udp(&forwarder, &peer) && counters[DROP_MALFORMED] == 1, "unlike those of a peer");
}

static void sources_only(const struct routes *routes)
{
	struct forwarder forwarder = fresh(routes, TRUST_SOURCES);

	put4(ELSEWHERE, HERE, 64);
	CLAIM(!from_udp(&forwarder, &peer), "a peer cannot speak for another");
	put6(ELSEWHERE6, HERE6, 64);
	CLAIM(!from_udp(&forwarder, &peer), "nor in IPv6");
	put4(NOWHERE, HERE, 64);
	CLAIM(!from_udp(&forwarder, &peer), "nor for nobody");
	put4(HERE, HERE, 1);
	CLAIM(!from_udp(&forwarder, &peer), "nor, and even less be answered, for this side");
	CLAIM(counters[DROP_SPOOFED_SOURCE] == 4 && counters[DROP_UNKNOWN_PEER] == 0, "each is counted");
	put4(THERE, HERE, 64);
	CLAIM(!from_udp(&forwarder, &stranger), "a stranger cannot speak for a peer");
	packet.size = 0;
	CLAIM(!from_udp(&forwarder, &stranger), "or say nothing at all");
	CLAIM(counters[DROP_UNKNOWN_PEER] == 2 && counters[DROP_SPOOFED_SOURCE] == 4, "counted as a stranger");
	CLAIM(!from_udp(&forwarder, &peer) && counters[DROP_MALFORMED] == 1, "a silent peer is none");
}

static void hostile(const struct routes *routes)
{
	struct forwarder forwarder = fresh(routes, TRUST_ANYONE);

	put4(THERE, HERE, 64);
	packet.size--;
	CLAIM(!from_udp(&forwarder, &peer), "half a packet goes nowhere");
	CLAIM(!from_tun(&forwarder), "from the tun, too");
	packet.size = 0;
	CLAIM(!from_udp(&forwarder, &peer), "nor does an empty datagram");
	packet.size = SIZE;
	buffer[0] = 0x50;
	CLAIM(!from_udp(&forwarder, &peer), "nor does another version of IP");
	CLAIM(!forward_tun_tun(&forwarder, 0, &packet, 1, NULL, &out), "between two tuns, too");
	CLAIM(counters[DROP_MALFORMED] == 3 && counters[DROP_NOT_IP] == 2, "counted by reason");
}

static void relays(void)
{
	struct forwarder forwarder = fresh(NULL, TRUST_SOURCES);
	uint8_t before[SIZE];

	for (unsigned int from = 0; from < 2; from++) {
		put4(HERE, THERE, 64);
		CLAIM(forward_tun_tun(&forwarder, from, &packet, 1, NULL, &out) && out.port == !from &&
			      buffer[IPV4_TTL] == 63,
		      "from a tun to the other it takes one hop");
		put6(HERE6, THERE6, 64);
		CLAIM(forward_tun_tun(&forwarder, from, &packet, 1, NULL, &out) && out.port == !from &&
			      buffer[IPV6_HOP_LIMIT] == 63,
		      "in IPv6, too");
		put4(HERE, THERE, 1);
		CLAIM(forward_tun_tun(&forwarder, from, &packet, 1, NULL, &out) && out.port == from &&
			      buffer[20] == 11,
		      "time-exceeded goes back to the tun the packet came from");
		put6(HERE6, THERE6, 1);
		CLAIM(forward_tun_tun(&forwarder, from, &packet, 1, NULL, &out) && out.port == from &&
			      buffer[40] == 3,
		      "that of IPv6, too");

		put4(HERE, THERE, 1);
		memcpy(before, buffer, SIZE);
		CLAIM(forward_tap_tap(&forwarder, from, &packet, 1, NULL, &out) && out.port == !from &&
			      packet.size == SIZE && memcmp(before, buffer, SIZE) == 0,
		      "a frame goes to the other tap as it came");
		packet.size = 14;
		CLAIM(forward_tap_tap(&forwarder, from, &packet, 1, NULL, &out),
		      "a bare Ethernet header is a frame");
		packet.size = 13;
		CLAIM(!forward_tap_tap(&forwarder, from, &packet, 1, NULL, &out), "less is none");
	}
	CLAIM(counters[DROP_RUNT] == 2, "runts are counted");
}

/* Make the packet in the buffer, whose transport header is at `start`, one of many segments. */
static struct virtio_net_hdr make_super(unsigned int start)
{
	buffer[IPV4_PROTOCOL] = 6;
	packet.offload = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = (uint16_t)(start + 20),
		.gso_size = 1,
		.csum_start = (uint16_t)start,
		.csum_offset = 16,
	};
	return packet.offload;
}

static bool keeps(struct virtio_net_hdr offload)
{
	return memcmp(&packet.offload, &offload, sizeof(offload)) == 0;
}

static void super_packets(const struct routes *routes)
{
	static const struct virtio_net_hdr none;
	struct forwarder forwarder = fresh(routes, TRUST_SOURCES);
	struct virtio_net_hdr offload;

	put4(HERE, THERE, 64);
	offload = make_super(20);
	CLAIM(forward_tun_udp(&forwarder, TUN, &packet, MANY, NULL, &out) && is_for(&peer) && keeps(offload),
	      "a super-packet goes to the tunnel whole, to be cut there");
	CLAIM(forward_tun_tun(&forwarder, 0, &packet, MANY, NULL, &out) && keeps(offload),
	      "and to another tun whole");

	put4(HERE, NOWHERE, 64);
	make_super(20);
	CLAIM(forward_tun_udp(&forwarder, TUN, &packet, MANY, NULL, &out) && buffer[20] == 3 && keeps(none),
	      "its sender hears once that there is no route, in a single packet");
	put4(HERE, THERE, 1);
	make_super(20);
	CLAIM(forward_tun_tun(&forwarder, 0, &packet, MANY, NULL, &out) && buffer[20] == 11 && keeps(none),
	      "and of its end");
	CLAIM(counters[DROP_NO_ROUTE] == MANY && counters[ICMP_NET_UNREACHABLE] == 1 &&
		      counters[DROP_TTL_EXPIRED] == MANY && counters[ICMP_TIME_EXCEEDED] == 1,
	      "what it stands for is lost, and one error is sent");

	put4(HERE, THERE, 64);
	make_super(20);
	packet.offload.csum_start = SIZE;
	CLAIM(!forward_tun_tun(&forwarder, 0, &packet, MANY, NULL, &out),
	      "a virtio header that points out of its packet goes to no tun");
	CLAIM(!forward_tap_tap(&forwarder, 0, &packet, MANY, NULL, &out), "nor to a tap");
	CLAIM(counters[DROP_BAD_OFFLOAD] == 2 * MANY, "and is counted as what it stands for");
	offload = make_super(34);
	CLAIM(forward_tap_tap(&forwarder, 0, &packet, MANY, NULL, &out) && keeps(offload),
	      "one that does not goes there whole");
}

void test_forward(void)
{
	struct routes *routes = subnets();

	into_the_tunnel(routes);
	into_the_tunnel6(routes);
	for (int trust = TRUST_ANYONE; trust <= TRUST_SOURCES; trust++)
		out_of_the_tunnel(routes, (enum trust)trust);
	anyone(routes);
	peers_only(routes);
	sources_only(routes);
	hostile(routes);
	relays();
	super_packets(routes);
	routes_free(routes);
}
