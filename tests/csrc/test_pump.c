/* What a pump does with packets. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipv4.h"
#include "rig.h"

static void refuses_nonsense(void)
{
	struct rig rig;
	struct vnb_pump pump;
	int datagrams = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	pump = rig.pump;
	pump.router = NULL;
	CLAIM(vnb_pump_run(&pump, rig.counters) == -EINVAL, "a UDP port needs routes");
	pump = rig.pump;
	pump.port[1].kind = VNB_PORT_TUN;
	CLAIM(vnb_pump_run(&pump, rig.counters) == -EINVAL, "two tuns have no use for routes");
	pump = rig.pump;
	pump.port[0].kind = VNB_PORT_TAP;
	CLAIM(vnb_pump_run(&pump, rig.counters) == -EINVAL, "a tap cannot be joined to UDP");
	pump = rig.pump;
	pump.port[0] = rig.pump.port[1];
	pump.port[1] = rig.pump.port[0];
	CLAIM(vnb_pump_run(&pump, rig.counters) == -EINVAL, "the tun comes first");
	pump = rig.pump;
	pump.buffer_size = 19;
	CLAIM(vnb_pump_run(&pump, rig.counters) == -EINVAL, "19 bytes hold no packet");
	pump.buffer_size = 65536;
	CLAIM(vnb_pump_run(&pump, rig.counters) == -EINVAL, "no packet has 65536 bytes");
	pump = rig.pump;
	pump.port[1].fd = rig.end[0];
	CLAIM(vnb_pump_run(&pump, rig.counters) == -EINVAL, "a UNIX socket is no UDP socket");
	pump.port[1].fd = datagrams;
	CLAIM(vnb_pump_run(&pump, rig.counters) == -EINVAL, "even one that carries datagrams");
	pump.port[1].fd = -1;
	CLAIM(vnb_pump_run(&pump, rig.counters) == -EBADF, "a closed descriptor is reported");
	pump = rig.pump;
	pump.stop_fd = 9999;
	CLAIM(vnb_pump_run(&pump, rig.counters) == -EBADF, "a missing stop descriptor, too");
	close(datagrams);
	rig_demolish(&rig);

	CLAIM(strcmp(vnb_switch_at(0)->name, "readiness") == 0 && vnb_switch_at(SWITCH_COUNT) == NULL,
	      "switches are listed, up to NULL");
	CLAIM(vnb_counter_name(COUNTER_COUNT) == NULL, "so are counters");
}

/* All packets wait before the pump starts, so every system call can be foretold. */
static void makes_flannels_calls(void)
{
	enum { COUNT = 10 };
	struct rig rig;
	const uint64_t *counters = rig.counters;
	uint8_t packet[BUFFER];
	bool decremented = true;

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	for (unsigned int i = 0; i < COUNT; i++)
		rig_put(&rig, 0, HERE, THERE, 64);
	rig_start(&rig);
	for (unsigned int i = 0; i < COUNT; i++)
		decremented &= rig_get(&rig, 1, packet, sizeof(packet)) == SIZE &&
			       packet[IPV4_TTL] == 63 && test_header_is_sound(packet);
	rig_stop(&rig);
	CLAIM(rig.result == 0, "a stopped pump returns 0");
	CLAIM(decremented, "every packet comes out of the tunnel with one hop less");
	CLAIM(counters[SYSCALL_READ] == COUNT + 1 && counters[EAGAIN_READ] == 1,
	      "the tun is read once a packet, and once for EAGAIN");
	CLAIM(counters[SYSCALL_SENDTO] == COUNT, "each packet costs one sendto");
	CLAIM(counters[SYSCALL_RECVFROM] == COUNT + 1 && counters[EAGAIN_RECVFROM] == COUNT + 1,
	      "and one vain recvfrom");
	CLAIM(counters[SYSCALL_WRITE] == 0, "nothing is written to the tun");
	/* Once before, once after, and now and then for the stop on a machine that is busy. */
	CLAIM(counters[SYSCALL_POLL] < COUNT / 2, "poll() is not called between packets");
	CLAIM(counters[PORT0_RX_PACKETS] == COUNT && counters[PORT0_RX_BYTES] == COUNT * SIZE &&
		      counters[PORT1_TX_PACKETS] == COUNT && counters[PORT1_TX_BYTES] == COUNT * SIZE,
	      "packets and bytes are counted on both ports");
	CLAIM(rig_is_balanced(counters), "what came in went out");
	rig_demolish(&rig);
}

static void carries_both_ways(enum vnb_port_kind first, enum vnb_port_kind second, uint8_t ttl)
{
	struct rig rig;
	uint8_t packet[BUFFER];

	rig_build(&rig, first, second);
	rig_start(&rig);
	rig_put(&rig, 0, HERE, THERE, 64);
	CLAIM(rig_get(&rig, 1, packet, sizeof(packet)) == SIZE && packet[IPV4_TTL] == ttl,
	      "a packet crosses from port 0 to port 1");
	rig_put(&rig, 1, THERE, HERE, 64);
	CLAIM(rig_get(&rig, 0, packet, sizeof(packet)) == SIZE && packet[IPV4_TTL] == ttl,
	      "a packet crosses from port 1 to port 0");
	rig_stop(&rig);
	CLAIM(rig.result == 0 && rig_is_balanced(rig.counters), "and nothing is lost or invented");
	rig_demolish(&rig);
}

static void answers_by_icmp(void)
{
	struct rig rig;
	uint8_t packet[BUFFER];

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig_start(&rig);
	rig_put(&rig, 0, HERE, NOWHERE, 64);
	CLAIM(rig_get(&rig, 0, packet, sizeof(packet)) == 56 && packet[20] == 3,
	      "net-unreachable is written to the tun");
	rig_put(&rig, 0, HERE, THERE, 1);
	CLAIM(rig_get(&rig, 0, packet, sizeof(packet)) == 56 && packet[20] == 11,
	      "so is time-exceeded about a packet from the tun");
	rig_put(&rig, 1, THERE, HERE, 1);
	CLAIM(rig_get(&rig, 1, packet, sizeof(packet)) == 56 && packet[20] == 11,
	      "about a packet from the tunnel it is sent into the tunnel");
	rig_stop(&rig);
	CLAIM(rig.counters[ICMP_NET_UNREACHABLE] == 1 && rig.counters[ICMP_TIME_EXCEEDED] == 2,
	      "the errors are counted");
	CLAIM(rig_is_balanced(rig.counters), "the sum holds with errors in it");
	rig_demolish(&rig);
}

/* A smaller buffer than an ICMP error needs must not matter. */
static void answers_from_a_small_buffer(void)
{
	struct rig rig;
	uint8_t packet[60], answer[BUFFER];

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig.pump.buffer_size = 60;
	rig_start(&rig);
	test_packet(packet, 60, HERE, NOWHERE, 64);
	packet[0] = 0x4d; /* 52 bytes of header: the error is longer than the packet */
	NEED(send(rig.end[0], packet, 60, 0) == 60);
	CLAIM(rig_get(&rig, 0, answer, sizeof(answer)) == 20 + 8 + 60, "an error may outgrow buffer_size");
	rig_stop(&rig);
	rig_demolish(&rig);
}

/* Whether the next thing to come out of the tun is a whole packet that goes in now. */
static bool passes_next(struct rig *rig)
{
	uint8_t packet[BUFFER];

	rig_put(rig, 1, THERE, HERE, 64);
	return rig_get(rig, 0, packet, sizeof(packet)) == SIZE && packet[IPV4_TTL] == 63;
}

static void survives_hostile_datagrams(void)
{
	struct rig rig;
	uint8_t packet[BUFFER];
	uint32_t random = 99;
	unsigned int sent = 0;
	bool only_whole_ones = true;

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig_start(&rig);
	for (size_t size = 0; size < SIZE; size++, sent++) { /* every truncation of a packet */
		test_packet(packet, SIZE, THERE, HERE, 64);
		NEED(send(rig.end[1], packet, size, 0) == (ssize_t)size);
		only_whole_ones &= passes_next(&rig);
	}
	for (unsigned int i = 0; i < 100; i++, sent++) { /* noise */
		size_t size = 1 + test_random(&random) % (BUFFER - 1);

		for (size_t k = 0; k < size; k++)
			packet[k] = (uint8_t)test_random(&random);
		if (i % 2)
			packet[0] = 0x45;
		store16(packet + IPV4_LENGTH, (uint16_t)(size + 1)); /* never a valid one */
		NEED(send(rig.end[1], packet, size, 0) == (ssize_t)size);
		only_whole_ones &= passes_next(&rig);
	}
	rig_stop(&rig);
	CLAIM(only_whole_ones, "between broken datagrams, only whole packets reach the tun");
	CLAIM(rig.counters[DROP_MALFORMED] + rig.counters[DROP_NOT_IP] == sent,
	      "the broken ones are counted");
	CLAIM(rig.result == 0 && rig_is_balanced(rig.counters), "and the sum holds");
	rig_demolish(&rig);
}

static void drops_what_is_too_long(enum vnb_port_kind first, enum vnb_port_kind second)
{
	struct rig rig;
	uint8_t packet[BUFFER + 1];

	rig_build(&rig, first, second);
	rig_start(&rig);
	for (unsigned int port = 0; port < 2; port++) {
		test_packet(packet, BUFFER + 1, HERE, THERE, 64);
		NEED(send(rig.end[port], packet, BUFFER + 1, 0) == BUFFER + 1);
		test_packet(packet, BUFFER, HERE, THERE, 64);
		NEED(send(rig.end[port], packet, BUFFER, 0) == BUFFER);
		CLAIM(rig_get(&rig, !port, packet, sizeof(packet)) == BUFFER,
		      "buffer_size bytes are carried, one more is not");
	}
	rig_stop(&rig);
	CLAIM(rig.counters[DROP_TRUNCATED] == 2, "the longer ones are counted as truncated");
	rig_demolish(&rig);
}

void test_pump(void)
{
	refuses_nonsense();
	makes_flannels_calls();
	carries_both_ways(VNB_PORT_TUN, VNB_PORT_UDP, 63);
	carries_both_ways(VNB_PORT_TUN, VNB_PORT_TUN, 63);
	carries_both_ways(VNB_PORT_TAP, VNB_PORT_TAP, 64);
	answers_by_icmp();
	answers_from_a_small_buffer();
	survives_hostile_datagrams();
	drops_what_is_too_long(VNB_PORT_TUN, VNB_PORT_TUN);
	drops_what_is_too_long(VNB_PORT_TUN, VNB_PORT_UDP);
	drops_what_is_too_long(VNB_PORT_TAP, VNB_PORT_TAP);
}
