/*
 * udp.c - UDP sockets: one datagram a call, or batches.
 *
 * Theory of operation. The socket blocks in sending, as flannel's does: a full send queue slows the
 * sender down. The timeout only bounds the time until the caller can look whether it should stop.
 * Receiving never blocks. What an answer of the kernel means is said in ports.c.
 *
 * Refusals (udp(7), net/ipv4/udp.c: udp_send_skb): EIO, the way out computes no checksums, so never
 * again; EINVAL with more than 64 datagrams, what kernels before 6.9 carry at most; else EINVAL or
 * EMSGSIZE because a segment is longer than the path's MTU, so only shorter ones from then on.
 *
 * An ICMP error about an earlier datagram (connected sockets only) is reported by, and taken away
 * by, the next call in either direction; IP_RECVERR, which would also keep it in a queue that poll()
 * reports until somebody reads it, is turned off.
 */
#include "udp.h"

#include <netinet/udp.h>

#include "descriptor.h"
#include "pump.h"
#include "split.h"
#include "switches.h"

enum {
	SEND_TIMEOUT_MS = 50,
	SOCKET_PATIENCE = 1,
	BUSY_POLL_US = 50,
	SEGMENTS_MAX = 128,     /* UDP_MAX_SEGMENTS, include/linux/udp.h */
	SEGMENTS_MAX_6_8 = 64,  /* the same in older kernels */
};

static int get_option(int fd, int option, int *value)
{
	socklen_t size = sizeof(*value);

	return getsockopt(fd, SOL_SOCKET, option, value, &size) < 0 ? -errno : 0;
}

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

int udp_prepare(struct port *port, const int64_t *settings)
{
	int result, domain, type;

	if ((result = get_option(port->fd, SO_DOMAIN, &domain)) < 0 ||
	    (result = get_option(port->fd, SO_TYPE, &type)) < 0)
		return result;
	if ((domain != AF_INET && domain != AF_INET6) || type != SOCK_DGRAM)
		return -EINVAL;
	if (domain == AF_INET)
		result = set_option(port->fd, IPPROTO_IP, IP_RECVERR, 0);
	else
		result = set_option(port->fd, IPPROTO_IPV6, IPV6_RECVERR, 0);
	if (result < 0 || (result = descriptor_set_timeout(port->fd, SO_SNDTIMEO, SEND_TIMEOUT_MS)) < 0)
		return result;
	if (settings[SWITCH_WAIT] == WAIT_BUSY &&
	    (result = set_option(port->fd, SOL_SOCKET, SO_BUSY_POLL, BUSY_POLL_US)) < 0)
		return result;
	port->limits = (struct segment_limits){.count = 1};
	port->offload = settings[SWITCH_UDP_OFFLOAD];
	/*
	 * A kernel before 5.0 has no UDP_GRO: every datagram then comes by itself. Off is said, too:
	 * whoever had the socket before may have wanted it.
	 */
	set_option(port->fd, IPPROTO_UDP, UDP_GRO, port->offload);
	if (port->offload)
		port->limits = (struct segment_limits){.count = SEGMENTS_MAX, .size = DATAGRAM_MAX};
	return descriptor_set_blocking(port->fd, true);
}

/* ---- queueing ----------------------------------------------------------------------------- */

static void make_room(struct pump *pump, struct port *port, unsigned int iov_count,
		      size_t header_size)
{
	if (!outbox_has_room(&port->outbox, iov_count, header_size))
		pump_flush(pump, port);
}

static void add_segments(struct pump *pump, struct port *port, const struct split *split,
			 const union endpoint *to)
{
	struct outbox *outbox = &port->outbox;
	size_t header_size = split->header_size;
	struct iovec payload;
	uint8_t *header;

	for (unsigned int i = 0; i < split->count; i++) {
		make_room(pump, port, 2, header_size);
		header = outbox_header(outbox, header_size);
		split_segment(split, i, header, &payload);
		outbox_datagram(outbox, to, (uint32_t)(header_size + payload.iov_len), &port->limits);
		outbox_append(outbox, header, header_size);
		outbox_append(outbox, payload.iov_base, payload.iov_len);
	}
}

static void udp_add(struct pump *pump, struct port *port, struct packet *packet,
		    unsigned int packets, const union endpoint *to)
{
	struct split split;

	if (packet_is_super(packet)) {
		if (split_begin(&split, packet) == 0)
			add_segments(pump, port, &split, to);
		else
			port->counters[DROP_BAD_OFFLOAD] += packets;
		return;
	}
	if (split_complete(packet) < 0) {
		port->counters[DROP_BAD_OFFLOAD] += packets;
		return;
	}
	make_room(pump, port, 1, 0);
	outbox_datagram(&port->outbox, to, packet->size, &port->limits);
	outbox_append(&port->outbox, packet->data, packet->size);
}

/* ---- sending ------------------------------------------------------------------------------ */

void udp_describe(const struct message *message, struct msghdr *header, struct udp_control *control)
{
	struct cmsghdr *about;
	uint16_t segment = (uint16_t)message->segment;

	*header = (struct msghdr){
		.msg_name = (void *)&message->to->any,
		.msg_namelen = endpoint_size(message->to),
		.msg_iov = message->iov,
		.msg_iovlen = message->iov_count,
	};
	if (message->packets == 1)
		return;
	header->msg_control = control;
	header->msg_controllen = CMSG_SPACE(sizeof(segment));
	about = CMSG_FIRSTHDR(header);
	about->cmsg_level = SOL_UDP;
	about->cmsg_type = UDP_SEGMENT;
	about->cmsg_len = CMSG_LEN(sizeof(segment));
	memcpy(CMSG_DATA(about), &segment, sizeof(segment));
}

static bool udp_refuses(struct port *port, const struct message *message, int error)
{
	if (message->packets == 1)
		return false;
	switch (error) {
	case EIO:
	case EOPNOTSUPP:
		port->limits.count = 1;
		break;
	case EINVAL:
	case EMSGSIZE:
		if (message->packets > SEGMENTS_MAX_6_8)
			port->limits.count = SEGMENTS_MAX_6_8;
		else if (message->segment <= port->limits.size)
			port->limits.size = message->segment - 1;
		break;
	default:
		return false;
	}
	port->counters[REFUSED_UDP_SEGMENT]++;
	return true;
}

static void udp_send_singly(struct pump *pump, struct port *port, const struct message *message)
{
	struct iovec *iov = message->iov;
	uint32_t left = message->size;

	for (unsigned int i = 0; i < message->packets; i++) {
		struct message single = {.to = message->to, .iov = iov, .packets = 1};

		single.segment = left < message->segment ? left : message->segment;
		for (; single.size < single.segment; iov++, single.iov_count++)
			single.size += (uint32_t)iov->iov_len;
		left -= single.size;
		pump_deliver(pump, port, &single, 1);
	}
}

static int send_one(struct port *port, const struct message *message, unsigned int count)
{
	struct udp_control control;
	struct msghdr header;
	enum counter call;
	ssize_t sent;
	int error;

	(void)count; /* one a call */
	if (message->iov_count == 1 && message->packets == 1) {
		call = SYSCALL_SENDTO;
		sent = sendto(port->fd, message->iov->iov_base, message->iov->iov_len, 0,
			      &message->to->any, endpoint_size(message->to));
	} else {
		call = SYSCALL_SENDMSG;
		udp_describe(message, &header, &control);
		sent = sendmsg(port->fd, &header, 0);
	}
	error = sent < 0 ? errno : 0;
	count_call(port->counters, call, error);
	return port_sent(port, message, error);
}

static int send_batch(struct port *port, const struct message *messages, unsigned int count)
{
	struct udp_control controls[OUTBOX_MESSAGES];
	struct mmsghdr headers[OUTBOX_MESSAGES];
	int sent, error;

	if (count > port->batch)
		count = port->batch;
	for (unsigned int i = 0; i < count; i++)
		udp_describe(&messages[i], &headers[i].msg_hdr, &controls[i]);
	sent = sendmmsg(port->fd, headers, count, 0);
	error = sent < 0 ? errno : 0;
	count_call(port->counters, SYSCALL_SENDMMSG, error);
	if (sent < 0)
		return port_sent(port, messages, error);
	for (int i = 0; i < sent; i++)
		port_sent(port, &messages[i], 0);
	return sent;
}

/* ---- receiving ---------------------------------------------------------------------------- */

uint32_t udp_stride(struct msghdr *header, uint32_t size)
{
	struct cmsghdr *about;
	int segment;

	for (about = CMSG_FIRSTHDR(header); about; about = CMSG_NXTHDR(header, about)) {
		if (about->cmsg_level != SOL_UDP || about->cmsg_type != UDP_GRO)
			continue;
		memcpy(&segment, CMSG_DATA(about), sizeof(segment));
		if (segment > 0 && (uint32_t)segment < size)
			return (uint32_t)segment;
	}
	return size;
}

int udp_receive_failed(struct port *port, int error)
{
	if (descriptor_is_lost(error))
		return -error;
	if (error != EAGAIN && error != EINTR)
		port->counters[counter_for_error(error)]++;
	return 0;
}

/* Prepare to receive a unit, with UDP_GRO if `control`. */
static void expect(struct unit *unit, struct iovec *buffer, struct msghdr *header,
		   struct udp_control *control)
{
	*header = (struct msghdr){
		.msg_name = &unit->sender,
		.msg_namelen = sizeof(unit->sender),
		.msg_iov = buffer,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = control ? sizeof(*control) : 0,
	};
}

static void accept_unit(struct unit *unit, uint8_t *data, uint32_t size, struct msghdr *header)
{
	unit->packet = (struct packet){.data = data, .size = size};
	unit->stride = header->msg_controllen ? udp_stride(header, size) : size;
}

static int receive_one(struct port *port, struct inbox *inbox)
{
	struct unit *unit = &inbox->units[0];
	uint8_t *data = inbox_buffer(inbox, 0);
	struct iovec buffer = {.iov_base = data, .iov_len = inbox->room};
	struct udp_control control;
	struct msghdr header;
	ssize_t size;
	int error;

	expect(unit, &buffer, &header, port->offload ? &control : NULL);
	if (port->offload)
		size = recvmsg(port->fd, &header, MSG_DONTWAIT);
	else
		size = recvfrom(port->fd, data, inbox->room, MSG_DONTWAIT, &unit->sender.any,
				&header.msg_namelen);
	error = size < 0 ? errno : 0;
	count_call(port->counters, port->offload ? SYSCALL_RECVMSG : SYSCALL_RECVFROM, error);
	if (size < 0)
		return udp_receive_failed(port, error);
	accept_unit(unit, data, (uint32_t)size, &header);
	return 1;
}

static int receive_batch(struct port *port, struct inbox *inbox)
{
	struct udp_control controls[INBOX_UNITS];
	struct mmsghdr headers[INBOX_UNITS];
	struct iovec buffers[INBOX_UNITS];
	int received, error;

	for (unsigned int i = 0; i < port->batch; i++) {
		buffers[i].iov_base = inbox_buffer(inbox, i);
		buffers[i].iov_len = inbox->room;
		expect(&inbox->units[i], &buffers[i], &headers[i].msg_hdr,
		       port->offload ? &controls[i] : NULL);
	}
	received = recvmmsg(port->fd, headers, port->batch, MSG_DONTWAIT, NULL);
	error = received < 0 ? errno : 0;
	count_call(port->counters, SYSCALL_RECVMMSG, error);
	if (received < 0)
		return udp_receive_failed(port, error);
	for (int i = 0; i < received; i++)
		accept_unit(&inbox->units[i], buffers[i].iov_base, headers[i].msg_len,
			    &headers[i].msg_hdr);
	return received;
}

const struct port_kind port_udp = {
	.prepare = udp_prepare,
	.receive = receive_one,
	.add = udp_add,
	.send = send_one,
	.send_singly = udp_send_singly,
	.refuses = udp_refuses,
	.patience = SOCKET_PATIENCE,
};

const struct port_kind port_udp_batch = {
	.prepare = udp_prepare,
	.receive = receive_batch,
	.add = udp_add,
	.send = send_batch,
	.send_singly = udp_send_singly,
	.refuses = udp_refuses,
	.patience = SOCKET_PATIENCE,
};
