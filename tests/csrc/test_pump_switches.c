/* A pump carries the same packets, whatever its switches. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

enum { PACKETS = 200, AT_ONCE = 25, MANY = 3000 };

/* Whether nobody has to have more than the default to set SO_BUSY_POLL, as only root does. */
static bool may_poll_busily(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), microseconds = 50;
	bool may = setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &microseconds, sizeof(microseconds)) == 0;

	close(fd);
	return may;
}

/* From the shortest packet to the longest, in no order. */
static size_t size_of(unsigned int number)
{
	return 28 + number * 977 % (BUFFER - 27);
}

static void describe(const struct rig *rig, char *text, size_t room)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < SWITCH_COUNT && used < room; i++)
		if (rig->settings[i] != vnb_switch_at(i)->initial)
			used += (size_t)snprintf(text + used, room - used, "%s=%lld ", vnb_switch_at(i)->name,
						 (long long)rig->settings[i]);
}

/* A claim about one combination of switches. */
static void claim_of(const struct rig *rig, bool holds, const char *claim)
{
	char switches[200], text[300];

	describe(rig, switches, sizeof(switches));
	snprintf(text, sizeof(text), "%s[%s]", claim, switches);
	CLAIM(holds, text);
}

static void carries_everything(struct rig *rig)
{
	uint8_t ttl = rig->pump.port[0].kind == VNB_PORT_TAP ? 64 : 63;
	bool unchanged = true;
	double begin;

	rig_start(rig);
	for (unsigned int i = 0; i < PACKETS && unchanged; i += AT_ONCE) {
		for (unsigned int k = i; k < i + AT_ONCE; k++)
			for (unsigned int port = 0; port < 2; port++)
				rig_put_number(rig, port, size_of(k), (uint16_t)k);
		for (unsigned int k = i; k < i + AT_ONCE; k++)
			for (unsigned int port = 0; port < 2; port++)
				unchanged &= rig_get_number(rig, port, size_of(k), (uint16_t)k, ttl);
	}
	begin = test_now();
	rig_stop(rig);
	claim_of(rig, unchanged, "packets cross both ways in order and unchanged but for the TTL ");
	claim_of(rig, test_now() - begin < 0.5, "the pump stops at once ");
	claim_of(rig, rig->result == 0 && rig_is_balanced(rig->counters), "and in good order ");
	claim_of(rig,
		 rig->counters[PORT0_RX_PACKETS] == PACKETS && rig->counters[PORT1_TX_PACKETS] == PACKETS &&
			 rig->counters[PORT1_RX_PACKETS] == PACKETS &&
			 rig->counters[PORT0_TX_PACKETS] == PACKETS,
		 "each packet is counted once on either side ");
}

/* Every combination of the switches that C looks at and that need no device of their own. */
static unsigned int carries_with_every_switch(enum vnb_port_kind first, enum vnb_port_kind second)
{
	static const struct choice {
		enum pump_switch index;
		unsigned int count;
		int64_t values[3];
	} choices[] = {
		{SWITCH_READINESS, 2, {0, 1}}, {SWITCH_BATCH, 3, {1, 8, 64}},
		{SWITCH_UDP_OFFLOAD, 2, {0, 1}}, {SWITCH_WAIT, 3, {WAIT_BLOCK, WAIT_SPIN, WAIT_BUSY}},
		{SWITCH_LINGER, 2, {0, 50}}, {SWITCH_IO, 2, {IO_SYSCALL, IO_URING}},
	};
	bool may_poll = may_poll_busily();
	int64_t last_io = rig_last_io();
	unsigned int total = 1, tried = 0;

	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		total *= choices[i].count;
	for (unsigned int combination = 0; combination < total; combination++) {
		unsigned int rest = combination;
		struct rig rig;

		rig_build(&rig, first, second);
		for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
			rig.settings[choices[i].index] = choices[i].values[rest % choices[i].count];
			rest /= choices[i].count;
		}
		if (!vnb_pump_refusal(&rig.pump) && rig.settings[SWITCH_IO] <= last_io &&
		    (may_poll || rig.settings[SWITCH_WAIT] != WAIT_BUSY)) {
			carries_everything(&rig);
			tried++;
		}
		rig_demolish(&rig);
	}
	return tried;
}

static void gives_a_reason_for_what_it_refuses(void)
{
	static const struct {
		enum vnb_port_kind second;
		enum pump_switch index[2];
		int64_t value[2];
		const char *reason; /* a word of it */
	} refused[] = {
		{VNB_PORT_TAP, {SWITCH_BATCH, SWITCH_BATCH}, {1, 1}, "two tuns"},
		{VNB_PORT_UDP, {SWITCH_IO, SWITCH_READINESS}, {IO_URING, 0}, "readiness=on"},
		{VNB_PORT_UDP, {SWITCH_WAIT, SWITCH_LINGER}, {WAIT_SPIN, 1}, "linger"},
		{VNB_PORT_TUN, {SWITCH_UDP_OFFLOAD, SWITCH_BATCH}, {1, 1}, "udp_offload"},
		{VNB_PORT_TUN, {SWITCH_WAIT, SWITCH_BATCH}, {WAIT_BUSY, 1}, "wait=busy"},
	};
	struct rig rig;
	const char *reason;

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		rig_build(&rig, VNB_PORT_TUN, refused[i].second);
		for (unsigned int k = 0; k < 2; k++)
			rig.settings[refused[i].index[k]] = refused[i].value[k];
		reason = vnb_pump_refusal(&rig.pump);
		CLAIM(reason && strstr(reason, refused[i].reason), "a refusal names what is in the way");
		rig_demolish(&rig);
	}
	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig.settings[SWITCH_IO] = IO_URING;
	rig.settings[SWITCH_READINESS] = 1;
	rig.settings[SWITCH_WAIT] = WAIT_BUSY;
	reason = vnb_pump_refusal(&rig.pump);
	CLAIM(reason && strstr(reason, "wait=busy"), "io_uring has no use for busy polling");
	rig_demolish(&rig);
}

/* ---- full queues ---------------------------------------------------------------------------- */

struct flood {
	struct rig *rig;
	unsigned int count;
};

static void *flood(void *argument)
{
	struct flood *flood = argument;

	for (unsigned int i = 0; i < flood->count; i++)
		rig_put_number(flood->rig, 0, SIZE, (uint16_t)i);
	return NULL;
}

/* The reader is slower than the pump, so what the pump writes to is full again and again. */
static void keeps_the_order_before_a_full_queue(int64_t io, unsigned int batch)
{
	struct rig rig;
	struct flood all = {&rig, MANY};
	pthread_t thread;
	bool in_order = true;
	int least = 1;

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_TUN);
	rig.settings[SWITCH_READINESS] = 1;
	rig.settings[SWITCH_BATCH] = batch;
	rig.settings[SWITCH_IO] = io;
	NEED(setsockopt(rig.pump.port[1].fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)) == 0);
	rig_start(&rig);
	NEED(pthread_create(&thread, NULL, flood, &all) == 0);
	for (unsigned int i = 0; i < MANY && in_order; i++)
		in_order = rig_get_number(&rig, 1, SIZE, (uint16_t)i, 63);
	claim_of(&rig, in_order, "a queue that fills up changes no order and loses nothing ");
	if (!in_order) /* let the flood go on to its end */
		while (recv(rig.end[1], &least, sizeof(least), MSG_DONTWAIT) >= 0)
			usleep(10);
	NEED(pthread_join(thread, NULL) == 0);
	rig_stop(&rig);
	rig_demolish(&rig);
}

static void gives_up_a_full_queue_when_told(enum vnb_port_kind kind, int64_t io, unsigned int batch)
{
	struct rig rig;
	uint8_t packet[SIZE];
	uint64_t received = 0, delivered = 0;
	unsigned int idle = 0;
	double begin;

	rig_build(&rig, kind, kind);
	rig.settings[SWITCH_READINESS] = 1;
	rig.settings[SWITCH_BATCH] = batch;
	rig.settings[SWITCH_IO] = io;
	rig_start(&rig);
	test_packet(packet, SIZE, HERE, THERE, 64);
	/* Nobody takes what the pump writes: at last everything is full, the pump's hands too. */
	while (idle < 50 || (idle < 5000 && received == delivered)) {
		received = __atomic_load_n(&rig.counters[PORT0_RX_PACKETS], __ATOMIC_RELAXED);
		delivered = __atomic_load_n(&rig.counters[PORT1_TX_PACKETS], __ATOMIC_RELAXED);
		if (send(rig.end[0], packet, SIZE, MSG_DONTWAIT) == SIZE)
			idle = 0;
		else
			idle++, usleep(1000);
	}
	begin = test_now();
	rig_stop(&rig);
	claim_of(&rig, test_now() - begin < 0.5, "a full queue does not keep the pump from stopping ");
	claim_of(&rig, rig.counters[DROP_STOPPED] > 0 && rig_is_balanced(rig.counters),
		 "what it could not deliver is counted ");
	claim_of(&rig, rig.result == 0, "and it ends in good order ");
	rig_demolish(&rig);
}

/* ---- routes and trust ----------------------------------------------------------------------- */

struct changer {
	struct rig *rig;
	struct vnb_route routes[2];
	bool *done;
	unsigned int changes;
};

static void *change_routes(void *argument)
{
	struct changer *changer = argument;

	while (!__atomic_load_n(changer->done, __ATOMIC_RELAXED)) {
		NEED(vnb_router_replace(changer->rig->pump.router, changer->routes,
					1 + changer->changes % 2) == 0);
		__atomic_fetch_add(&changer->changes, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void changes_routes_without_loss(int64_t io, int64_t udp_offload)
{
	struct rig rig;
	bool done = false, unchanged = true;
	struct changer changer = {.rig = &rig, .done = &done};
	struct sockaddr_in peer;
	socklen_t length = sizeof(peer);
	pthread_t thread;

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig.settings[SWITCH_READINESS] = 1;
	rig.settings[SWITCH_BATCH] = 8;
	rig.settings[SWITCH_UDP_OFFLOAD] = udp_offload;
	rig.settings[SWITCH_IO] = io;
	NEED(getsockname(rig.end[1], (struct sockaddr *)&peer, &length) == 0);
	changer.routes[0] = rig_route(ADDRESS(10, 244, 2, 0), 24, &peer);
	changer.routes[1] = rig_route(THERE, 32, &peer);
	rig_start(&rig);
	NEED(pthread_create(&thread, NULL, change_routes, &changer) == 0);
	/* On until the routes were replaced meanwhile, however late that thread gets a CPU. */
	for (unsigned int i = 0; unchanged && i < 100 * MANY &&
				 (i < MANY || __atomic_load_n(&changer.changes, __ATOMIC_RELAXED) < 2);
	     i += AT_ONCE) {
		for (unsigned int k = i; k < i + AT_ONCE; k++)
			rig_put_number(&rig, 0, SIZE, (uint16_t)k);
		for (unsigned int k = i; k < i + AT_ONCE; k++)
			unchanged &= rig_get_number(&rig, 1, SIZE, (uint16_t)k, 63);
	}
	__atomic_store_n(&done, true, __ATOMIC_RELAXED);
	NEED(pthread_join(thread, NULL) == 0);
	rig_stop(&rig);
	claim_of(&rig, unchanged && changer.changes > 1,
		 "packets go on while routes are replaced, none is lost ");
	claim_of(&rig, rig.counters[DROP_NO_ROUTE] == 0 && rig_is_balanced(rig.counters),
		 "and none is without a route ");
	rig_demolish(&rig);
}

static void send_to(int fd, int pump, uint32_t source)
{
	struct sockaddr_in to;
	socklen_t length = sizeof(to);
	uint8_t packet[SIZE];

	test_packet(packet, SIZE, source, HERE, 64);
	NEED(getsockname(pump, (struct sockaddr *)&to, &length) == 0);
	NEED(sendto(fd, packet, SIZE, 0, (struct sockaddr *)&to, length) == SIZE);
}

/* A stranger's packet, a peer's with a source that is not its own, and an honest one, in this order. */
static void trusts(int64_t trust, int64_t io, int64_t batch)
{
	struct rig rig;
	struct sockaddr_in address;
	uint8_t packet[BUFFER];
	int stranger = rig_udp_socket(&address);
	unsigned int passed = 0;

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig.settings[SWITCH_TRUST] = trust;
	rig.settings[SWITCH_READINESS] = 1;
	rig.settings[SWITCH_IO] = io;
	rig.settings[SWITCH_BATCH] = batch;
	send_to(stranger, rig.pump.port[1].fd, THERE);
	send_to(rig.end[1], rig.pump.port[1].fd, NOWHERE);
	send_to(rig.end[1], rig.pump.port[1].fd, THERE);
	rig_start(&rig);
	while (passed < 3 - (unsigned int)trust &&
	       rig_get(&rig, 0, packet, sizeof(packet)) == SIZE)
		passed++;
	rig_stop(&rig);
	claim_of(&rig, passed == 3 - (unsigned int)trust && rig.counters[PORT0_TX_PACKETS] == passed,
		 "as many packets pass as are trusted ");
	claim_of(&rig, rig.counters[DROP_UNKNOWN_PEER] == (trust >= 1), "a stranger's is counted ");
	claim_of(&rig, rig.counters[DROP_SPOOFED_SOURCE] == (trust == 2), "a forged one, too ");
	claim_of(&rig, rig_is_balanced(rig.counters), "and the sum holds ");
	close(stranger);
	rig_demolish(&rig);
}

void test_pump_switches(void)
{
	static const int64_t batches[] = {1, 8, 64};
	int64_t last_io = rig_last_io();

	if (last_io != IO_URING)
		printf("io_uring is not to be had here, so it is not tested\n");
	CLAIM(carries_with_every_switch(VNB_PORT_TUN, VNB_PORT_UDP) >= 50, "most combinations go together");
	CLAIM(carries_with_every_switch(VNB_PORT_TUN, VNB_PORT_TUN) >= 15, "between two tuns, too");
	CLAIM(carries_with_every_switch(VNB_PORT_TAP, VNB_PORT_TAP) >= 15, "and between two taps");
	gives_a_reason_for_what_it_refuses();
	for (unsigned int i = 0; i < 3; i++) {
		for (int64_t io = IO_SYSCALL; io <= last_io; io++) {
			keeps_the_order_before_a_full_queue(io, (unsigned int)batches[i]);
			gives_up_a_full_queue_when_told(VNB_PORT_TUN, io, (unsigned int)batches[i]);
			for (int64_t trust = 0; trust < 3; trust++)
				trusts(trust, io, batches[i]);
		}
	}
	for (int64_t offload = 0; offload < 2; offload++)
		for (int64_t io = IO_SYSCALL; io <= last_io; io++)
			changes_routes_without_loss(io, offload);
}
