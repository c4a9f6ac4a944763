/*
 * loop.c - the loop: wait, receive, decide, send.
 *
 * Theory of operation. A batch is received from one port, every packet of it is decided about, and
 * what comes of it is sent; then the next. How to wait and whom to serve are functions that were
 * chosen before the loop began. With every switch off the order of system calls is that of
 * flannel's UDP proxy, call for call. One thread polls both ports and the stop descriptor without a
 * timeout. When there is something on a port, it takes turns until a turn moves nothing:
 *
 *     receive from port 0; if a packet came, send it on
 *     receive from port 1; if a packet came, send it on
 *
 * Both ports are tried every turn whatever poll() said. Under one-way traffic every other receive
 * therefore returns EAGAIN; the author of that loop argued that a failed receive is cheaper than a
 * poll(), which never moves data. What goes in reads as (tun and UDP, one way):
 *
 *     read sendto recvfrom(EAGAIN) read sendto recvfrom(EAGAIN) ... read(EAGAIN) recvfrom(EAGAIN) poll
 *
 * With readiness on, only ports that poll() named are served, each until it has nothing more or had
 * its share; the price is a poll() for every PACKETS_A_VISIT packets.
 *
 * To sleep costs more than the call: somebody has to wake the pump, with an interrupt to another CPU
 * if it slept there, and that CPU has to leave its idle state. So with `linger` the pump goes on asking
 * for a while before it sleeps, and yields its CPU to whoever has work after each time it asked.
 *
 * Where all this differs from flannel, it differs outside the packet's path. flannel hears its control
 * descriptor only from poll(), so never under sustained traffic; this loop also looks when 50 ms have
 * passed on a clock that costs no system call (descriptor.c). flannel repeats a write the tun does
 * not take (EAGAIN) for ever; so does this one, but a stop ends it.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>

#include "clock.h"
#include "ip.h"
#include "pump.h"

enum { PACKETS_A_VISIT = 64 };

/* ---- sending ------------------------------------------------------------------------------ */

/* Look for a stop now: 0, or -ECANCELED, or -errno. */
static int look_for_stop(struct pump *pump)
{
	int result = stop_is_asked(&pump->stop);

	pump->counters[SYSCALL_POLL]++;
	return result > 0 ? -ECANCELED : result;
}

static void drop_stopped(struct pump *pump, const struct message *messages, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		pump->counters[DROP_STOPPED] += messages[i].packets;
}

void pump_deliver(struct pump *pump, struct port *port, const struct message *messages,
		  unsigned int count)
{
	unsigned int tries = 0;
	int result;

	while (count > 0 && pump->ended == 0) {
		result = port->kind->send(port, messages, count);
		if (result == -EAGAIN) {
			if (++tries % port->kind->patience == 0)
				pump->ended = look_for_stop(pump);
			continue;
		}
		if (result == PORT_REFUSED) {
			port->kind->send_singly(pump, port, messages);
			result = 1;
		}
		if (result < 0) {
			pump->ended = result;
			break;
		}
		messages += result;
		count -= (unsigned int)result;
		tries = 0;
	}
	drop_stopped(pump, messages, count);
}

static void flush_outbox(struct pump *pump, struct port *port)
{
	pump_deliver(pump, port, port->outbox.messages, port->outbox.count);
	outbox_empty(&port->outbox);
}

/* Put what the coalescer made of its packets into the outbox, each behind a virtio header. */
static void empty_coalescer(struct pump *pump, struct port *port)
{
	struct outbox *outbox = &port->outbox;
	struct iovec iov[COALESCE_IOV];
	struct message *message;
	struct coalesced item;
	uint8_t *header;

	while (coalesce_next(port->coalescer, &item, iov)) {
		if (!outbox_has_room(outbox, COALESCE_IOV + 1, sizeof(item.offload)))
			flush_outbox(pump, port);
		header = outbox_header(outbox, sizeof(item.offload));
		memcpy(header, &item.offload, sizeof(item.offload));
		message = outbox_begin(outbox, NULL, item.packets);
		message->size = (uint32_t)item.size;
		outbox_append(outbox, header, sizeof(item.offload));
		for (unsigned int i = 0; i < item.iov_count; i++)
			outbox_append(outbox, iov[i].iov_base, iov[i].iov_len);
	}
	coalesce_reset(port->coalescer);
}

void pump_flush(struct pump *pump, struct port *port)
{
	if (port->coalescer)
		empty_coalescer(pump, port);
	if (port->outbox.count)
		flush_outbox(pump, port);
}

/* ---- receiving ---------------------------------------------------------------------------- */

/* Decide about one packet and queue what becomes of it. */
static void take_packet(struct pump *pump, unsigned int from, struct packet *packet,
		       const union endpoint *sender)
{
	unsigned int packets = packet_count(packet);
	struct outcome out;
	struct port *port;

	port_count(&pump->port[from], RX_PACKETS, packets, packet->size);
	if (packet->size > pump->buffer_size && packets == 1) {
		pump->counters[DROP_TRUNCATED]++;
		return;
	}
	if (!pump->forward(&pump->forwarder, from, packet, packets, sender, &out))
		return;
	port = &pump->port[out.port];
	/* An ICMP error is one packet, whatever it is about. */
	port->kind->add(pump, port, packet, packet_is_super(packet) ? packets : 1, out.to);
}

/* Whether an ICMP error may be made of the packet: it has no hop left. */
static bool is_at_its_end(const struct packet *packet)
{
	return packet->size >= IPV4_HEADER && ip_hops(packet->data) <= 1;
}

/*
 * Take a packet that has neighbours in its buffer. One that may become an ICMP error, which may be
 * longer than it is, does so in a buffer of its own and is sent before that is used again: back to
 * where the packet came from, so before anything else is.
 */
static void take_neighbour(struct pump *pump, unsigned int from, struct packet *packet,
			  const union endpoint *sender)
{
	if (!is_at_its_end(packet)) {
		take_packet(pump, from, packet, sender);
		return;
	}
	memcpy(pump->spare, packet->data, packet->size);
	packet->data = pump->spare;
	take_packet(pump, from, packet, sender);
	pump_flush(pump, &pump->port[from]);
}

static void take_unit(struct pump *pump, unsigned int from, struct unit *unit)
{
	uint32_t size = unit->packet.size, stride = unit->stride;

	pump->port[from].traffic[RX_UNITS]++;
	if (pump->handicap)
		handicap_suffer(pump->handicap, unit->packet.data, size);
	if (stride >= size) {
		take_packet(pump, from, &unit->packet, &unit->sender);
		return;
	}
	pump->port[from].traffic[RX_SUPERS]++;
	for (uint32_t offset = 0; offset < size; offset += stride) {
		struct packet packet = {
			.data = unit->packet.data + offset,
			.size = size - offset < stride ? size - offset : stride,
		};

		take_neighbour(pump, from, &packet, &unit->sender);
	}
}

static void take_units(struct pump *pump, unsigned int from, unsigned int count)
{
	if (pump->router)
		pump->forwarder.routes = router_acquire(pump->router, pump->router_slot);
	for (unsigned int i = 0; i < count; i++)
		take_unit(pump, from, &pump->inbox.units[i]);
	for (unsigned int i = 0; i < 2; i++)
		pump_flush(pump, &pump->port[i]);
	if (pump->router)
		router_release(pump->router, pump->router_slot);
}

/* Move one batch. Returns how many units came, or -ECANCELED when stopped, or -errno. */
static int move_from(struct pump *pump, unsigned int from)
{
	struct port *port = &pump->port[from];
	int count = port->kind->receive(port, &pump->inbox);

	if (count <= 0)
		return count;
	take_units(pump, from, (unsigned int)count);
	return pump->ended ? pump->ended : count;
}

/* ---- whom to serve, and how to wait ------------------------------------------------------- */

static int look_if_due(struct pump *pump)
{
	return stop_is_due(&pump->stop) ? look_for_stop(pump) : 0;
}

int pump_serve_turns(struct pump *pump, unsigned int ready)
{
	int first, second, stop;

	(void)ready;
	do {
		if ((first = move_from(pump, 0)) < 0)
			return first;
		if ((second = move_from(pump, 1)) < 0)
			return second;
		if ((stop = look_if_due(pump)) < 0)
			return stop;
	} while (first || second);
	return 0;
}

int pump_serve_ready(struct pump *pump, unsigned int ready)
{
	int count, total;

	for (unsigned int from = 0; from < 2; from++) {
		if (!(ready >> from & 1))
			continue;
		for (total = 0; total < PACKETS_A_VISIT; total += count) {
			count = move_from(pump, from);
			if (count < 0)
				return count;
			if (count < (int)pump->port[from].batch)
				break;
		}
	}
	return look_if_due(pump);
}

int pump_ask_poll(struct pump *pump, bool sleep)
{
	struct pollfd fds[] = {
		{.fd = pump->port[0].fd, .events = POLLIN},
		{.fd = pump->port[1].fd, .events = POLLIN},
		{.fd = pump->stop.fd, .events = POLLIN},
	};
	int ready = poll(fds, 3, sleep ? -1 : 0), result;

	pump->counters[SYSCALL_POLL]++;
	if (ready < 0 && errno != EINTR)
		return -errno;
	if (ready <= 0)
		return 0;
	result = stop_from_poll(fds[2].revents);
	if (result != 0)
		return result < 0 ? result : -ECANCELED;
	stop_was_seen(&pump->stop);
	/* Whatever else poll() reports, an error included, the receive call will name. */
	return (fds[0].revents != 0) | (fds[1].revents != 0) << 1;
}

int pump_wait_block(struct pump *pump)
{
	return pump->ask(pump, true);
}

int pump_wait_spin(struct pump *pump)
{
	return pump->ask(pump, false);
}

int pump_wait_not(struct pump *pump)
{
	(void)pump;
	return 3;
}

int pump_wait_linger(struct pump *pump)
{
	int64_t deadline_ns = 0, now;
	int ready;

	while ((ready = pump->ask(pump, false)) == 0) {
		now = now_ns();
		if (deadline_ns == 0)
			deadline_ns = now + pump->linger_ns;
		else if (now >= deadline_ns)
			return pump->ask(pump, true);
		sched_yield();
		pump->counters[SYSCALL_SCHED_YIELD]++;
	}
	return ready;
}

int pump_loop(struct pump *pump)
{
	int result;

	do {
		result = pump->wait(pump);
		if (result > 0)
			result = pump->serve(pump, (unsigned int)result);
	} while (result >= 0);
	return result == -ECANCELED ? 0 : result;
}
