/*
 * pump.c - checks what is to be pumped, and hands it to an engine.
 *
 * Theory of operation. Two tables: which kinds of ports can be joined, with the function that
 * decides about a packet between them; and the engines, each a loop that receives, asks that
 * function, and sends. An engine is one file and one line here. Checks happen once, before the
 * loop: engines rely on them and check nothing again.
 */
#include "pump.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "counters.h"

enum { BUFFER_SIZE_MIN = 20, BUFFER_SIZE_MAX = 65535 };

static const struct join {
	enum vnb_port_kind kind[2];
	forward_function *forward;
} joins[] = {
	{{VNB_PORT_TUN, VNB_PORT_UDP}, forward_tun_udp},
	{{VNB_PORT_TUN, VNB_PORT_TUN}, forward_tun_tun},
	{{VNB_PORT_TAP, VNB_PORT_TAP}, forward_tap_tap},
};

static const struct engine {
	const char *name;
	engine_function *run;
} engines[] = {
	{"rw", engine_rw},
};

enum {
	JOIN_COUNT = sizeof(joins) / sizeof(joins[0]),
	ENGINE_COUNT = sizeof(engines) / sizeof(engines[0]),
};

const char *vnb_engine_name(size_t index)
{
	return index < ENGINE_COUNT ? engines[index].name : NULL;
}

static engine_function *find_engine(const char *name)
{
	for (size_t i = 0; i < ENGINE_COUNT; i++)
		if (strcmp(engines[i].name, name) == 0)
			return engines[i].run;
	return NULL;
}

static forward_function *find_join(const struct vnb_port port[2])
{
	for (size_t i = 0; i < JOIN_COUNT; i++)
		if (joins[i].kind[0] == port[0].kind && joins[i].kind[1] == port[1].kind)
			return joins[i].forward;
	return NULL;
}

int vnb_pump_run(const char *engine, const struct vnb_pump *pump, uint64_t *counters)
{
	engine_function *run = find_engine(engine);
	bool tunnels = pump->port[1].kind == VNB_PORT_UDP;
	struct pump state = {
		.forward = find_join(pump->port),
		.stop = {.fd = pump->stop_fd},
		.counters = counters,
		.buffer_size = pump->buffer_size,
	};
	int result;

	if (!run || !state.forward || tunnels != (pump->routes != NULL))
		return -EINVAL;
	if (pump->buffer_size < BUFFER_SIZE_MIN || pump->buffer_size > BUFFER_SIZE_MAX)
		return -EINVAL;
	for (unsigned int i = 0; i < 2; i++) {
		result = port_open(&state.port[i], &pump->port[i], i, counters);
		if (result < 0)
			return result;
	}
	forward_init(&state.forwarder, pump, counters);
	return run(&state);
}
