/*
 * tuntrip.c - a trip through a tun device, with the pump itself as what is behind it.
 *
 * Theory of operation. A trip over UDP (errand.c) goes down and up again through socket, UDP, IP and
 * the loopback. Here a tun is in the place of the loopback:
 *
 *     sendto()    from a socket towards an address that is routed into the tun
 *     read()      the packet from the tun, and exchange its two addresses and its two ports
 *     write()     it to the tun, as if somebody had answered
 *     recvfrom()  it from the socket
 *
 * Four calls and four copies, one passage out of and one into a tun device: what it costs beyond a
 * trip over UDP, and two calls and two copies, is the price of these passages. It includes the UDP
 * checksum, which a tun without offload has computed and checked and the loopback has not. Sums do
 * not change when what they add is exchanged, so both checksums stay right. All of it is done on this
 * CPU before the call returns; where it is not the pump has some patience (patience.h), and what is
 * late is taken for the next one. Others may send into the tun as well (reports about multicast
 * groups); their packets are passed over, a few for each trip.
 *
 * The device is one that goes with its descriptor. The kernel numbers devices of a name without gaps
 * and gives no number twice in a namespace, so the number also tells which four addresses are taken
 * by nobody else: several pumps, and several queues of one, need not know of each other. The
 * addresses are the last of what is set aside for benchmarks (RFC 2544). Everything is set by
 * ioctl(), before the first packet.
 */
#include "tuntrip.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "counters.h"
#include "ipv4.h"
#include "switches.h"
#include "transport.h"

#define NAME "vnbtrip"

enum {
	ADDRESSES = 0xc613ff00, /* 198.19.255.0/24; bench/scenario/hops.py leaves them alone */
	ADDRESSES_EACH = 4,
	DEVICES_MAX = 256 / ADDRESSES_EACH,
	PORT_THERE = 9, /* nobody listens to it: packets end at the tun */
	HEADERS = IPV4_HEADER + UDP_HEADER,
	LARGEST_PACKET = 65535,
	LARGEST_DATAGRAM = LARGEST_PACKET - HEADERS,
	STRANGERS_MAX = 8, /* packets of others that one trip passes over */
};

/* ---- a trip -------------------------------------------------------------------------------- */

static ssize_t take_packet(struct tuntrip *tuntrip)
{
	return counted(tuntrip->counters, SYSCALL_READ,
		       read(tuntrip->tun, tuntrip->packet, tuntrip->room));
}

static ssize_t take_datagram(struct tuntrip *tuntrip)
{
	struct sockaddr_in from;
	socklen_t length = sizeof(from);

	return counted(tuntrip->counters, SYSCALL_RECVFROM,
		       recvfrom(tuntrip->socket, tuntrip->packet, tuntrip->room, MSG_DONTWAIT,
				(struct sockaddr *)&from, &length));
}

/* Returns what `take` does, which is tried again when something has come to `fd`. */
static ssize_t await(struct tuntrip *tuntrip, int fd, ssize_t (*take)(struct tuntrip *))
{
	ssize_t size = take(tuntrip);

	if (size < 0 && patience_wait(&tuntrip->patience, fd, tuntrip->counters))
		size = take(tuntrip);
	return size;
}

static bool is_at(const uint8_t *address, const uint8_t *port, const struct sockaddr_in *expected)
{
	return memcmp(address, &expected->sin_addr, sizeof(expected->sin_addr)) == 0 &&
	       memcmp(port, &expected->sin_port, sizeof(expected->sin_port)) == 0;
}

static bool is_ours(const struct tuntrip *tuntrip, const uint8_t *packet, size_t size)
{
	const uint8_t *udp = packet + IPV4_HEADER;

	return size >= HEADERS && packet[0] == 0x45 && packet[IPV4_PROTOCOL] == IPPROTO_UDP &&
	       is_at(packet + IPV4_SOURCE, udp, &tuntrip->here) &&
	       is_at(packet + IPV4_DESTINATION, udp + sizeof(in_port_t), &tuntrip->there);
}

/* The next packet that was sent from here. Returns its size, or -1 if it did not come. */
static ssize_t take_ours(struct tuntrip *tuntrip)
{
	for (int i = 0; i <= STRANGERS_MAX; i++) {
		ssize_t size = await(tuntrip, tuntrip->tun, take_packet);

		if (size < 0 || is_ours(tuntrip, tuntrip->packet, (size_t)size))
			return size;
	}
	return -1;
}

/* Make the packet one from there to here. */
static void turn_back(struct tuntrip *tuntrip)
{
	uint8_t *source = tuntrip->packet + IPV4_SOURCE, *udp = tuntrip->packet + IPV4_HEADER;

	memcpy(source, &tuntrip->there.sin_addr, sizeof(in_addr_t));
	memcpy(source + sizeof(in_addr_t), &tuntrip->here.sin_addr, sizeof(in_addr_t));
	memcpy(udp, &tuntrip->there.sin_port, sizeof(in_port_t));
	memcpy(udp + sizeof(in_port_t), &tuntrip->here.sin_port, sizeof(in_port_t));
}

/* Returns 0, or -errno: of the send, or -ETIMEDOUT for a packet that did not come through. */
static int make_trip(struct tuntrip *tuntrip, const uint8_t *data, size_t size)
{
	ssize_t result;

	result = counted(tuntrip->counters, SYSCALL_SENDTO,
			 sendto(tuntrip->socket, data, size, MSG_DONTWAIT,
				(const struct sockaddr *)&tuntrip->there, sizeof(tuntrip->there)));
	if (result < 0)
		return -errno;
	if ((result = take_ours(tuntrip)) < 0)
		return -ETIMEDOUT;
	turn_back(tuntrip);
	result = counted(tuntrip->counters, SYSCALL_WRITE,
			 write(tuntrip->tun, tuntrip->packet, (size_t)result));
	if (result < 0)
		return -errno;
	return await(tuntrip, tuntrip->socket, take_datagram) < 0 ? -ETIMEDOUT : 0;
}

void tuntrip_run(struct tuntrip *tuntrip, const uint8_t *data, size_t size)
{
	if (size > LARGEST_DATAGRAM)
		size = LARGEST_DATAGRAM;
	for (int64_t i = 0; i < tuntrip->trips; i++) {
		bool lost = make_trip(tuntrip, data, size) < 0;

		tuntrip->counters[lost ? TRIP_LOST : TRIP_TUN]++;
		patience_learn(&tuntrip->patience, lost);
	}
}

/* ---- its device and its socket ------------------------------------------------------------- */

/* Make the device, and write its name to `request`. Returns its descriptor or -errno. */
static int open_device(struct ifreq *request)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), error;

	if (fd < 0)
		return -errno;
	*request = (struct ifreq){.ifr_name = NAME "%d", .ifr_flags = IFF_TUN | IFF_NO_PI};
	if (ioctl(fd, TUNSETIFF, request) < 0) {
		error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

static struct sockaddr_in address(uint32_t host, uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(host),
	};
}

static int choose_addresses(struct tuntrip *tuntrip, const char *name)
{
	unsigned long number = strtoul(name + strlen(NAME), NULL, 10);
	uint32_t first = ADDRESSES + (uint32_t)number * ADDRESSES_EACH;

	if (number >= DEVICES_MAX)
		return -EADDRINUSE;
	tuntrip->here = address(first + 1, 0);
	tuntrip->there = address(first + 2, PORT_THERE);
	return 0;
}

/* Keep IPv6 from talking through the device; whether it could be told matters little. */
static bool silence_ipv6(const char *name)
{
	char path[sizeof("/proc/sys/net/ipv6/conf//disable_ipv6") + IFNAMSIZ];
	bool is_silent;
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	is_silent = write(fd, "1", 1) == 1;
	close(fd);
	return is_silent;
}

static int set_address(int fd, unsigned long call, struct ifreq *request, const struct sockaddr_in *to)
{
	memcpy(&request->ifr_addr, to, sizeof(*to));
	return ioctl(fd, call, request) < 0 ? -errno : 0;
}

/* Give the device that `request` names its addresses and room for any packet, and turn it on. */
static int configure(struct tuntrip *tuntrip, struct ifreq *request)
{
	int fd = tuntrip->socket, result;

	silence_ipv6(request->ifr_name); /* what it says all the same is passed over */
	request->ifr_mtu = LARGEST_PACKET;
	if (ioctl(fd, SIOCSIFMTU, request) < 0)
		return -errno;
	if ((result = set_address(fd, SIOCSIFADDR, request, &tuntrip->here)) < 0 ||
	    (result = set_address(fd, SIOCSIFDSTADDR, request, &tuntrip->there)) < 0)
		return result;
	if (ioctl(fd, SIOCGIFFLAGS, request) < 0)
		return -errno;
	request->ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, request) < 0 ? -errno : 0;
}

static int bind_here(struct tuntrip *tuntrip)
{
	socklen_t length = sizeof(tuntrip->here);

	if (bind(tuntrip->socket, (const struct sockaddr *)&tuntrip->here, length) < 0 ||
	    getsockname(tuntrip->socket, (struct sockaddr *)&tuntrip->here, &length) < 0)
		return -errno;
	return 0;
}

static int open_way(struct tuntrip *tuntrip)
{
	struct ifreq request;
	int result;

	if ((tuntrip->tun = result = open_device(&request)) < 0)
		return result;
	if ((tuntrip->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0)
		return -errno;
	if ((result = choose_addresses(tuntrip, request.ifr_name)) < 0 ||
	    (result = configure(tuntrip, &request)) < 0)
		return result;
	return bind_here(tuntrip);
}

int tuntrip_open(struct tuntrip *tuntrip, const int64_t *settings, size_t largest, uint64_t *counters)
{
	int result;

	tuntrip->trips = settings[SWITCH_TUN_TRIPS];
	tuntrip->counters = counters;
	tuntrip->room = HEADERS + (largest < LARGEST_DATAGRAM ? largest : LARGEST_DATAGRAM);
	if (!tuntrip->trips)
		return 0;
	if (!(tuntrip->packet = calloc(1, tuntrip->room)))
		return -ENOMEM;
	if ((result = open_way(tuntrip)) < 0)
		return result;
	tuntrip->patience.ms = PATIENCE_FIRST_MS;
	result = make_trip(tuntrip, tuntrip->packet, 1);
	patience_learn(&tuntrip->patience, result < 0);
	return result;
}

void tuntrip_close(struct tuntrip *tuntrip)
{
	if (tuntrip->socket >= 0)
		close(tuntrip->socket);
	if (tuntrip->tun >= 0)
		close(tuntrip->tun);
	free(tuntrip->packet);
}
