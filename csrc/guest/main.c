/* main.c - `agent serve`, and what a guest is asked to run besides iperf3. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../clock.h"
#include "../vnetbench.h"
#include "agent.h"

enum { ROUND_TIMEOUT_MS = 1000 };
static const double CALIBRATION = 0.02; /* seconds of the round trips at the end of one, at least */

/* A UDP socket of the address's family, given to bind() or connect(). Returns it or -errno. */
static int udp_socket(const char *address, const char *port,
		      int (*attach)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_in in4 = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	bool ipv6 = inet_pton(AF_INET6, address, &in6.sin6_addr) == 1;
	int fd;

	if (!ipv6 && inet_pton(AF_INET, address, &in4.sin_addr) != 1)
		return -EINVAL;
	in4.sin_port = in6.sin6_port = htons((uint16_t)strtoul(port, NULL, 10));
	fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (attach(fd, ipv6 ? (void *)&in6 : (void *)&in4, ipv6 ? sizeof(in6) : sizeof(in4)) < 0)
		return -errno;
	return fd;
}

/* Echo datagrams for ever, after a line "ready". Returns -errno. */
static int pong(const char *address, const char *port)
{
	int fd = udp_socket(address, port, bind);

	if (fd < 0)
		return fd;
	puts("ready");
	fflush(stdout);
	return vnb_pong(fd, eventfd(0, 0));
}

/* Warm the path up; `least` becomes the seconds of a round trip, roughly. Returns 0 or -errno. */
static int calibrate(int fd, size_t size, double *least)
{
	double before, last = 0, seconds;
	uint64_t rounds = 16;
	int result;

	for (*least = 0; (double)rounds * *least < CALIBRATION;) {
		rounds *= 2;
		if ((result = vnb_ping(fd, size, rounds, ROUND_TIMEOUT_MS, &seconds)) < 0)
			return result;
		before = last;
		last = seconds / (double)rounds;
		*least = before < last ? before : last; /* a stall shall not pass for round trips */
	}
	return 0;
}

/*
 * Measure round trips; `numbers` are the bytes of a datagram, the seconds that a value takes, and how
 * many values. Prints the round trips of each value, and then what each took per round trip, in
 * seconds. Returns 0 or -errno.
 */
static int ping(const char *address, const char *port, char *const numbers[])
{
	size_t size = strtoul(numbers[0], NULL, 10);
	double goal = strtod(numbers[1], NULL), seconds;
	unsigned long values = strtoul(numbers[2], NULL, 10);
	int fd = udp_socket(address, port, connect), result;
	uint64_t rounds;

	if (fd < 0)
		return fd;
	if ((result = calibrate(fd, size, &seconds)) < 0)
		return result;
	rounds = (uint64_t)(goal / seconds);
	rounds = rounds > 0 ? rounds : 1;
	printf("%llu\n", (unsigned long long)rounds);
	while (values-- > 0) {
		if ((result = vnb_ping(fd, size, rounds, ROUND_TIMEOUT_MS, &seconds)) < 0)
			return result;
		printf("%.12e\n", seconds / (double)rounds);
	}
	return 0;
}

/* Switch segmentation and receive offload of a device off. Returns 0 or -errno. */
static int offloads_off(const char *device)
{
	static const uint32_t commands[] = {ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct ethtool_value value = {.cmd = commands[i], .data = 0};
		struct ifreq request = {.ifr_data = (void *)&value};

		strncpy(request.ifr_name, device, IFNAMSIZ - 1);
		/* A device may be without one of them. */
		if (ioctl(fd, SIOCETHTOOL, &request) < 0 && errno != EOPNOTSUPP)
			return -errno;
	}
	return 0;
}

/* Standard input is the port, and nothing to the programs that are started. */
static int serve(void)
{
	int port = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (port < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0)
		return -errno;
	return agent_serve(port);
}

int main(int count, char *words[])
{
	const char *what = count > 1 ? words[1] : "";
	int result = -EINVAL;

	if (count == 2 && strcmp(what, "serve") == 0)
		result = serve();
	else if (count == 3 && strcmp(what, "offloads-off") == 0)
		result = offloads_off(words[2]);
	else if (count == 4 && strcmp(what, "pong") == 0)
		result = pong(words[2], words[3]);
	else if (count == 7 && strcmp(what, "ping") == 0)
		result = ping(words[2], words[3], words + 4);
	if (result < 0)
		fprintf(stderr, "agent: %s: %s\n", what, strerror(-result));
	return result < 0;
}
