/*
 * ports.c - receiving and sending one packet on each kind of port.
 *
 * Theory of operation. tun and tap descriptors behave alike and share their functions. Everything
 * the kernel may answer falls into four classes, and only the last ends a pump:
 *
 *   done       the packet moved
 *   not now    EAGAIN, or EINTR, which here means the same: the caller asks again
 *   dropped    the error concerns one packet; it is counted by reason, and the loop goes on
 *   lost       the descriptor itself is of no use any more
 *
 * Devices. A device that is down refuses writes with EIO: packets dropped. It needs no care on the
 * reading side: the kernel answers EAGAIN, and poll() reports nothing until packets come again, so
 * waiting for it costs nothing. A deleted device makes poll() report POLLERR and read() fail with
 * EBADFD, which ends the loop. So does the end of file that a stand-in for a device can report.
 *
 * UDP. The socket blocks in sendto, as flannel's does: a full send queue slows the sender down. The
 * timeout only bounds the time until the caller can look whether it should stop. Receiving never
 * blocks. An ICMP error about an earlier datagram (connected sockets only) is reported by, and
 * taken away by, the next call in either direction; IP_RECVERR, which would also keep it in a queue
 * that poll() reports until somebody reads it, is turned off.
 */
#include "ports.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "counters.h"
#include "descriptor.h"

enum { SEND_TIMEOUT_MS = 50, DEVICE_PATIENCE = 1024, SOCKET_PATIENCE = 1 };

static void count_traffic(struct port *port, int packets, size_t bytes)
{
	/* RX_BYTES follows RX_PACKETS, as TX_BYTES follows TX_PACKETS. */
	port->traffic[packets]++;
	port->traffic[packets + 1] += bytes;
}

static int count_drop(struct port *port, int error)
{
	port->counters[counter_for_error(error)]++;
	return 0;
}

static int device_prepare(const struct port *port)
{
	return descriptor_set_blocking(port->fd, false);
}

static ssize_t device_receive(struct port *port, void *packet, size_t room)
{
	ssize_t size = read(port->fd, packet, room);
	int error = errno;

	port->counters[SYSCALL_READ]++;
	if (size > 0) {
		count_traffic(port, RX_PACKETS, (size_t)size);
		return size;
	}
	if (size == 0)
		return -EBADFD;
	if (error == EAGAIN)
		port->counters[EAGAIN_READ]++;
	return error == EINTR ? -EAGAIN : -error;
}

static int device_send(struct port *port, const void *packet, size_t size,
		       const struct sockaddr_in *to)
{
	ssize_t written = write(port->fd, packet, size);
	int error = errno;

	(void)to; /* whoever reads the other end of the device is the only receiver */
	port->counters[SYSCALL_WRITE]++;
	if (written >= 0) {
		count_traffic(port, TX_PACKETS, size);
		return 0;
	}
	if (error == EAGAIN)
		port->counters[EAGAIN_WRITE]++;
	if (error == EAGAIN || error == EINTR)
		return -EAGAIN;
	return descriptor_is_lost(error) ? -error : count_drop(port, error);
}

static int socket_option(int fd, int option, int *value)
{
	socklen_t size = sizeof(*value);

	return getsockopt(fd, SOL_SOCKET, option, value, &size) < 0 ? -errno : 0;
}

static int udp_prepare(const struct port *port)
{
	int result, domain, type, off = 0;

	if ((result = socket_option(port->fd, SO_DOMAIN, &domain)) < 0 ||
	    (result = socket_option(port->fd, SO_TYPE, &type)) < 0)
		return result;
	if (domain != AF_INET || type != SOCK_DGRAM)
		return -EINVAL;
	if (setsockopt(port->fd, IPPROTO_IP, IP_RECVERR, &off, sizeof(off)) < 0)
		return -errno;
	if ((result = descriptor_set_timeout(port->fd, SO_SNDTIMEO, SEND_TIMEOUT_MS)) < 0)
		return result;
	return descriptor_set_blocking(port->fd, true);
}

static ssize_t udp_receive(struct port *port, void *packet, size_t room)
{
	ssize_t size = recv(port->fd, packet, room, MSG_DONTWAIT);
	int error = errno;

	port->counters[SYSCALL_RECVFROM]++;
	if (size >= 0) {
		count_traffic(port, RX_PACKETS, (size_t)size);
		return size;
	}
	if (descriptor_is_lost(error))
		return -error;
	if (error == EAGAIN)
		port->counters[EAGAIN_RECVFROM]++;
	else if (error != EINTR)
		count_drop(port, error);
	return -EAGAIN;
}

static int udp_send(struct port *port, const void *packet, size_t size, const struct sockaddr_in *to)
{
	ssize_t sent = sendto(port->fd, packet, size, 0, (const struct sockaddr *)to, sizeof(*to));
	int error = errno;

	port->counters[SYSCALL_SENDTO]++;
	if (sent >= 0) {
		count_traffic(port, TX_PACKETS, size);
		return 0;
	}
	if (error == EAGAIN)
		port->counters[EAGAIN_SENDTO]++;
	if (error == EAGAIN || error == EINTR)
		return -EAGAIN;
	return descriptor_is_lost(error) ? -error : count_drop(port, error);
}

static const struct port_kind device = {
	.prepare = device_prepare,
	.receive = device_receive,
	.send = device_send,
	.patience = DEVICE_PATIENCE,
};

static const struct port_kind udp = {
	.prepare = udp_prepare,
	.receive = udp_receive,
	.send = udp_send,
	.patience = SOCKET_PATIENCE,
};

int port_open(struct port *port, const struct vnb_port *from, unsigned int index, uint64_t *counters)
{
	*port = (struct port){
		.kind = from->kind == VNB_PORT_UDP ? &udp : &device,
		.fd = from->fd,
		.counters = counters,
		.traffic = counters + (size_t)index * COUNTERS_PER_PORT,
	};
	return port->kind->prepare(port);
}
