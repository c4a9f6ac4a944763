/* What each switch does to the system calls. All packets wait before the pump starts. */
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

enum { COUNT = 40, BATCH = 8 };

/* Carry COUNT packets from port `from` to the other in one go. */
static void carry(struct rig *rig, unsigned int from)
{
	bool all = true;

	for (unsigned int i = 0; i < COUNT; i++)
		rig_put_number(rig, from, SIZE, (uint16_t)i);
	rig_start(rig);
	for (unsigned int i = 0; i < COUNT; i++)
		all &= rig_get_number(rig, !from, SIZE, (uint16_t)i, 63);
	rig_stop(rig);
	CLAIM(all && rig->result == 0 && rig_is_balanced(rig->counters), "all packets are carried");
}

static void asks_only_what_is_ready(void)
{
	struct rig rig;
	const uint64_t *counters = rig.counters;

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig.settings[SWITCH_READINESS] = 1;
	carry(&rig, 0);
	CLAIM(counters[SYSCALL_RECVFROM] == 0, "a socket that has nothing is never asked");
	CLAIM(counters[SYSCALL_READ] == COUNT + counters[EAGAIN_READ] && counters[EAGAIN_READ] <= 1,
	      "the tun is asked in vain once, when it has run dry");
	CLAIM(counters[SYSCALL_SENDTO] == COUNT, "each packet costs one sendto");
	rig_demolish(&rig);

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig.settings[SWITCH_READINESS] = 1;
	carry(&rig, 1);
	CLAIM(counters[SYSCALL_READ] == 0, "nor is a tun that has nothing");
	CLAIM(counters[SYSCALL_RECVFROM] == COUNT + counters[EAGAIN_RECVFROM] &&
		      counters[EAGAIN_RECVFROM] <= 1,
	      "and the socket is asked in vain once");
	rig_demolish(&rig);
}

static void moves_batches(void)
{
	struct rig rig;
	const uint64_t *counters = rig.counters;

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig.settings[SWITCH_BATCH] = BATCH;
	rig.settings[SWITCH_READINESS] = 1;
	carry(&rig, 0);
	CLAIM(counters[SYSCALL_SENDMMSG] == COUNT / BATCH && counters[SYSCALL_SENDTO] == 0,
	      "a batch from the tun is one sendmmsg");
	CLAIM(counters[PORT1_TX_SUPERS] == 0, "of datagrams");
	rig_demolish(&rig);

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig.settings[SWITCH_BATCH] = BATCH;
	carry(&rig, 1);
	CLAIM(counters[SYSCALL_RECVMMSG] - counters[EAGAIN_RECVMMSG] == COUNT / BATCH &&
		      counters[SYSCALL_RECVFROM] == 0,
	      "a batch from the socket is one recvmmsg");
	CLAIM(counters[SYSCALL_WRITE] == COUNT, "but a tun takes one packet a write");
	rig_demolish(&rig);
}

static void sends_segments(void)
{
	struct rig rig;
	const uint64_t *counters = rig.counters;

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig.settings[SWITCH_BATCH] = BATCH;
	rig.settings[SWITCH_UDP_OFFLOAD] = 1;
	rig.settings[SWITCH_READINESS] = 1;
	carry(&rig, 0);
	CLAIM(counters[SYSCALL_SENDMMSG] == COUNT / BATCH && counters[PORT1_TX_SUPERS] == COUNT / BATCH,
	      "packets of one size to one peer are one message");
	CLAIM(counters[PORT1_TX_PACKETS] == COUNT && counters[PORT1_TX_BYTES] == COUNT * SIZE,
	      "each datagram of it is counted");
	CLAIM(counters[REFUSED_UDP_SEGMENT] == 0, "and the loopback refuses none");
	rig_demolish(&rig);
}

/* The sender says UDP_SEGMENT; the loopback leaves such a buffer whole for those who take it. */
static void receives_joined_datagrams(int64_t io, int64_t batch)
{
	struct rig rig;
	const uint64_t *counters = rig.counters;
	uint8_t packets[COUNT * SIZE];
	int size = SIZE;
	bool all = true;

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig.settings[SWITCH_UDP_OFFLOAD] = 1;
	rig.settings[SWITCH_READINESS] = 1;
	rig.settings[SWITCH_BATCH] = batch;
	rig.settings[SWITCH_IO] = io;
	for (unsigned int i = 0; i < COUNT; i++)
		rig_number(packets + (size_t)i * SIZE, SIZE, (uint16_t)i, 64);
	rig_start(&rig);
	rig_put_number(&rig, 1, SIZE, 0); /* when it is through, the socket is in its mode */
	all &= rig_get_number(&rig, 0, SIZE, 0, 63);
	NEED(setsockopt(rig.end[1], SOL_UDP, UDP_SEGMENT, &size, sizeof(size)) == 0);
	NEED(send(rig.end[1], packets, sizeof(packets), 0) == sizeof(packets));
	for (unsigned int i = 0; i < COUNT; i++)
		all &= rig_get_number(&rig, 0, SIZE, (uint16_t)i, 63);
	rig_stop(&rig);
	CLAIM(all && rig_is_balanced(counters), "datagrams that came as one go on one by one");
	CLAIM(counters[PORT1_RX_SUPERS] == 1 && counters[PORT1_RX_PACKETS] == COUNT + 1 &&
		      counters[PORT1_RX_BYTES] == (COUNT + 1) * SIZE,
	      "one reception brought them all");
	rig_demolish(&rig);
}

static void enters_the_ring_only(int64_t batch)
{
	static const enum counter others[] = {SYSCALL_READ,    SYSCALL_WRITE,    SYSCALL_WRITEV,
					      SYSCALL_RECVFROM, SYSCALL_RECVMSG, SYSCALL_RECVMMSG,
					      SYSCALL_SENDTO,  SYSCALL_SENDMSG,  SYSCALL_SENDMMSG};
	struct rig rig;
	uint64_t sum = 0;

	for (unsigned int from = 0; from < 2; from++) {
		rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
		rig.settings[SWITCH_READINESS] = 1;
		rig.settings[SWITCH_BATCH] = batch;
		rig.settings[SWITCH_IO] = IO_URING;
		carry(&rig, from);
		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			sum += rig.counters[others[i]];
		CLAIM(sum == 0, "io_uring makes none of the other calls");
		CLAIM(rig.counters[SYSCALL_IO_URING_ENTER] >= COUNT / (uint64_t)batch,
		      "each batch is sent by one call");
		/* Buffers run out twice a batch at the earliest, and then a request is made anew. */
		CLAIM(rig.counters[SYSCALL_IO_URING_ENTER] <= 4 * COUNT / (uint64_t)batch + 4,
		      "and few calls are needed to receive");
		rig_demolish(&rig);
	}
}

/* Run the pump until it has counted so many of its calls, or so long. */
static void run_until(struct rig *rig, enum counter counter, uint64_t count, int most_ms)
{
	volatile uint64_t *counted = &rig->counters[counter];
	double begin = test_now();

	rig_start(rig);
	while (*counted < count && test_now() - begin < most_ms / 1000.0)
		usleep(100);
	rig_stop(rig);
}

static void waits_as_it_is_told(void)
{
	enum { IDLE_MS = 30 };
	struct rig rig;

	for (int64_t wait = WAIT_BLOCK; wait <= WAIT_SPIN; wait++) {
		rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
		rig.settings[SWITCH_READINESS] = 1;
		rig.settings[SWITCH_WAIT] = wait;
		run_until(&rig, SYSCALL_POLL, 5, wait == WAIT_BLOCK ? IDLE_MS : LOST_AFTER_MS);
		CLAIM((rig.counters[SYSCALL_POLL] < 5) == (wait == WAIT_BLOCK),
		      "a pump that blocks sleeps in one poll(), one that spins goes on asking");
		CLAIM(rig.counters[SYSCALL_SCHED_YIELD] == 0, "and neither yields");
		rig_demolish(&rig);
	}
	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig.settings[SWITCH_LINGER] = 1000;
	run_until(&rig, SYSCALL_SCHED_YIELD, 1, LOST_AFTER_MS);
	CLAIM(rig.counters[SYSCALL_SCHED_YIELD] > 0, "one that lingers yields between two looks");
	CLAIM(rig.counters[SYSCALL_POLL] > rig.counters[SYSCALL_SCHED_YIELD], "and asks before each");
	rig_demolish(&rig);
}

static void suffers_its_handicaps(int64_t k)
{
	struct rig rig;
	const uint64_t *counters = rig.counters;
	uint64_t units = (uint64_t)k * COUNT;

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig.settings[SWITCH_HOT_COPIES] = k;
	rig.settings[SWITCH_COLD_COPIES] = k;
	rig.settings[SWITCH_NULL_CALLS] = k;
	rig.settings[SWITCH_HANDOFFS] = k;
	carry(&rig, 0);
	CLAIM(counters[COPY_HOT] == units && counters[COPY_COLD] == units, "k copies a packet are made");
	CLAIM(counters[SYSCALL_GETPPID] == units, "k null calls");
	/* Of each thread a write, a poll and a read; at the end the other one is told to go. */
	CLAIM(counters[SYSCALL_POLL] >= 2 * units + 1 && counters[SYSCALL_READ] >= 2 * units + 1,
	      "k hand-offs, each with a sleep there and one here");
	rig_demolish(&rig);
}

/* Both threads count: who asked for itself and for what the other does, which counts its turns. */
static void hands_off_and_takes_turns(int64_t k, int64_t yields)
{
	struct rig rig;
	const uint64_t *counters = rig.counters;
	uint64_t units = (uint64_t)k * COUNT;

	/* From the tun to the socket, so that of the pump's own calls none is a write. */
	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig.settings[SWITCH_READINESS] = 1;
	rig.settings[SWITCH_HANDOFFS] = k;
	rig.settings[SWITCH_YIELDS] = yields;
	carry(&rig, 0);
	CLAIM(counters[HANDOFF] == units, "k hand-offs a packet are made");
	CLAIM(counters[SYSCALL_WRITE] == 2 * units + (k > 0),
	      "each asks and answers once, and at the end one thread is told to go");
	CLAIM(counters[SYSCALL_READ] == 2 * units + (k > 0) + COUNT + counters[EAGAIN_READ],
	      "each of which is read, besides the packets");
	CLAIM(counters[SYSCALL_SCHED_YIELD] >= units * (uint64_t)yields,
	      "who asks takes all of its turns");
	CLAIM(yields > 0 || counters[SYSCALL_SCHED_YIELD] == 0, "and without turns nobody yields");
	CLAIM(counters[EAGAIN_SCHED_YIELD] == 0, "no turn is in vain");
	rig_demolish(&rig);
}

/* What is cut short fills its buffer to the last byte, which a copy must have room for. */
static void suffers_what_is_too_long(void)
{
	struct rig rig;
	uint8_t packet[2 * BUFFER];

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_TUN);
	rig.settings[SWITCH_HOT_COPIES] = 1;
	rig_start(&rig);
	test_packet(packet, sizeof(packet), HERE, THERE, 64);
	NEED(send(rig.end[0], packet, sizeof(packet), 0) == sizeof(packet));
	rig_put_number(&rig, 0, SIZE, 1);
	CLAIM(rig_get_number(&rig, 1, SIZE, 1, 63), "the next one passes");
	rig_stop(&rig);
	CLAIM(rig.counters[COPY_HOT] == 2 && rig.counters[DROP_TRUNCATED] == 1,
	      "a packet that is too long is copied, then dropped");
	rig_demolish(&rig);
}

static void makes_its_trips_and_asks_in_vain(int64_t k)
{
	struct rig rig;
	const uint64_t *counters = rig.counters;
	uint64_t units = (uint64_t)k * COUNT;

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_TUN);
	rig.settings[SWITCH_UDP_TRIPS] = k;
	rig.settings[SWITCH_VAIN_RECEIVES] = k;
	carry(&rig, 0);
	CLAIM(counters[TRIP_UDP] == units && counters[TRIP_LOST] == 0, "k trips a packet are made");
	CLAIM(counters[SYSCALL_SENDTO] == units + 1, "each is sent once, and one before the first packet");
	CLAIM(counters[SYSCALL_RECVFROM] - counters[EAGAIN_RECVFROM] == units + 1, "and received once");
	/* A trip whose datagram is not there at once has asked in vain, too. */
	CLAIM(counters[EAGAIN_RECVFROM] >= units && counters[EAGAIN_RECVFROM] <= 2 * units + 1,
	      "k receives a packet are in vain");
	rig_demolish(&rig);
}

static void clips_what_no_datagram_holds(void)
{
	static uint8_t packet[65535];
	struct rig rig;

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_TUN);
	rig.settings[SWITCH_UDP_TRIPS] = 1;
	rig.pump.buffer_size = sizeof(packet);
	rig_start(&rig);
	test_packet(packet, sizeof(packet), HERE, THERE, 64);
	NEED(send(rig.end[0], packet, sizeof(packet), 0) == sizeof(packet));
	CLAIM(rig_get(&rig, 1, packet, sizeof(packet)) == sizeof(packet), "the packet itself is whole");
	rig_stop(&rig);
	CLAIM(rig.counters[TRIP_UDP] == 1 && rig.counters[TRIP_LOST] == 0,
	      "as much of a packet makes the trip as a datagram holds");
	rig_demolish(&rig);
}

static bool carries_another(struct rig *rig, unsigned int number)
{
	rig_put_number(rig, 0, SIZE, (uint16_t)number);
	return rig_get_number(rig, 1, SIZE, (uint16_t)number, 63);
}

static void goes_on_when_trips_are_lost(void)
{
	enum { TRIPS = 64 };
	struct rig rig;
	bool all;
	double begin, took;

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_TUN);
	rig.settings[SWITCH_UDP_TRIPS] = TRIPS;
	rig_start(&rig);
	all = carries_another(&rig, 0); /* when it is through, the sockets are there */
	CLAIM(rig_deafen(true) == 2, "there are two sockets");
	begin = test_now();
	for (unsigned int i = 1; i <= COUNT; i++)
		all &= carries_another(&rig, i);
	took = test_now() - begin;
	rig_deafen(false);
	all &= carries_another(&rig, COUNT + 1);
	rig_stop(&rig);
	CLAIM(all && rig.result == 0, "a pump whose trips are lost goes on");
	CLAIM(rig.counters[TRIP_LOST] == TRIPS * COUNT, "each that is lost is counted");
	CLAIM(rig.counters[TRIP_UDP] == 2 * TRIPS, "and those before and after are made");
	/* If it waited for each, it would take 10 ms for every one: 25 s. */
	CLAIM(took < 5, "and it does not wait for every one");
	rig_demolish(&rig);
}

void test_pump_calls(void)
{
	int64_t last_io = rig_last_io();

	asks_only_what_is_ready();
	moves_batches();
	sends_segments();
	for (int64_t io = IO_SYSCALL; io <= last_io; io++) {
		receives_joined_datagrams(io, 1);
		receives_joined_datagrams(io, BATCH);
	}
	if (last_io == IO_URING) {
		enters_the_ring_only(1);
		enters_the_ring_only(BATCH);
	}
	waits_as_it_is_told();
	suffers_its_handicaps(1);
	suffers_its_handicaps(3);
	hands_off_and_takes_turns(1, 0);
	hands_off_and_takes_turns(3, 0);
	hands_off_and_takes_turns(1, 2);
	hands_off_and_takes_turns(2, 64);
	hands_off_and_takes_turns(0, 2);
	suffers_what_is_too_long();
	makes_its_trips_and_asks_in_vain(1);
	makes_its_trips_and_asks_in_vain(3);
	clips_what_no_datagram_holds();
	goes_on_when_trips_are_lost();
}
