/*
 * uring.c - the same operations through io_uring (liburing).
 *
 * Theory of operation. Each port has one receive request that stays (multishot) and fills buffers
 * out of a ring of provided ones: as long as packets come, no call asks for them. Completions are
 * taken from shared memory; io_uring_enter is called to sleep until there are some, and once for all
 * that a batch sends. With DEFER_TASKRUN (6.1) the kernel does the receiving in just that call.
 *
 *     io_uring_enter (n sends, wait for them) io_uring_enter (wait for packets) ...
 *
 * The units of a batch point into provided buffers, which go back to the kernel when the next batch
 * is received: by then all that was made of them has been sent. A receive request that ends (no
 * buffer was left, or the kernel says so) is made again before the next wait.
 *
 * How a batch is sent is in uring_send.c.
 *
 * A device is read by READ_MULTISHOT (6.7); an older kernel gets single reads, made again each time.
 */
#include "uring.h"

#include <errno.h>

#ifdef VNB_URING

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "udp.h"
#include "uring_ring.h"

enum {
	OP_READ_MULTISHOT = 49, /* IORING_OP_READ_MULTISHOT; Debian 12 has older headers */
	BUFFERS_MIN = 8,
	RING_REQUESTS = 128,    /* a batch of sends, and a few */
	RING_COMPLETIONS = 1024,
};

bool uring_built(void)
{
	return true;
}

/* ---- receive requests and their buffers --------------------------------------------------- */

static uint8_t *buffer_at(const struct uring_port *port, unsigned int index)
{
	return port->memory + index * port->pitch + port->offset;
}

static void give_back(struct uring_port *port, unsigned int index)
{
	io_uring_buf_ring_add(port->ring, buffer_at(port, index), (unsigned int)port->room,
			      (uint16_t)index, io_uring_buf_ring_mask(port->entries), 0);
	io_uring_buf_ring_advance(port->ring, 1);
}

static void arm(struct uring *uring, unsigned int index)
{
	struct uring_port *port = &uring->port[index];
	const struct port *of = &uring->pump->port[index];
	struct io_uring_sqe *sqe = uring_get_sqe(uring);

	if (port->shape.msg_namelen) {
		io_uring_prep_recvmsg_multishot(sqe, of->fd, &port->shape, 0);
	} else {
		io_uring_prep_read(sqe, of->fd, NULL, port->single ? (unsigned int)port->room : 0, 0);
		if (!port->single)
			sqe->opcode = OP_READ_MULTISHOT;
	}
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = (uint16_t)index;
	io_uring_sqe_set_data64(sqe, index);
	port->armed = true;
}

/* Make the receive requests that are not under way. Returns whether there were any. */
static bool arm_all(struct uring *uring)
{
	bool any = false;

	for (unsigned int i = 0; i < 2; i++) {
		if (uring->port[i].armed)
			continue;
		arm(uring, i);
		any = true;
	}
	return any;
}

/* ---- completions -------------------------------------------------------------------------- */

static void complete_receive(struct uring *uring, unsigned int index, const struct io_uring_cqe *cqe)
{
	struct uring_port *port = &uring->port[index];
	struct port *of = &uring->pump->port[index];
	bool is_socket = port->shape.msg_namelen != 0;

	port->armed = cqe->flags & IORING_CQE_F_MORE;
	if (cqe->flags & IORING_CQE_F_BUFFER) {
		struct received received = {
			.buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT),
			.size = cqe->res > 0 ? (uint32_t)cqe->res : 0,
		};

		port->queue[port->tail++ & (port->entries - 1)] = received;
	}
	if (cqe->res == 0 && !is_socket)
		port->lost = -EBADFD;
	if (cqe->res >= 0 || cqe->res == -ENOBUFS || cqe->res == -EAGAIN || cqe->res == -EINTR)
		return;
	if (cqe->res == -EINVAL && !is_socket && !port->single)
		port->single = true;
	else if (is_socket)
		port->lost = udp_receive_failed(of, -cqe->res);
	else
		port->lost = cqe->res;
}

void uring_harvest(struct uring *uring)
{
	struct io_uring_cqe *cqe;
	unsigned int head, count = 0;

	io_uring_for_each_cqe(&uring->ring, head, cqe) {
		if (cqe->user_data < ABOUT_STOP) {
			complete_receive(uring, (unsigned int)cqe->user_data, cqe);
		} else if (cqe->user_data == ABOUT_STOP) {
			uring->stop_seen = true;
		} else {
			uring->results[cqe->user_data - ABOUT_SEND] = cqe->res;
			uring->outstanding--;
		}
		count++;
	}
	io_uring_cq_advance(&uring->ring, count);
}

/* Submit what is queued, and wait for `want` completions. Returns 0 or -errno. */
static int enter(struct uring *uring, unsigned int want)
{
	int result = want ? io_uring_submit_and_wait(&uring->ring, want)
			  : io_uring_get_events(&uring->ring);

	uring->pump->counters[SYSCALL_IO_URING_ENTER]++;
	uring_harvest(uring);
	return result < 0 && !uring_is_passing(result) ? result : 0;
}

static unsigned int ready_ports(const struct uring *uring)
{
	unsigned int ready = 0;

	for (unsigned int i = 0; i < 2; i++)
		if (uring->port[i].head != uring->port[i].tail || uring->port[i].lost)
			ready |= 1U << i;
	return ready;
}

static int uring_ask(struct pump *pump, bool sleep)
{
	struct uring *uring = pump->uring;
	unsigned int ready;
	int result;

	uring_harvest(uring);
	if (arm_all(uring)) {
		io_uring_submit(&uring->ring);
		pump->counters[SYSCALL_IO_URING_ENTER]++;
	}
	ready = ready_ports(uring);
	if (!ready) {
		result = enter(uring, sleep ? 1 : 0);
		if (result < 0)
			return result;
		ready = ready_ports(uring);
	}
	if (uring->stop_seen)
		return -ECANCELED;
	return (int)ready;
}

/* ---- ports -------------------------------------------------------------------------------- */

static void describe_device(struct uring_port *port, const struct port *of, struct unit *unit,
			    const struct received *received)
{
	size_t header = of->offload ? sizeof(struct virtio_net_hdr) : 0;
	uint8_t *bytes = buffer_at(port, received->buffer);

	*unit = (struct unit){.packet = {.data = bytes + header}};
	if (received->size < header)
		return;
	unit->packet.size = unit->stride = received->size - (uint32_t)header;
	memcpy(&unit->packet.offload, bytes, header);
}

static void describe_datagram(struct uring_port *port, struct unit *unit,
			      const struct received *received)
{
	uint8_t *bytes = buffer_at(port, received->buffer);
	struct io_uring_recvmsg_out *out =
		io_uring_recvmsg_validate(bytes, (int)received->size, &port->shape);
	struct msghdr about;

	*unit = (struct unit){.packet = {.data = bytes}};
	if (!out)
		return;
	memcpy(&unit->sender, io_uring_recvmsg_name(out), sizeof(unit->sender));
	unit->packet.data = io_uring_recvmsg_payload(out, &port->shape);
	unit->packet.size = io_uring_recvmsg_payload_length(out, (int)received->size, &port->shape);
	about = (struct msghdr){
		.msg_control = unit->packet.data - port->shape.msg_controllen,
		.msg_controllen = out->controllen,
	};
	unit->stride = out->controllen ? udp_stride(&about, unit->packet.size) : unit->packet.size;
}

static int uring_receive(struct port *of, struct inbox *inbox)
{
	struct uring_port *port = of->uring;
	unsigned int count;

	for (; port->lent > 0; port->lent--)
		give_back(port, port->queue[(port->head - port->lent) & (port->entries - 1)].buffer);
	for (count = 0; count < of->batch && port->head != port->tail; count++) {
		const struct received *received = &port->queue[port->head++ & (port->entries - 1)];

		if (port->shape.msg_namelen)
			describe_datagram(port, &inbox->units[count], received);
		else
			describe_device(port, of, &inbox->units[count], received);
	}
	port->lent = count;
	return count ? (int)count : port->lost;
}

void uring_cancel_all(struct uring *uring)
{
	struct io_uring_sync_cancel_reg all = {
		.fd = -1,
		.flags = IORING_ASYNC_CANCEL_ANY,
		.timeout = {.tv_sec = 1},
	};

	io_uring_register_sync_cancel(&uring->ring, &all);
}

/* ---- opening and closing ------------------------------------------------------------------ */

/* A socket's buffer begins with what RECVMSG reports; the headroom of a device's is as elsewhere. */
static void lay_out(struct uring_port *port, const struct port *of, bool is_socket, size_t room)
{
	size_t header = of->offload && !is_socket ? sizeof(struct virtio_net_hdr) : 0;

	port->room = header + room;
	port->offset = INBOX_HEADROOM - header;
	if (is_socket) {
		/* What follows the name is a control message, which has to be aligned. */
		port->shape.msg_namelen = (sizeof(union endpoint) + 7) & ~7UL;
		port->shape.msg_controllen = of->offload ? sizeof(struct udp_control) : 0;
		port->room += sizeof(struct io_uring_recvmsg_out) + port->shape.msg_namelen +
			      port->shape.msg_controllen;
	}
	port->pitch = (INBOX_HEADROOM + port->room + 63) & ~(size_t)63;
}

static int open_buffers(struct uring *uring, unsigned int index, size_t room)
{
	struct uring_port *port = &uring->port[index];
	struct port *of = &uring->pump->port[index];
	struct io_uring_buf_reg group = {.bgid = (uint16_t)index};
	bool is_socket = of->kind->prepare == udp_prepare;
	int result;

	lay_out(port, of, is_socket, room);
	for (port->entries = BUFFERS_MIN; port->entries < 2 * of->batch;)
		port->entries *= 2;
	port->queue = calloc(port->entries, sizeof(*port->queue));
	port->memory = aligned_alloc(64, port->entries * port->pitch);
	port->ring = aligned_alloc(4096, (port->entries * sizeof(struct io_uring_buf) + 4095) & ~4095UL);
	if (!port->queue || !port->memory || !port->ring)
		return -ENOMEM;
	group.ring_addr = (uintptr_t)port->ring;
	group.ring_entries = port->entries;
	if ((result = io_uring_register_buf_ring(&uring->ring, &group, 0)) < 0)
		return result;
	io_uring_buf_ring_init(port->ring);
	for (unsigned int i = 0; i < port->entries; i++)
		give_back(port, i);
	port->uring = uring;
	of->uring = port;
	uring->kinds[index] = *of->kind;
	uring->kinds[index].receive = uring_receive;
	uring->kinds[index].send = uring_send;
	of->kind = &uring->kinds[index];
	return descriptor_set_blocking(of->fd, true);
}

static int open_ring(struct uring *uring)
{
	struct io_uring_params parameters = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
		.cq_entries = RING_COMPLETIONS,
	};
	int result = io_uring_queue_init_params(RING_REQUESTS, &uring->ring, &parameters);

	if (result == -EINVAL) { /* before 6.1 */
		parameters = (struct io_uring_params){0};
		result = io_uring_queue_init_params(RING_REQUESTS, &uring->ring, &parameters);
	}
	uring->is_open = result == 0;
	return result;
}

int uring_open(struct pump *pump)
{
	struct uring *uring = calloc(1, sizeof(*uring));
	struct io_uring_sqe *sqe;
	int result;

	if (!uring)
		return -ENOMEM;
	pump->uring = uring;
	uring->pump = pump;
	if ((result = open_ring(uring)) < 0 ||
	    (result = open_buffers(uring, 0, pump->inbox.room)) < 0 ||
	    (result = open_buffers(uring, 1, pump->inbox.room)) < 0)
		return result;
	sqe = uring_get_sqe(uring);
	io_uring_prep_poll_add(sqe, pump->stop.fd, POLLIN);
	io_uring_sqe_set_data64(sqe, ABOUT_STOP);
	pump->ask = uring_ask;
	return 0;
}

void uring_close(struct pump *pump)
{
	struct uring *uring = pump->uring;

	if (!uring)
		return;
	if (uring->is_open) {
		uring_cancel_all(uring);
		io_uring_queue_exit(&uring->ring);
	}
	for (unsigned int i = 0; i < 2; i++) {
		free(uring->port[i].queue);
		free(uring->port[i].memory);
		free(uring->port[i].ring);
	}
	free(uring);
}

#else

bool uring_built(void)
{
	return false;
}

int uring_open(struct pump *pump)
{
	(void)pump;
	return -ENOSYS;
}

void uring_close(struct pump *pump)
{
	(void)pump;
}

#endif
