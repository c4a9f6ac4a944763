/* Trips through a tun of the pump's own, each test in a network namespace that nobody else uses. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

enum { COUNT = 40, PUMPS = 3, STRANGERS = 8 };

#define IN_THE_TUN ADDRESS(198, 19, 255, 2)

static bool carries(struct rig *rig, unsigned int number)
{
	rig_put_number(rig, 0, SIZE, (uint16_t)number);
	return rig_get_number(rig, 1, SIZE, (uint16_t)number, 63);
}

static void build(struct rig *rig, int64_t trips)
{
	rig_build(rig, VNB_PORT_TUN, VNB_PORT_TUN);
	rig->settings[SWITCH_TUN_TRIPS] = trips;
}

static void makes_its_trips(int64_t k, int64_t io)
{
	struct rig rig;
	const uint64_t *counters = rig.counters;
	uint64_t trips = (uint64_t)k * COUNT;
	uint64_t sent = trips + 1; /* one before the first packet */
	uint64_t moved = io == IO_URING ? 0 : COUNT;
	bool all = true;

	build(&rig, k);
	rig.settings[SWITCH_IO] = io;
	rig.settings[SWITCH_READINESS] = io;
	rig_start(&rig);
	for (unsigned int i = 0; i < COUNT; i++)
		all &= carries(&rig, i);
	CLAIM(if_nametoindex("vnbtrip0") != 0, "a pump has a tun of its own for its trips");
	rig_stop(&rig);
	CLAIM(all && rig.result == 0 && rig_is_balanced(counters), "all packets are carried");
	CLAIM(if_nametoindex("vnbtrip0") == 0, "which goes with the pump");
	CLAIM(counters[TRIP_TUN] == trips && counters[TRIP_LOST] == 0, "k trips a packet are made");
	CLAIM(counters[SYSCALL_SENDTO] == sent && counters[SYSCALL_WRITE] == sent + moved,
	      "each is sent from a socket and written to the tun once");
	CLAIM(counters[SYSCALL_READ] - counters[EAGAIN_READ] == sent + moved,
	      "is read from the tun once: nobody else sends into it");
	CLAIM(counters[SYSCALL_RECVFROM] - counters[EAGAIN_RECVFROM] == sent, "and received once");
	rig_demolish(&rig);
}

static void clips_what_no_datagram_holds(void)
{
	static uint8_t packet[65535];
	struct rig rig;

	build(&rig, 1);
	rig.pump.buffer_size = sizeof(packet);
	rig_start(&rig);
	test_packet(packet, sizeof(packet), HERE, THERE, 64);
	NEED(send(rig.end[0], packet, sizeof(packet), 0) == sizeof(packet));
	CLAIM(rig_get(&rig, 1, packet, sizeof(packet)) == sizeof(packet), "the packet itself is whole");
	rig_stop(&rig);
	CLAIM(rig.counters[TRIP_TUN] == 1 && rig.counters[TRIP_LOST] == 0,
	      "as much of a packet makes the trip as a datagram holds");
	CLAIM(rig.counters[SYSCALL_READ] - rig.counters[EAGAIN_READ] == 3, "in one piece");
	rig_demolish(&rig);
}

static void each_has_its_own(void)
{
	struct rig rigs[PUMPS];
	bool all = true;

	for (int i = 0; i < PUMPS; i++) {
		build(&rigs[i], 2);
		rig_start(&rigs[i]);
	}
	for (unsigned int i = 0; i < COUNT; i++)
		for (int j = 0; j < PUMPS; j++)
			all &= carries(&rigs[j], i);
	CLAIM(all, "several pumps in one namespace make their trips at once");
	for (int i = 0; i < PUMPS; i++) {
		char name[IFNAMSIZ];

		snprintf(name, sizeof(name), "vnbtrip%d", i);
		CLAIM(if_nametoindex(name) != 0, "each through a tun of its own");
	}
	for (int i = 0; i < PUMPS; i++) {
		rig_stop(&rigs[i]);
		CLAIM(rigs[i].result == 0 && rigs[i].counters[TRIP_TUN] == 2 * COUNT &&
			      rigs[i].counters[TRIP_LOST] == 0,
		      "and none of the trips is lost");
		rig_demolish(&rigs[i]);
	}
}

static void put_strangers(unsigned int count)
{
	const struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(IN_THE_TUN),
	};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (unsigned int i = 0; i < count; i++)
		NEED(sendto(fd, "mine", 4, 0, (const struct sockaddr *)&to, sizeof(to)) == 4);
	close(fd);
}

static void passes_over_what_others_send(void)
{
	struct rig rig;
	uint64_t reads;

	build(&rig, 1);
	rig_start(&rig);
	CLAIM(carries(&rig, 0), "one packet is carried"); /* when it is through, the tun is there */
	put_strangers(STRANGERS);
	CLAIM(carries(&rig, 1), "another, after others have sent into the tun");
	put_strangers(3 * STRANGERS);
	for (unsigned int i = 2; i < COUNT; i++)
		CLAIM(carries(&rig, i), "or have sent a lot");
	rig_stop(&rig);
	CLAIM(rig.result == 0 && rig.counters[TRIP_TUN] + rig.counters[TRIP_LOST] == COUNT,
	      "the pump goes on");
	CLAIM(rig.counters[TRIP_LOST] >= 1 && rig.counters[TRIP_LOST] <= 3,
	      "a trip is lost only where too many were in its way");
	reads = rig.counters[SYSCALL_READ] - rig.counters[EAGAIN_READ];
	/* Of each lost trip the packet is read as well, by the next one. What is then left over stays. */
	CLAIM(reads >= 2 * COUNT + 4 * STRANGERS - 2, "and all of theirs are taken out of the way");
	rig_demolish(&rig);
}

static void turn(const char *device, bool up)
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(request.ifr_name, device);
	NEED(ioctl(fd, SIOCGIFFLAGS, &request) == 0);
	request.ifr_flags = (short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
	NEED(ioctl(fd, SIOCSIFFLAGS, &request) == 0);
	close(fd);
}

static void goes_on_when_trips_are_lost(void)
{
	enum { TRIPS = 64 };
	struct rig rig;
	bool all;
	double begin, took;

	build(&rig, TRIPS);
	rig_start(&rig);
	all = carries(&rig, 0);
	CLAIM(rig_deafen(true) == 1, "there is one socket");
	begin = test_now();
	for (unsigned int i = 1; i <= COUNT; i++)
		all &= carries(&rig, i);
	took = test_now() - begin;
	rig_deafen(false);
	all &= carries(&rig, COUNT + 1);
	turn("vnbtrip0", false);
	all &= carries(&rig, COUNT + 2);
	turn("vnbtrip0", true);
	all &= carries(&rig, COUNT + 3);
	rig_stop(&rig);
	CLAIM(all && rig.result == 0, "a pump whose trips are lost goes on");
	CLAIM(rig.counters[TRIP_LOST] == TRIPS * (COUNT + 1), "each that is lost is counted");
	CLAIM(rig.counters[TRIP_TUN] == 3 * TRIPS, "and those before, between and after are made");
	CLAIM(took < 5, "and it does not wait for every one"); /* of 10 ms each: 25 s */
	rig_demolish(&rig);
}

/* Into a network namespace of our own. Returns a descriptor of the former one, or -errno. */
static int leave_home(void)
{
	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), tun, error;

	NEED(home >= 0);
	if (unshare(CLONE_NEWNET) < 0) {
		error = errno;
		close(home);
		return -error;
	}
	tun = vnb_tun_open("probe", VNB_PORT_TUN, 0);
	if (tun >= 0) {
		close(tun);
		return home;
	}
	NEED(setns(home, CLONE_NEWNET) == 0);
	close(home);
	return tun;
}

void test_tuntrip(void)
{
	int64_t last_io = rig_last_io();
	int home = leave_home();

	if (home < 0) {
		printf("skipped: trips through a tun, which needs one in a namespace: %s\n",
		       strerror(-home));
		return;
	}
	for (int64_t io = IO_SYSCALL; io <= last_io; io++) {
		makes_its_trips(1, io);
		makes_its_trips(3, io);
	}
	clips_what_no_datagram_holds();
	each_has_its_own();
	passes_over_what_others_send();
	goes_on_when_trips_are_lost();
	NEED(setns(home, CLONE_NEWNET) == 0);
	close(home);
}
