/*
 * device.c - tun and tap devices through read() and write().
 *
 * Theory of operation. One read is one packet, one write is one packet: the kernel offers nothing to
 * move several at once, so a batch is as many calls. With offload each packet has a virtio header in
 * front, which read() puts into the headroom of the buffer, and may be a super-packet.
 *
 * What came from a device lies in a buffer with headroom, so it goes to a device as it is, header
 * and packet in one piece. What came from a socket does not; with offload it goes through the
 * coalescer, whose super-packets are lists of iovecs behind a virtio header of their own.
 *
 * A device that is down refuses writes with EIO: packets dropped. It needs no care on the reading
 * side: the kernel answers EAGAIN, and poll() reports nothing until packets come again, so waiting
 * for it costs nothing. A deleted device makes poll() report POLLERR and read() fail with EBADFD,
 * which ends the loop. So does the end of file that a stand-in for a device can report.
 */
#include <string.h>
#include <unistd.h>

#include "descriptor.h"
#include "pump.h"
#include "split.h"
#include "switches.h"
#include "tun.h"

enum { VIRTIO_HEADER = sizeof(struct virtio_net_hdr), DEVICE_PATIENCE = 1024 };

/* What super-packets the device takes; what stands in for a device in tests takes all. */
static unsigned int joins_of(int fd)
{
	if (tun_set_offload(fd) == TUN_OFFLOADS_TCP)
		return COALESCE_TCP4 | COALESCE_TCP6;
	return COALESCE_TCP4 | COALESCE_TCP6 | COALESCE_UDP4 | COALESCE_UDP6;
}

static int device_prepare(struct port *port, const int64_t *settings)
{
	port->offload = settings[SWITCH_TUN_OFFLOAD];
	if (port->offload)
		port->joins = joins_of(port->fd);
	return descriptor_set_blocking(port->fd, false);
}

/* Read one unit. Returns 1, 0 if there is none, or -errno. */
static int read_unit(struct port *port, struct unit *unit, uint8_t *buffer, size_t room)
{
	size_t header = port->offload ? VIRTIO_HEADER : 0;
	ssize_t size = read(port->fd, buffer - header, header + room);
	int error = size < 0 ? errno : 0;

	count_call(port->counters, SYSCALL_READ, error);
	if (size == 0)
		return -EBADFD;
	if (size < 0)
		return error == EAGAIN || error == EINTR ? 0 : -error;
	/* Less than a header is no unit of any device: an empty packet, which nobody carries. */
	*unit = (struct unit){.packet = {.data = buffer}};
	if ((size_t)size >= header) {
		unit->packet.size = unit->stride = (uint32_t)((size_t)size - header);
		memcpy(&unit->packet.offload, buffer - header, header);
	}
	return 1;
}

static int device_receive(struct port *port, struct inbox *inbox)
{
	unsigned int count;
	int result;

	for (count = 0; count < port->batch; count++) {
		result = read_unit(port, &inbox->units[count], inbox_buffer(inbox, count), inbox->room);
		if (result < 0)
			return count ? (int)count : result; /* the next call will say it again */
		if (result == 0)
			break;
	}
	return (int)count;
}

static void device_add(struct pump *pump, struct port *port, struct packet *packet,
		       unsigned int packets, const union endpoint *to)
{
	size_t header = port->offload ? VIRTIO_HEADER : 0;
	struct message *message;

	(void)to; /* whoever reads the other end of the device is the only receiver */
	if (port->coalescer) {
		if (coalesce_add(port->coalescer, packet->data, packet->size))
			return;
		pump_flush(pump, port);
		coalesce_add(port->coalescer, packet->data, packet->size);
		return;
	}
	if (!outbox_has_room(&port->outbox, 1, 0))
		pump_flush(pump, port);
	message = outbox_begin(&port->outbox, NULL, packets);
	message->size = packet->size;
	memcpy(packet->data - header, &packet->offload, header);
	outbox_append(&port->outbox, packet->data - header, header + packet->size);
}

static int device_send(struct port *port, const struct message *messages, unsigned int count)
{
	bool single = messages->iov_count == 1;
	ssize_t written;
	int error;

	(void)count; /* one a call */
	if (single)
		written = write(port->fd, messages->iov->iov_base, messages->iov->iov_len);
	else
		written = writev(port->fd, messages->iov, (int)messages->iov_count);
	error = written < 0 ? errno : 0;
	count_call(port->counters, single ? SYSCALL_WRITE : SYSCALL_WRITEV, error);
	return port_sent(port, messages, error);
}

static bool device_refuses(struct port *port, const struct message *message, int error)
{
	return error == EINVAL && message->packets > 1 && port->coalescer;
}

/* Which of the coalescer's kinds a refused super-packet was. */
static unsigned int kind_of(const struct virtio_net_hdr *offload)
{
	switch (offload->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return COALESCE_TCP4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return COALESCE_TCP6;
	default:
		return COALESCE_UDP4 | COALESCE_UDP6;
	}
}

/* A copy is made here, where the kernel has just shown that its offload cannot be relied on. */
static void device_send_singly(struct pump *pump, struct port *port, const struct message *message)
{
	struct packet super = {.data = pump->spare, .size = message->size};
	struct virtio_net_hdr none = {0};
	struct iovec iov[3] = {{&none, sizeof(none)}};
	struct message single = {.iov = iov, .iov_count = 3, .packets = 1};
	uint8_t header[SPLIT_HEADER_MAX];
	size_t offset = 0;
	struct split split;

	port->counters[REFUSED_TUN_SUPER]++;
	memcpy(&super.offload, message->iov[0].iov_base, sizeof(super.offload));
	port->joins &= ~kind_of(&super.offload);
	coalesce_set_kinds(port->coalescer, port->joins);
	for (unsigned int i = 1; i < message->iov_count; i++) {
		memcpy(super.data + offset, message->iov[i].iov_base, message->iov[i].iov_len);
		offset += message->iov[i].iov_len;
	}
	if (split_begin(&split, &super) < 0) {
		port->counters[DROP_BAD_OFFLOAD] += message->packets;
		return;
	}
	iov[1] = (struct iovec){header, split.header_size};
	for (unsigned int i = 0; i < split.count; i++) {
		split_segment(&split, i, header, &iov[2]);
		single.size = (uint32_t)(iov[1].iov_len + iov[2].iov_len);
		pump_deliver(pump, port, &single, 1);
	}
}

const struct port_kind port_device = {
	.prepare = device_prepare,
	.receive = device_receive,
	.add = device_add,
	.send = device_send,
	.send_singly = device_send_singly,
	.refuses = device_refuses,
	.patience = DEVICE_PATIENCE,
};
