/*
 * errand.c - handicaps that go through the kernel's sockets: a trip over UDP, a receive in vain.
 *
 * Theory of operation. A trip sends the packet's bytes from one UDP socket to another over the
 * loopback and takes them back: two system calls, two copies, and once down and up again through
 * socket, UDP, IP and a device, all of it on this CPU. As those of the pump the sockets are not
 * connected: each datagram is told where to go, and asked where it came from. The loopback hands a
 * datagram to the receiving socket before the send returns, in the softirq that ends the transmission.
 * Where it does not the pump has some patience (patience.h), and then counts the trip as lost. A
 * datagram that is late is taken for the next one, so that the socket always holds the same number.
 *
 * A receive in vain asks a socket that has nothing: what flannel's loop does every other time.
 *
 * Whether trips are possible here is found out before the first packet: where the loopback was
 * never up there is no way to the other socket (ENETUNREACH), where it is down again no address to bind
 * to (EADDRNOTAVAIL), and a packet filter may forbid to send (EPERM).
 */
#include "errand.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "counters.h"
#include "switches.h"

enum {
	LARGEST_DATAGRAM = 65507, /* over IPv4 */
};

static ssize_t take(struct errand *errand, int fd)
{
	struct sockaddr_in from;
	socklen_t length = sizeof(from);

	return counted(errand->counters, SYSCALL_RECVFROM,
		       recvfrom(fd, errand->scratch, errand->room, MSG_DONTWAIT,
				(struct sockaddr *)&from, &length));
}

/* Returns 0, or -errno: of the send, or -ETIMEDOUT for a datagram that did not come. */
static int make_trip(struct errand *errand, const uint8_t *data, size_t size)
{
	ssize_t result;

	result = counted(errand->counters, SYSCALL_SENDTO,
			 sendto(errand->there, data, size, MSG_DONTWAIT,
				(const struct sockaddr *)&errand->destination,
				sizeof(errand->destination)));
	if (result < 0)
		return -errno;
	result = take(errand, errand->back);
	if (result < 0 && patience_wait(&errand->patience, errand->back, errand->counters))
		result = take(errand, errand->back);
	return result < 0 ? -ETIMEDOUT : 0;
}

void errand_run(struct errand *errand, const uint8_t *data, size_t size)
{
	if (size > LARGEST_DATAGRAM)
		size = LARGEST_DATAGRAM;
	for (int64_t i = 0; i < errand->udp_trips; i++) {
		bool lost = make_trip(errand, data, size) < 0;

		errand->counters[lost ? TRIP_LOST : TRIP_UDP]++;
		patience_learn(&errand->patience, lost);
	}
	for (int64_t i = 0; i < errand->vain_receives; i++)
		take(errand, errand->empty);
}

static int open_socket(int *fd)
{
	*fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return *fd < 0 ? -errno : 0;
}

/* A socket on a free port of the loopback. */
static int open_bound(int *fd)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int result = open_socket(fd);

	if (result < 0)
		return result;
	return bind(*fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

static int open_trips(struct errand *errand)
{
	socklen_t length = sizeof(errand->destination);
	int result;

	if ((result = open_bound(&errand->there)) < 0 || (result = open_bound(&errand->back)) < 0)
		return result;
	if (getsockname(errand->back, (struct sockaddr *)&errand->destination, &length) < 0)
		return -errno;
	errand->patience.ms = PATIENCE_FIRST_MS;
	result = make_trip(errand, errand->scratch, 1);
	patience_learn(&errand->patience, result < 0);
	return result;
}

int errand_open(struct errand *errand, const int64_t *settings, size_t largest, uint64_t *counters)
{
	int result = 0;

	errand->udp_trips = settings[SWITCH_UDP_TRIPS];
	errand->vain_receives = settings[SWITCH_VAIN_RECEIVES];
	errand->counters = counters;
	errand->room = largest < LARGEST_DATAGRAM ? largest : LARGEST_DATAGRAM;
	if (!errand->udp_trips && !errand->vain_receives)
		return 0;
	if (!(errand->scratch = calloc(1, errand->room)))
		return -ENOMEM;
	if (errand->vain_receives)
		result = open_socket(&errand->empty);
	if (result == 0 && errand->udp_trips)
		result = open_trips(errand);
	return result;
}

void errand_close(struct errand *errand)
{
	const int fds[] = {errand->there, errand->back, errand->empty};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(errand->scratch);
}
