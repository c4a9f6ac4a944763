/*
 * pump.c - checks what is to be pumped, and puts together what pumps it.
 *
 * Theory of operation. Tables say which kinds of ports can be joined, with the function that decides
 * about a packet between them, and which settings exclude each other, with the reason a user is
 * told. All choices are made here, once, as function pointers and sizes: the loop checks nothing
 * again and asks no setting.
 */
#include "pump.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "switches.h"
#include "uring.h"

enum { BUFFER_SIZE_MIN = 20, BUFFER_SIZE_MAX = 65535 };

static const struct join {
	enum vnb_port_kind kind[2];
	forward_function *forward;
} joins[] = {
	{{VNB_PORT_TUN, VNB_PORT_UDP}, forward_tun_udp},
	{{VNB_PORT_TUN, VNB_PORT_TUN}, forward_tun_tun},
	{{VNB_PORT_TAP, VNB_PORT_TAP}, forward_tap_tap},
};

static bool tunnels(const struct vnb_pump *pump)
{
	return pump->port[1].kind == VNB_PORT_UDP;
}

static forward_function *find_join(const struct vnb_port port[2])
{
	for (size_t i = 0; i < sizeof(joins) / sizeof(joins[0]); i++)
		if (joins[i].kind[0] == port[0].kind && joins[i].kind[1] == port[1].kind)
			return joins[i].forward;
	return NULL;
}

const char *vnb_pump_refusal(const struct vnb_pump *pump)
{
	const int64_t *settings = pump->settings;

	if (!find_join(pump->port))
		return "a pump joins a tun and a UDP socket, two tuns, or two taps";
	if (settings[SWITCH_IO] == IO_URING && !settings[SWITCH_READINESS])
		return "io=uring has no receive calls to try in vain: it needs readiness=on";
	if (settings[SWITCH_IO] == IO_URING && settings[SWITCH_WAIT] == WAIT_BUSY)
		return "wait=busy belongs to receive calls, which io=uring does not make";
	if (settings[SWITCH_IO] == IO_URING && !uring_built())
		return "io=uring is not built in: install liburing's headers (liburing-dev) and build again";
	if (settings[SWITCH_LINGER] && settings[SWITCH_WAIT] == WAIT_SPIN)
		return "wait=spin never sleeps, so there is nothing to linger before: linger must be 0";
	if (settings[SWITCH_UDP_OFFLOAD] && !tunnels(pump))
		return "udp_offload=on needs a UDP socket, which a pump between two devices has not";
	if (settings[SWITCH_WAIT] == WAIT_BUSY && !tunnels(pump))
		return "wait=busy needs a UDP socket, which a pump between two devices has not";
	return NULL;
}

static bool is_sound(const struct vnb_pump *pump)
{
	for (size_t i = 0; i < SWITCH_COUNT; i++)
		if (pump->settings[i] < vnb_switch_at(i)->least ||
		    pump->settings[i] > vnb_switch_at(i)->most)
			return false;
	return !vnb_pump_refusal(pump) && tunnels(pump) == (pump->router != NULL) &&
	       pump->buffer_size >= BUFFER_SIZE_MIN && pump->buffer_size <= BUFFER_SIZE_MAX;
}

static int open_port(struct pump *pump, const struct vnb_pump *from, unsigned int index)
{
	struct port *port = &pump->port[index];
	bool is_socket = from->port[index].kind == VNB_PORT_UDP;
	int result;

	port->fd = from->port[index].fd;
	port->batch = (unsigned int)from->settings[SWITCH_BATCH];
	port->counters = pump->counters;
	port->traffic = pump->counters + (size_t)index * COUNTERS_PER_PORT;
	port->kind = !is_socket ? &port_device : port->batch > 1 ? &port_udp_batch : &port_udp;
	if ((result = port->kind->prepare(port, from->settings)) < 0)
		return result;
	if (port->joins && tunnels(from) && !(port->coalescer = coalesce_new(port->joins)))
		return -ENOMEM;
	return 0;
}

/* Bytes of the largest thing that one receive may bring. */
static size_t largest_unit(const struct vnb_pump *pump)
{
	bool offload = pump->settings[SWITCH_TUN_OFFLOAD] || pump->settings[SWITCH_UDP_OFFLOAD];

	return offload ? UNIT_MAX : pump->buffer_size < FORWARD_ROOM ? FORWARD_ROOM : pump->buffer_size;
}

static int open_parts(struct pump *pump, const struct vnb_pump *from)
{
	size_t largest = largest_unit(from);
	int result;

	pump->router_slot = -1;
	if (!(pump->spare = malloc(largest + FORWARD_ROOM)))
		return -ENOMEM;
	if ((result = inbox_open(&pump->inbox, (unsigned int)from->settings[SWITCH_BATCH], largest)) < 0 ||
	    (result = open_port(pump, from, 0)) < 0 || (result = open_port(pump, from, 1)) < 0 ||
	    (result = handicap_open(&pump->handicap, from->settings, pump->inbox.room, pump->counters)) < 0)
		return result;
	if (from->settings[SWITCH_IO] == IO_URING && (result = uring_open(pump)) < 0)
		return result;
	if (from->router && (result = pump->router_slot = router_join(from->router)) < 0)
		return result;
	return 0;
}

static void close_parts(struct pump *pump)
{
	if (pump->router_slot >= 0)
		router_leave(pump->router, pump->router_slot);
	uring_close(pump);
	handicap_close(pump->handicap);
	for (unsigned int i = 0; i < 2; i++)
		coalesce_free(pump->port[i].coalescer);
	inbox_close(&pump->inbox);
	free(pump->spare);
}

static void choose_loop(struct pump *pump, const int64_t *settings)
{
	bool ready = settings[SWITCH_READINESS];

	pump->linger_ns = settings[SWITCH_LINGER] * 1000;
	pump->serve = ready ? pump_serve_ready : pump_serve_turns;
	pump->ask = pump_ask_poll;
	if (settings[SWITCH_WAIT] == WAIT_SPIN)
		pump->wait = ready ? pump_wait_spin : pump_wait_not;
	else
		pump->wait = pump->linger_ns ? pump_wait_linger : pump_wait_block;
}

int vnb_pump_run(const struct vnb_pump *from, uint64_t *counters)
{
	struct pump *pump;
	int result;

	if (!is_sound(from))
		return -EINVAL;
	pump = calloc(1, sizeof(*pump));
	if (!pump)
		return -ENOMEM;
	pump->forward = find_join(from->port);
	pump->router = from->router;
	pump->stop.fd = from->stop_fd;
	pump->counters = counters;
	pump->buffer_size = from->buffer_size;
	pump->forwarder.counters = counters;
	pump->forwarder.trust = (enum trust)from->settings[SWITCH_TRUST];
	memcpy(pump->forwarder.icmp_source4, from->icmp_source4, sizeof(from->icmp_source4));
	memcpy(pump->forwarder.icmp_source6, from->icmp_source6, sizeof(from->icmp_source6));
	choose_loop(pump, from->settings);
	result = open_parts(pump, from);
	if (result >= 0)
		result = pump_loop(pump);
	close_parts(pump);
	free(pump);
	return result;
}
