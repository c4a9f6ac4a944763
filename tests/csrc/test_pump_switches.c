/* Whether every combination of switches moves the same packets, with the calls it promises. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "packets.h"
#include "rig.h"

enum { COUNT = 60, ON = 1, SPIN = 1, URING = 1 };

static size_t size_of(unsigned int number)
{
	return 28 + number * 37 % 1400;
}

/* Packet `number` of those that go to `to`; its size and payload follow from the number. */
static void make(uint8_t *packet, unsigned int number, uint32_t from, uint32_t to, uint8_t ttl)
{
	test_packet(packet, size_of(number), from, to, ttl);
	packet[5] = (uint8_t)number; /* the identification, whose checksum is patched below */
	packet[10] = packet[11] = 0;
	for (size_t i = 28; i < size_of(number); i++)
		packet[i] = (uint8_t)(i * number);
}

static bool comes_out(struct rig *rig, unsigned int port, unsigned int number, uint32_t from,
		      uint32_t to)
{
	uint8_t expected[BUFFER], packet[BUFFER];
	size_t size = size_of(number);

	make(expected, number, from, to, 63);
	if (rig_get(rig, port, packet, sizeof(packet)) != (ssize_t)size)
		return false;
	packet[10] = packet[11] = 0;
	return memcmp(packet, expected, size) == 0;
}

/* Send COUNT packets each way; all of them must arrive, unchanged and in order. */
static bool carries(struct rig *rig)
{
	uint8_t packet[BUFFER];
	bool all = true;

	for (unsigned int i = 0; i < COUNT; i++) {
		make(packet, i, HERE, THERE, 64);
		NEED(send(rig->end[0], packet, size_of(i), 0) == (ssize_t)size_of(i));
		make(packet, i, THERE, HERE, 64);
		NEED(send(rig->end[1], packet, size_of(i), 0) == (ssize_t)size_of(i));
	}
	for (unsigned int i = 0; i < COUNT; i++)
		all &= comes_out(rig, 1, i, HERE, THERE) && comes_out(rig, 0, i, THERE, HERE);
	return all;
}

/* Whether a pump with the rig's settings carries everything; rigs that are refused are left out. */
static void try_settings(struct rig *rig, unsigned int *tried)
{
	double begin;

	if (vnb_pump_refusal(&rig->pump))
		return;
	rig_start(rig);
	if (!carries(rig)) {
		printf("with");
		for (size_t i = 0; i < SWITCH_COUNT; i++)
			printf(" %s=%ld", vnb_switch_at(i)->name, (long)rig->settings[i]);
		printf("\n");
		CLAIM(false, "every packet arrives, unchanged and in order");
	}
	begin = test_now();
	rig_stop(rig);
	CLAIM(rig->result == 0 && test_now() - begin < 1, "and the pump stops");
	CLAIM(rig_is_balanced(rig->counters), "with nothing unaccounted for");
	(*tried)++;
}

static void every_combination(void)
{
	const int64_t batches[] = {1, 8, 64};
	unsigned int tried = 0;

	for (unsigned int bits = 0; bits < 1 << 5; bits++)
		for (unsigned int i = 0; i < 3 * 3; i++) {
			struct rig rig;

			rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
			rig.settings[SWITCH_BATCH] = batches[i / 3];
			rig.settings[SWITCH_WAIT] = i % 3;
			rig.settings[SWITCH_READINESS] = bits & 1;
			rig.settings[SWITCH_UDP_OFFLOAD] = bits >> 1 & 1;
			rig.settings[SWITCH_IO] = bits >> 2 & 1;
			rig.settings[SWITCH_LINGER] = bits >> 3 & 1 ? 100 : 0;
			rig.settings[SWITCH_TRUST] = bits >> 4 & 1 ? 2 : 0;
			try_settings(&rig, &tried);
			rig_demolish(&rig);
		}
	CLAIM(tried > 100, "most combinations are allowed");
}

static void handicaps(void)
{
	struct rig rig;

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig.settings[SWITCH_HOT_COPIES] = 3;
	rig.settings[SWITCH_COLD_COPIES] = 2;
	rig.settings[SWITCH_NULL_CALLS] = 5;
	rig.settings[SWITCH_HANDOFFS] = 2;
	rig_start(&rig);
	CLAIM(carries(&rig), "a burdened pump carries everything all the same");
	rig_stop(&rig);
	CLAIM(rig.counters[COPY_HOT] == 3 * 2 * COUNT && rig.counters[COPY_COLD] == 2 * 2 * COUNT,
	      "each packet is copied as often as asked");
	CLAIM(rig.counters[SYSCALL_GETPPID] == 5 * 2 * COUNT, "and costs as many null calls");
	CLAIM(rig.counters[SYSCALL_FUTEX] >= 2 * 2 * 2 * COUNT, "a hand-off wakes twice");
	rig_demolish(&rig);
}

/* All packets wait before the pump starts, so calls can be foretold. */
static void start_after_sending(struct rig *rig, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		rig_put(rig, 0, HERE, THERE, 64);
	rig_start(rig);
	for (unsigned int i = 0; i < count; i++) {
		uint8_t packet[BUFFER];

		CLAIM(rig_get(rig, 1, packet, sizeof(packet)) == SIZE, "every packet arrives");
	}
	rig_stop(rig);
}

static void promised_calls(void)
{
	const uint64_t *counters;
	struct rig rig;

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	counters = rig.counters;
	rig.settings[SWITCH_READINESS] = ON;
	start_after_sending(&rig, 10);
	CLAIM(counters[SYSCALL_RECVFROM] == 0 && counters[EAGAIN_READ] == 1,
	      "readiness: no receive where nothing is, and the tun is read until it is empty");
	rig_demolish(&rig);

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig.settings[SWITCH_BATCH] = 16;
	start_after_sending(&rig, 10);
	CLAIM(counters[SYSCALL_SENDMMSG] == 1 && counters[SYSCALL_SENDTO] == 0,
	      "batch: one sendmmsg for all that was read");
	rig_demolish(&rig);

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig.settings[SWITCH_BATCH] = 16;
	rig.settings[SWITCH_UDP_OFFLOAD] = ON;
	start_after_sending(&rig, 10);
	CLAIM(counters[PORT1_TX_SUPERS] == 1 && counters[PORT1_TX_PACKETS] == 10,
	      "udp_offload: all of one size to one peer are one message");
	rig_demolish(&rig);

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig.settings[SWITCH_IO] = URING;
	rig.settings[SWITCH_READINESS] = ON;
	rig.settings[SWITCH_BATCH] = 16;
	if (!vnb_pump_refusal(&rig.pump)) {
		start_after_sending(&rig, 10);
		CLAIM(counters[SYSCALL_READ] + counters[SYSCALL_SENDTO] + counters[SYSCALL_SENDMMSG] +
				      counters[SYSCALL_RECVMMSG] + counters[SYSCALL_RECVFROM] == 0,
		      "io_uring: no other call reads or sends");
		CLAIM(counters[SYSCALL_IO_URING_ENTER] > 0 && counters[SYSCALL_IO_URING_ENTER] < 10,
		      "and fewer calls than packets do all of it");
	}
	rig_demolish(&rig);
}

/* A super-packet and its virtio header in one record, as a tun with offload gives it. */
static size_t put_super(struct rig *rig, const struct shape *shape, uint16_t gso_size)
{
	static uint8_t bytes[PACKET_ROOM];
	const size_t header = sizeof(struct virtio_net_hdr);
	struct packet super = make_super(bytes + header, shape, gso_size);

	memcpy(bytes, &super.offload, header);
	NEED(send(rig->end[0], bytes, header + super.size, 0) == (ssize_t)(header + super.size));
	return super.size;
}

/* Give the peer the tun's own subnet, and the other end a packet that it may send back. */
static void super_packets(int udp_offload, int io)
{
	struct shape shape = {.tcp = true, .port = 99, .flags = 0x10, .payload = 20 * 1000 + 7};
	static uint8_t back[PACKET_ROOM], packet[PACKET_ROOM];
	struct sockaddr_in peer;
	socklen_t length = sizeof(peer);
	struct vnb_route route;
	struct rig rig;
	bool whole = true;
	ssize_t size;

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	NEED(getsockname(rig.end[1], (struct sockaddr *)&peer, &length) == 0);
	route = rig_route(ADDRESS(10, 0, 0, 0), 8, &peer);
	NEED(vnb_router_replace(rig.pump.router, &route, 1) == 0);
	rig.pump.buffer_size = 65535;
	rig.settings[SWITCH_TUN_OFFLOAD] = ON;
	rig.settings[SWITCH_UDP_OFFLOAD] = udp_offload;
	rig.settings[SWITCH_READINESS] = ON;
	rig.settings[SWITCH_BATCH] = 32;
	rig.settings[SWITCH_IO] = io;
	if (vnb_pump_refusal(&rig.pump)) {
		rig_demolish(&rig);
		return;
	}
	for (unsigned int i = 0; i < 21; i++) {
		struct shape part = shape;

		part.sequence = i * 1000;
		part.id = (uint16_t)i;
		part.payload = i < 20 ? 1000 : 7;
		size = (ssize_t)make_packet(packet, &part);
		NEED(send(rig.end[1], packet, (size_t)size, 0) == size);
	}
	put_super(&rig, &shape, 1000);
	rig_start(&rig);
	for (unsigned int i = 0; i < 21; i++) {
		size = rig_get(&rig, 1, packet, sizeof(packet));
		whole &= size == (i < 20 ? 1040 : 47) && is_whole(packet, (size_t)size, &shape);
	}
	CLAIM(whole, "a super-packet leaves as whole packets");
	size = rig_get(&rig, 0, back, sizeof(back));
	CLAIM(size == 10 + 40 + 20 * 1000 + 7, "and packets arrive as a super-packet");
	rig_stop(&rig);
	CLAIM(rig.counters[PORT0_RX_PACKETS] == 21 && rig.counters[PORT0_TX_PACKETS] == 21 &&
		      rig.counters[PORT0_RX_SUPERS] == 1 && rig.counters[PORT0_TX_SUPERS] == 1,
	      "which counts as the packets it stands for");
	CLAIM(!udp_offload || rig.counters[PORT1_TX_SUPERS] == 1, "sent as one message where it may be");
	CLAIM(rig_is_balanced(rig.counters), "and the sum holds");
	rig_demolish(&rig);
}

/* Datagrams longer than the way out carries in one piece cannot be segments. */
static void degrades(void)
{
	static uint8_t packet[PACKET_ROOM];
	struct shape shape = {.payload = 65507 - 28 - 28};
	struct sockaddr_in peer;
	socklen_t length = sizeof(peer);
	struct vnb_route route;
	struct rig rig;
	int discover = IP_PMTUDISC_DONT;
	size_t size = make_packet(packet, &shape);

	(void)discover;
	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	NEED(getsockname(rig.end[1], (struct sockaddr *)&peer, &length) == 0);
	route = rig_route(ADDRESS(10, 0, 0, 0), 8, &peer);
	NEED(vnb_router_replace(rig.pump.router, &route, 1) == 0);
	rig.pump.buffer_size = 65535;
	rig.settings[SWITCH_BATCH] = 64;
	rig.settings[SWITCH_UDP_OFFLOAD] = ON;
	rig.settings[SWITCH_READINESS] = ON;
	for (unsigned int i = 0; i < 2; i++)
		NEED(send(rig.end[0], packet, size, 0) == (ssize_t)size);
	shape.payload = 4;
	size = make_packet(packet, &shape);
	for (unsigned int i = 0; i < 60; i++)
		NEED(send(rig.end[0], packet, size, 0) == (ssize_t)size);
	rig_start(&rig);
	for (unsigned int i = 0; i < 62; i++)
		CLAIM(rig_get(&rig, 1, packet, sizeof(packet)) > 0, "long and short datagrams all arrive");
	rig_stop(&rig);
	CLAIM(rig_is_balanced(rig.counters), "and are accounted for");
	rig_demolish(&rig);
}

void test_pump_switches(void)
{
	every_combination();
	handicaps();
	promised_calls();
	for (int udp_offload = 0; udp_offload < 2; udp_offload++)
		for (int io = 0; io < 2; io++)
			super_packets(udp_offload, io);
	degrades();
}
