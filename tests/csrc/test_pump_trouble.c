/* How a pump meets errors, waits and ends. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"

static void survives_socket_errors(void)
{
	struct rig rig;
	struct sockaddr_in closed;
	struct sockaddr_in everybody = {.sin_addr.s_addr = UINT32_MAX, .sin_port = 1};
	struct sockaddr_in nobody = {.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct vnb_route routes[3];
	uint8_t *huge = malloc(65535), packet[BUFFER];
	socklen_t length = sizeof(closed);
	int fd = rig_udp_socket(&closed);

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	NEED(huge && getsockname(rig.end[1], (struct sockaddr *)&closed, &length) == 0);
	routes[0] = rig_route(ADDRESS(10, 244, 2, 0), 24, &closed);
	routes[1] = rig_route(ADDRESS(10, 1, 0, 0), 16, &everybody);
	routes[2] = rig_route(ADDRESS(10, 2, 0, 0), 16, &nobody);
	NEED(vnb_router_replace(rig.pump.router, routes, 3) == 0);
	rig.pump.buffer_size = 65535;
	/* A peer that refuses: connected to, then closed. It reports errors on both calls. */
	NEED(connect(rig.pump.port[1].fd, (struct sockaddr *)&closed, length) == 0);
	close(fd);

	rig_start(&rig);
	rig_put(&rig, 0, HERE, ADDRESS(10, 1, 0, 1), 64); /* to 255.255.255.255, which needs permission */
	rig_put(&rig, 0, HERE, ADDRESS(10, 2, 0, 1), 64); /* to port 0 */
	test_packet(huge, 65535, HERE, THERE, 64);    /* more than a datagram holds */
	NEED(send(rig.end[0], huge, 65535, 0) == 65535);
	rig_put(&rig, 0, HERE, THERE, 64);
	CLAIM(rig_get(&rig, 1, packet, sizeof(packet)) == SIZE, "sending goes on after errors of sendto");
	close(rig.end[1]);
	for (unsigned int i = 0; i < 5; i++)
		rig_put(&rig, 0, HERE, THERE, 64);
	rig_put(&rig, 0, HERE, NOWHERE, 64);
	CLAIM(rig_get(&rig, 0, packet, sizeof(packet)) == 56, "and after a peer refused");
	rig_stop(&rig);
	CLAIM(rig.result == 0, "none of them ends the pump");
	CLAIM(rig.counters[DROP_NOT_PERMITTED] == 1, "EACCES is counted as not permitted");
	CLAIM(rig.counters[DROP_OTHER_ERROR] == 1, "EINVAL as another error");
	CLAIM(rig.counters[DROP_TOO_BIG] == 1, "EMSGSIZE as too big");
	CLAIM(rig.counters[DROP_REFUSED] >= 1, "ECONNREFUSED as refused");
	rig.end[1] = dup(rig.end[0]); /* for rig_demolish() */
	rig_demolish(&rig);
	free(huge);
}

static void ends_with_its_device(void)
{
	struct rig rig;

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_TUN);
	rig_start(&rig);
	close(rig.end[0]);
	rig_finish(&rig);
	CLAIM(rig.result == -EBADFD, "a device that is gone ends the pump");
	rig.end[0] = dup(rig.end[1]);
	rig_demolish(&rig);
}

struct feeder {
	struct rig *rig;
	unsigned int port;
	bool *done;
};

static void *feed(void *argument)
{
	struct feeder *feeder = argument;
	uint8_t packet[SIZE];

	test_packet(packet, SIZE, HERE, THERE, 64);
	while (!__atomic_load_n(feeder->done, __ATOMIC_RELAXED))
		send(feeder->rig->end[feeder->port], packet, SIZE, MSG_NOSIGNAL | MSG_DONTWAIT);
	return NULL;
}

static void stops_under_load(void)
{
	struct rig rig;
	bool done = false;
	struct feeder feeder = {&rig, 0, &done};
	uint8_t packet[BUFFER];
	pthread_t thread;
	double begin;

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig_start(&rig);
	NEED(pthread_create(&thread, NULL, feed, &feeder) == 0);
	for (unsigned int i = 0; i < 100; i++)
		NEED(rig_get(&rig, 1, packet, sizeof(packet)) == SIZE);
	begin = test_now();
	rig_stop(&rig);
	CLAIM(test_now() - begin < 0.5, "a pump stops although packets keep coming");
	CLAIM(rig.result == 0 && rig_is_balanced(rig.counters), "in good order");
	__atomic_store_n(&done, true, __ATOMIC_RELAXED);
	NEED(pthread_join(thread, NULL) == 0);
	rig_demolish(&rig);
}

/* Both ports are the ends of one pair, so a frame that goes out of port 1 comes in at port 0. */
static void stops_although_no_turn_is_idle(void)
{
	struct rig rig;
	volatile uint64_t *moved = &rig.counters[PORT0_RX_PACKETS];
	double begin = test_now();

	rig_build(&rig, VNB_PORT_TAP, VNB_PORT_TAP);
	close(rig.pump.port[1].fd);
	rig.pump.port[1].fd = dup(rig.end[0]);
	rig_put(&rig, 0, HERE, THERE, 64);
	rig_start(&rig);
	while (*moved < 1000 && test_now() - begin < LOST_AFTER_MS / 1000.0)
		;
	CLAIM(*moved >= 1000, "one frame goes round and round");
	begin = test_now();
	rig_stop(&rig);
	CLAIM(test_now() - begin < 0.5, "a pump stops although poll() is never reached");
	CLAIM(rig.result == 0 && rig_is_balanced(rig.counters), "in good order");
	rig_demolish(&rig);
}

/* Nobody reads what the pump writes, so its port fills up, and the write is tried again and again. */
static void stops_before_a_full_device(void)
{
	struct rig rig;
	volatile uint64_t *waiting = &rig.counters[EAGAIN_WRITE];
	uint64_t written;
	double begin;

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_TUN);
	rig_start(&rig);
	begin = test_now();
	while (*waiting == 0 && test_now() - begin < LOST_AFTER_MS / 1000.0) {
		uint8_t packet[SIZE];

		test_packet(packet, SIZE, HERE, THERE, 64);
		send(rig.end[0], packet, SIZE, MSG_DONTWAIT);
	}
	CLAIM(*waiting > 0, "a full device makes the pump wait");
	begin = test_now();
	rig_stop(&rig);
	CLAIM(test_now() - begin < 0.5, "but not past the stop");
	CLAIM(rig.result == 0 && rig.counters[DROP_STOPPED] == 1 && rig_is_balanced(rig.counters),
	      "one packet is given up, and counted");
	written = rig.counters[PORT1_TX_PACKETS];
	CLAIM(rig.counters[SYSCALL_WRITE] == written + rig.counters[EAGAIN_WRITE],
	      "every try is counted as a write");
	rig_demolish(&rig);
}

static void waits_without_spinning(void)
{
	struct rig rig;
	const struct timespec idle = {.tv_nsec = 30000000};
	uint8_t packet[BUFFER];

	rig_build(&rig, VNB_PORT_TUN, VNB_PORT_UDP);
	rig_start(&rig);
	rig_put(&rig, 0, HERE, THERE, 64);
	NEED(rig_get(&rig, 1, packet, sizeof(packet)) == SIZE);
	nanosleep(&idle, NULL);
	rig_stop(&rig);
	CLAIM(rig.counters[SYSCALL_POLL] < 10, "an idle pump sleeps in one poll()");
	CLAIM(rig.counters[SYSCALL_READ] < 10, "and does not read in vain");
	rig_demolish(&rig);
}

void test_pump_trouble(void)
{
	survives_socket_errors();
	ends_with_its_device();
	stops_under_load();
	stops_although_no_turn_is_idle();
	stops_before_a_full_device();
	waits_without_spinning();
}
