/* Super-packets through a pump, and what it does where the kernel does not take its own. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checksum.h"
#include "ipv4.h"
#include "packet.h"
#include "rig.h"
#include "transport.h"
#include "udp.h"

enum {
	VIRTIO = sizeof(struct virtio_net_hdr),
	HEADERS = IPV4_HEADER + TCP_HEADER,
	LARGE = 1400, /* bytes of a packet that fits the tun but not a path of 1280 */
	SMALL_MTU = 1280,
};

static void configure(struct rig *rig, int64_t io, int64_t batch, int64_t tun, int64_t udp)
{
	rig_build(rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig->settings[SWITCH_READINESS] = 1;
	rig->settings[SWITCH_IO] = io;
	rig->settings[SWITCH_BATCH] = batch;
	rig->settings[SWITCH_TUN_OFFLOAD] = tun;
	rig->settings[SWITCH_UDP_OFFLOAD] = udp;
}

/* ---- refusals of UDP_SEGMENT ---------------------------------------------------------------- */

static int udp6_socket(struct sockaddr_in6 *address)
{
	struct timeval timeout = {.tv_sec = LOST_AFTER_MS / 1000};
	socklen_t length = sizeof(*address);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	if (fd < 0 || bind(fd, (struct sockaddr *)address, length) < 0) {
		close(fd);
		return -1;
	}
	NEED(getsockname(fd, (struct sockaddr *)address, &length) == 0);
	NEED(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0);
	return fd;
}

/* Have the rig's UDP run over ::1 with a path MTU of 1280. False: there is no ::1 here. */
static bool narrow(struct rig *rig)
{
	struct sockaddr_in6 ours, peer;
	struct vnb_route route = {.hop_ipv6 = 1, .length = 24, .prefix = {10, 244, 2}};
	int fds[2] = {udp6_socket(&ours), udp6_socket(&peer)}, mtu = SMALL_MTU;

	if (fds[0] < 0 || fds[1] < 0) {
		close(fds[0]);
		close(fds[1]);
		return false;
	}
	close(rig->pump.port[1].fd);
	close(rig->end[1]);
	rig->pump.port[1].fd = fds[0];
	rig->end[1] = fds[1];
	NEED(setsockopt(fds[0], IPPROTO_IPV6, IPV6_MTU, &mtu, sizeof(mtu)) == 0);
	NEED(connect(fds[1], (struct sockaddr *)&ours, sizeof(ours)) == 0);
	memcpy(route.next_hop, &peer.sin6_addr, sizeof(route.next_hop));
	route.port = peer.sin6_port;
	return vnb_router_replace(rig->pump.router, &route, 1) == 0;
}

static bool cross(struct rig *rig, unsigned int count, size_t size)
{
	bool all = true;

	for (unsigned int i = 0; i < count; i++)
		all &= rig_get_number(rig, 1, size, (uint16_t)i, 63);
	return all;
}

static void put(struct rig *rig, unsigned int count, size_t size)
{
	for (unsigned int i = 0; i < count; i++)
		rig_put_number(rig, 0, size, (uint16_t)i);
}

static void sends_what_exceeds_the_path_singly(int64_t io, int64_t batch)
{
	struct rig rig;

	configure(&rig, io, batch, 0, 1);
	if (narrow(&rig)) {
		put(&rig, 40, LARGE);
		rig_start(&rig);
		CLAIM(cross(&rig, 40, LARGE), "datagrams longer than the path's MTU arrive, in order");
		rig_stop(&rig);
		CLAIM(rig.counters[REFUSED_UDP_SEGMENT] == 1,
		      "the kernel refuses to segment them, once: it is not asked again");
		CLAIM(rig.counters[PORT1_TX_SUPERS] == 0 && rig_is_balanced(rig.counters),
		      "each goes by itself");
		memset(rig.counters, 0, sizeof(rig.counters));
		NEED(eventfd_read(rig.pump.stop_fd, &(eventfd_t){0}) == 0);
		put(&rig, 40, LARGE);
		for (unsigned int i = 0; i < 40; i++) /* behind them, what fits the path */
			rig_put_number(&rig, 0, SIZE, (uint16_t)i);
		rig_start(&rig);
		CLAIM(cross(&rig, 40, LARGE) && cross(&rig, 40, SIZE), "shorter ones arrive, too");
		rig_stop(&rig);
		CLAIM(rig.counters[REFUSED_UDP_SEGMENT] == 1 && rig.counters[PORT1_TX_SUPERS] > 0,
		      "and are still segmented by the kernel");
	}
	rig_demolish(&rig);
}

/* A socket without checksums may not segment at all: EINVAL, whatever the number and the size. */
static void sends_singly_where_nothing_is_segmented(int64_t io)
{
	struct rig rig;
	int yes = 1;

	configure(&rig, io, 64, 0, 1);
	NEED(setsockopt(rig.pump.port[1].fd, SOL_SOCKET, SO_NO_CHECK, &yes, sizeof(yes)) == 0);
	put(&rig, 64, SIZE);
	rig_start(&rig);
	CLAIM(cross(&rig, 64, SIZE), "nothing is lost");
	put(&rig, 64, SIZE);
	CLAIM(cross(&rig, 64, SIZE), "now or later");
	rig_stop(&rig);
	CLAIM(rig.counters[REFUSED_UDP_SEGMENT] == 1 && rig.counters[PORT1_TX_SUPERS] == 0 &&
		      rig.counters[PORT1_TX_PACKETS] == 128 && rig_is_balanced(rig.counters),
	      "and it is one refusal");
	rig_demolish(&rig);
}

static void learns_what_a_kernel_takes(void)
{
	uint64_t counters[COUNTER_COUNT] = {0};
	struct port port = {.kind = &port_udp_batch, .counters = counters, .traffic = counters};
	struct message message = {.packets = 65, .segment = 100, .size = 6500};

	port.limits = (struct segment_limits){.count = 128, .size = DATAGRAM_MAX};
	CLAIM(port_sent(&port, &message, EINVAL) == PORT_REFUSED && port.limits.count == 64 &&
		      port.limits.size == DATAGRAM_MAX,
	      "more than 64 segments refused: from now on 64");
	message.packets = 64;
	CLAIM(port_sent(&port, &message, EMSGSIZE) == PORT_REFUSED && port.limits.count == 64 &&
		      port.limits.size == 99,
	      "64 refused: it is their size");
	CLAIM(port_sent(&port, &message, EIO) == PORT_REFUSED && port.limits.count == 1,
	      "no checksum on the way out: none at all");
	CLAIM(counters[REFUSED_UDP_SEGMENT] == 3, "each refusal is counted");
	message.packets = 1;
	CLAIM(port_sent(&port, &message, EMSGSIZE) == 1 && counters[DROP_TOO_BIG] == 1,
	      "a single datagram that is too big is just dropped");
}

/* ---- joined datagrams ----------------------------------------------------------------------- */

/* The error about a packet of 28 bytes is twice as long as the packet. */
static void answers_in_the_middle_of_a_unit(int64_t io, int64_t batch)
{
	enum { COUNT = 8, LENGTH = 28, EXPIRED = 3, AS_WELL = 5 };
	struct rig rig;
	uint8_t packets[COUNT * LENGTH], error[BUFFER];
	int size = LENGTH;
	bool sound = true;

	configure(&rig, io, batch, 0, 1);
	for (unsigned int i = 0; i < COUNT; i++) {
		uint8_t *packet = packets + (size_t)i * LENGTH;

		test_packet(packet, LENGTH, THERE, HERE, i == EXPIRED || i == AS_WELL ? 1 : 64);
		packet[LENGTH - 1] = (uint8_t)i;
	}
	rig_start(&rig);
	rig_put_number(&rig, 1, SIZE, 0); /* when it is through, the socket is in its mode */
	NEED(rig_get_number(&rig, 0, SIZE, 0, 63));
	NEED(setsockopt(rig.end[1], SOL_UDP, UDP_SEGMENT, &size, sizeof(size)) == 0);
	NEED(send(rig.end[1], packets, sizeof(packets), 0) == sizeof(packets));
	for (unsigned int i = 0; i < COUNT; i++) {
		uint8_t packet[BUFFER], expected[LENGTH];

		if (i == EXPIRED || i == AS_WELL)
			continue;
		test_packet(expected, LENGTH, THERE, HERE, 63);
		expected[LENGTH - 1] = (uint8_t)i;
		sound &= rig_get(&rig, 0, packet, sizeof(packet)) == LENGTH &&
			 memcmp(packet, expected, LENGTH) == 0;
	}
	CLAIM(sound, "the neighbours of packets that expired are what they were");
	for (unsigned int i = EXPIRED; i <= AS_WELL; i += AS_WELL - EXPIRED)
		CLAIM(rig_get(&rig, 1, error, sizeof(error)) == 56 && error[20] == 11 &&
			      error[28 + LENGTH - 1] == i,
		      "and its sender is told, about each");
	rig_stop(&rig);
	CLAIM(rig.counters[PORT1_RX_SUPERS] == 1 && rig_is_balanced(rig.counters), "all came as one");
	rig_demolish(&rig);
}

/* ---- super-packets -------------------------------------------------------------------------- */

static uint64_t sum_pseudo_header(const uint8_t *packet, size_t size)
{
	uint64_t sum = checksum_add(0, packet + IPV4_SOURCE, 8);

	sum = checksum_add16(sum, IPPROTO_TCP);
	return checksum_add16(sum, (uint16_t)(size - IPV4_HEADER));
}

/* A TCP super-packet behind its virtio header; returns the size of both. */
static size_t super_packet(uint8_t *bytes, unsigned int segments, uint16_t segment)
{
	struct virtio_net_hdr offload = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = HEADERS,
		.gso_size = segment,
		.csum_start = IPV4_HEADER,
		.csum_offset = TCP_CHECKSUM,
	};
	uint8_t *packet = bytes + VIRTIO, *tcp = packet + IPV4_HEADER;
	size_t size = HEADERS + (size_t)segments * segment;
	uint16_t check;

	test_packet(packet, size, HERE, THERE, 64);
	packet[IPV4_PROTOCOL] = IPPROTO_TCP;
	memset(packet + IPV4_CHECKSUM, 0, 2);
	check = checksum(packet, IPV4_HEADER);
	memcpy(packet + IPV4_CHECKSUM, &check, sizeof(check));
	memset(tcp, 0, TCP_HEADER);
	tcp[TCP_SEQUENCE + 2] = 7;
	tcp[TCP_OFFSET] = 5 << 4;
	tcp[TCP_OFFSET + 1] = TCP_ACK;
	/* The kernel leaves the sum of the pseudo-header where the checksum will be. */
	check = checksum_fold(sum_pseudo_header(packet, size));
	memcpy(tcp + TCP_CHECKSUM, &check, sizeof(check));
	for (size_t i = 0; i < size - HEADERS; i++)
		packet[HEADERS + i] = (uint8_t)(i * 31 + i / 256);
	memcpy(bytes, &offload, VIRTIO);
	return VIRTIO + size;
}

static bool tcp_is_sound(const uint8_t *packet, size_t size)
{
	return checksum_fold(checksum_add(sum_pseudo_header(packet, size),
					  packet + IPV4_HEADER, size - IPV4_HEADER)) == 0xffff;
}

/* Whether the next packet out of the tunnel is this segment of the super-packet; kept at `packet`. */
static bool is_segment(struct rig *rig, const uint8_t *super, unsigned int index, uint16_t segment,
		       uint8_t *packet)
{
	size_t size = HEADERS + segment;

	return rig_get(rig, 1, packet, BUFFER) == (ssize_t)size && packet[IPV4_TTL] == 63 &&
	       test_header_is_sound(packet) && tcp_is_sound(packet, size) &&
	       load32(packet + IPV4_HEADER + TCP_SEQUENCE) == 7 * 256 + index * segment &&
	       memcmp(packet + HEADERS, super + VIRTIO + HEADERS + (size_t)index * segment, segment) == 0;
}

static void splits_and_joins(int64_t io, int64_t batch, int64_t udp, unsigned int segments,
			     uint16_t segment)
{
	static uint8_t super[VIRTIO + 65535], joined[VIRTIO + 65535], parts[64][BUFFER];
	size_t size = super_packet(super, segments, segment);
	struct virtio_net_hdr offload;
	struct rig rig;
	bool sound = true;

	configure(&rig, io, batch, 1, udp);
	rig_start(&rig);
	NEED(send(rig.end[0], super, size, 0) == (ssize_t)size);
	for (unsigned int i = 0; i < segments && sound; i++)
		sound &= is_segment(&rig, super, i, segment, parts[i % 64]);
	rig_stop(&rig);
	CLAIM(sound, "a super-packet leaves as the whole packets it stands for");
	CLAIM(rig.counters[PORT0_RX_UNITS] == 1, "it was one unit");
	CLAIM(rig.counters[PORT0_RX_SUPERS] == 1 && rig.counters[PORT0_RX_PACKETS] == segments &&
		      rig.counters[PORT1_TX_PACKETS] == segments && rig_is_balanced(rig.counters),
	      "and is counted as these");
	rig_demolish(&rig);
	if (segments > 64 || batch < segments)
		return;

	configure(&rig, io, batch, 1, udp);
	for (unsigned int i = 0; i < segments; i++)
		NEED(send(rig.end[1], parts[i], HEADERS + segment, 0) == HEADERS + segment);
	rig_start(&rig);
	CLAIM(rig_get(&rig, 0, joined, sizeof(joined)) == (ssize_t)size,
	      "datagrams that come together enter the tun as one super-packet");
	rig_stop(&rig);
	memcpy(&offload, joined, VIRTIO);
	CLAIM(offload.gso_type == VIRTIO_NET_HDR_GSO_TCPV4 && offload.gso_size == segment &&
		      offload.flags == VIRTIO_NET_HDR_F_NEEDS_CSUM && offload.csum_start == IPV4_HEADER &&
		      offload.csum_offset == TCP_CHECKSUM,
	      "that says how to cut it again");
	CLAIM(memcmp(joined + VIRTIO + HEADERS, super + VIRTIO + HEADERS, size - VIRTIO - HEADERS) == 0,
	      "and has the payload of all");
	CLAIM(rig.counters[PORT1_RX_UNITS] == segments && rig.counters[PORT0_TX_UNITS] == 1,
	      "many units became one");
	CLAIM(rig.counters[PORT0_TX_SUPERS] == 1 && rig.counters[PORT0_TX_PACKETS] == segments &&
		      rig_is_balanced(rig.counters),
	      "each counts");
	rig_demolish(&rig);
}

/* More than one UDP_SEGMENT message holds, or one outbox: the rest goes into the next. */
static void splits_into_more_than_a_message_holds(int64_t io)
{
	splits_and_joins(io, 1, 1, 130, 100); /* 128 segments */
	splits_and_joins(io, 1, 1, 48, 1324); /* 65507 bytes */
	splits_and_joins(io, 1, 0, 200, 40);  /* 64 messages */
}

static void drops_a_header_that_lies(int64_t io)
{
	static uint8_t super[VIRTIO + 65535];
	size_t size = super_packet(super, 10, 100);
	struct virtio_net_hdr offload;
	struct rig rig;

	configure(&rig, io, 8, 1, 0);
	memcpy(&offload, super, VIRTIO);
	offload.csum_start = 21;
	memcpy(super, &offload, VIRTIO);
	rig_start(&rig);
	NEED(send(rig.end[0], super, size, 0) == (ssize_t)size);
	NEED(send(rig.end[0], super, 3, 0) == 3); /* not even a header */
	size = super_packet(super, 1, 100);
	NEED(send(rig.end[0], super, size, 0) == (ssize_t)size);
	CLAIM(is_segment(&rig, super, 0, 100, super + 2048), "what follows a lie is carried");
	rig_stop(&rig);
	CLAIM(rig.counters[DROP_BAD_OFFLOAD] > 0 && rig_is_balanced(rig.counters),
	      "a virtio header that contradicts its packet is counted");
	rig_demolish(&rig);
}

void test_pump_offload(void)
{
	int64_t last_io = rig_last_io();

	learns_what_a_kernel_takes();
	for (int64_t io = IO_SYSCALL; io <= last_io; io++) {
		sends_what_exceeds_the_path_singly(io, 8);
		sends_what_exceeds_the_path_singly(io, 64);
		sends_singly_where_nothing_is_segmented(io);
		answers_in_the_middle_of_a_unit(io, 1);
		answers_in_the_middle_of_a_unit(io, 8);
		for (int64_t udp = 0; udp < 2; udp++) {
			splits_and_joins(io, 1, udp, 10, 100);
			splits_and_joins(io, 64, udp, 10, 100);
			splits_and_joins(io, 64, udp, 40, 1400);
		}
		splits_into_more_than_a_message_holds(io);
		drops_a_header_that_lies(io);
	}
}
