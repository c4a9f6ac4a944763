/* rig.c - see rig.h. */
#include "rig.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checksum.h"
#include "ipv4.h"

static void give_up_waiting(int fd)
{
	struct timeval timeout = {.tv_sec = LOST_AFTER_MS / 1000};

	NEED(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0);
}

static void device(struct rig *rig, unsigned int port, enum vnb_port_kind kind)
{
	int pair[2];

	NEED(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	rig->pump.port[port] = (struct vnb_port){.kind = kind, .fd = pair[0]};
	rig->end[port] = pair[1];
	give_up_waiting(pair[1]);
}

int rig_udp_socket(struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	NEED(fd >= 0 && bind(fd, (struct sockaddr *)address, length) == 0);
	NEED(getsockname(fd, (struct sockaddr *)address, &length) == 0);
	give_up_waiting(fd);
	return fd;
}

struct vnb_route rig_route(uint32_t prefix, uint8_t length, const struct sockaddr_in *to)
{
	struct vnb_route route = {.length = length, .port = to->sin_port};
	uint32_t network = htonl(prefix);

	memcpy(route.prefix, &network, sizeof(network));
	memcpy(route.next_hop, &to->sin_addr, sizeof(to->sin_addr));
	return route;
}

void rig_build(struct rig *rig, enum vnb_port_kind first, enum vnb_port_kind second)
{
	uint32_t source = htonl(ROUTER);
	struct sockaddr_in ours, peer;
	struct vnb_route route;

	*rig = (struct rig){
		.pump.buffer_size = BUFFER,
		.pump.stop_fd = eventfd(0, EFD_CLOEXEC),
		.pump.settings = rig->settings,
	};
	memcpy(rig->pump.icmp_source4, &source, sizeof(source));
	for (size_t i = 0; i < SWITCH_COUNT; i++)
		rig->settings[i] = vnb_switch_at(i)->initial;
	rig->settings[SWITCH_TRUST] = 0;
	device(rig, 0, first);
	if (second != VNB_PORT_UDP) {
		device(rig, 1, second);
		return;
	}
	rig->pump.port[1] = (struct vnb_port){.kind = VNB_PORT_UDP, .fd = rig_udp_socket(&ours)};
	rig->end[1] = rig_udp_socket(&peer);
	NEED(connect(rig->end[1], (struct sockaddr *)&ours, sizeof(ours)) == 0);
	route = rig_route(ADDRESS(10, 244, 2, 0), 24, &peer);
	NEED(vnb_router_new(&rig->pump.router) == 0);
	NEED(vnb_router_replace(rig->pump.router, &route, 1) == 0);
}

void rig_demolish(struct rig *rig)
{
	for (unsigned int i = 0; i < 2; i++) {
		close(rig->pump.port[i].fd);
		close(rig->end[i]);
	}
	close(rig->pump.stop_fd);
	vnb_router_free(rig->pump.router);
}

static void *run(void *argument)
{
	struct rig *rig = argument;

	rig->result = vnb_pump_run(&rig->pump, rig->counters);
	return NULL;
}

void rig_start(struct rig *rig)
{
	NEED(pthread_create(&rig->thread, NULL, run, rig) == 0);
}

void rig_finish(struct rig *rig)
{
	NEED(pthread_join(rig->thread, NULL) == 0);
}

void rig_stop(struct rig *rig)
{
	NEED(eventfd_write(rig->pump.stop_fd, 1) == 0);
	rig_finish(rig);
}

int64_t rig_last_io(void)
{
	struct rig rig;

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_TUN);
	rig.settings[SWITCH_READINESS] = 1;
	rig.settings[SWITCH_IO] = IO_URING;
	rig_start(&rig);
	rig_stop(&rig);
	rig_demolish(&rig);
	return rig.result == 0 ? IO_URING : IO_SYSCALL;
}

void rig_number(uint8_t *packet, size_t size, uint16_t number, uint8_t ttl)
{
	uint16_t check;

	test_packet(packet, size, HERE, THERE, ttl);
	store16(packet + IPV4_ID, number);
	memset(packet + IPV4_CHECKSUM, 0, 2);
	check = checksum(packet, IPV4_HEADER);
	memcpy(packet + IPV4_CHECKSUM, &check, sizeof(check));
}

void rig_put_number(struct rig *rig, unsigned int port, size_t size, uint16_t number)
{
	uint8_t packet[BUFFER];

	rig_number(packet, size, number, 64);
	NEED(send(rig->end[port], packet, size, 0) == (ssize_t)size);
}

bool rig_get_number(struct rig *rig, unsigned int port, size_t size, uint16_t number, uint8_t ttl)
{
	uint8_t packet[BUFFER], expected[BUFFER];

	rig_number(expected, size, number, ttl);
	return rig_get(rig, port, packet, sizeof(packet)) == (ssize_t)size &&
	       memcmp(packet, expected, size) == 0;
}

void rig_put(struct rig *rig, unsigned int port, uint32_t from, uint32_t to, uint8_t ttl)
{
	uint8_t packet[SIZE];

	test_packet(packet, SIZE, from, to, ttl);
	NEED(send(rig->end[port], packet, SIZE, 0) == SIZE);
}

ssize_t rig_get(struct rig *rig, unsigned int port, uint8_t *packet, size_t size)
{
	return recv(rig->end[port], packet, size, 0);
}

bool rig_is_balanced(const uint64_t *counters)
{
	uint64_t in = counters[PORT0_RX_PACKETS] + counters[PORT1_RX_PACKETS];
	uint64_t out = counters[PORT0_TX_PACKETS] + counters[PORT1_TX_PACKETS];

	for (size_t i = 0; i < COUNTER_COUNT; i++) {
		if (strncmp(vnb_counter_name(i), "icmp.", 5) == 0)
			in += counters[i];
		if (strncmp(vnb_counter_name(i), "drop.", 5) == 0)
			out += counters[i];
	}
	return in == out;
}

unsigned int rig_deafen(bool deaf)
{
	struct sock_filter nothing = {.code = BPF_RET | BPF_K, .k = 0};
	struct sock_fprog filter = {.len = 1, .filter = &nothing};
	struct sockaddr_in own;
	unsigned int found = 0;

	for (int fd = 3; fd < 256; fd++) {
		socklen_t length = sizeof(own);

		if (getsockname(fd, (struct sockaddr *)&own, &length) < 0 || own.sin_family != AF_INET)
			continue;
		NEED(setsockopt(fd, SOL_SOCKET, deaf ? SO_ATTACH_FILTER : SO_DETACH_FILTER, &filter,
				sizeof(filter)) == 0);
		found++;
	}
	return found;
}
