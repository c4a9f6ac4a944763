/*
 * engine_rw.c - one packet per system call, as flannel's UDP proxy does it.
 *
 * Theory of operation. This engine is the historical baseline, so the order of its system calls is
 * flannel's, call for call. One thread polls both ports and the stop descriptor without a timeout.
 * When there is something on a port, it takes turns until a turn moves nothing:
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
 * Where it differs from flannel, it differs outside the packet's path. flannel hears its control
 * descriptor only from poll(), so never under sustained traffic; this one also looks when 50 ms have
 * passed on a clock that costs no system call (descriptor.c). flannel repeats a write the tun does
 * not take (EAGAIN) for ever; so does this one, but a stop ends it. The buffer is one byte longer
 * than the largest packet, so that a packet the kernel cut short is recognised, on every kind of
 * port, by filling it.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "counters.h"
#include "pump.h"

static int look_for_stop(struct pump *pump)
{
	pump->counters[SYSCALL_POLL]++;
	return stop_is_asked(&pump->stop);
}

/* Send until the port takes it. Returns 0, -ECANCELED when the stop came first, or -errno. */
static int deliver(struct pump *pump, const uint8_t *packet, const struct outcome *out)
{
	struct port *port = &pump->port[out->port];
	int result;

	for (unsigned int tries = 1;; tries++) {
		result = port_send(port, packet, out->size, &out->to);
		if (result != -EAGAIN)
			return result;
		if (tries % port->kind->patience)
			continue;
		result = look_for_stop(pump);
		if (result == 0)
			continue;
		pump->counters[DROP_STOPPED]++;
		return result < 0 ? result : -ECANCELED;
	}
}

/* Try one port. Returns 1 if something came from it, 0 if not, or what deliver() returns. */
static int move_from(struct pump *pump, unsigned int from, uint8_t *buffer, size_t room)
{
	ssize_t size = port_receive(&pump->port[from], buffer, room);
	struct outcome out;
	int result;

	if (size < 0)
		return size == -EAGAIN ? 0 : (int)size;
	if ((size_t)size > pump->buffer_size) {
		pump->counters[DROP_TRUNCATED]++;
		return 1;
	}
	if (!pump->forward(&pump->forwarder, from, buffer, (size_t)size, &out))
		return 1;
	result = deliver(pump, buffer, &out);
	return result < 0 ? result : 1;
}

/* Take turns until nothing moves: 0. Or -ECANCELED when stopped, or -errno. */
static int move_all(struct pump *pump, uint8_t *buffer, size_t room)
{
	int first, second, stop;

	do {
		if ((first = move_from(pump, 0, buffer, room)) < 0)
			return first;
		if ((second = move_from(pump, 1, buffer, room)) < 0)
			return second;
		if (stop_is_due(&pump->stop) && (stop = look_for_stop(pump)) != 0)
			return stop < 0 ? stop : -ECANCELED;
	} while (first || second);
	return 0;
}

static int loop(struct pump *pump, uint8_t *buffer, size_t room)
{
	struct pollfd fds[] = {
		{.fd = pump->port[0].fd, .events = POLLIN},
		{.fd = pump->port[1].fd, .events = POLLIN},
		{.fd = pump->stop.fd, .events = POLLIN},
	};
	int ready, result;

	for (;;) {
		ready = poll(fds, 3, -1);
		pump->counters[SYSCALL_POLL]++;
		if (ready < 0 && errno != EINTR)
			return -errno;
		if (ready <= 0)
			continue;
		result = stop_from_poll(fds[2].revents);
		if (result != 0)
			return result < 0 ? result : -ECANCELED;
		stop_was_seen(&pump->stop);
		/* Whatever else poll() reports, an error included, the receive call will name. */
		result = move_all(pump, buffer, room);
		if (result < 0)
			return result;
	}
}

int engine_rw(struct pump *pump)
{
	size_t room = pump->buffer_size + 1;
	uint8_t *buffer = malloc(room < FORWARD_ROOM ? FORWARD_ROOM : room);
	int result;

	if (!buffer)
		return -ENOMEM;
	result = loop(pump, buffer, room);
	free(buffer);
	return result == -ECANCELED ? 0 : result;
}
