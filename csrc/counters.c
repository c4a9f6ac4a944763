/*
 * counters.c - names of the counters, and which of them an errno belongs to.
 *
 * Theory of operation. The table in counters.h is expanded twice: there into indices, here into
 * names, so the two cannot drift apart. The pump is the only writer and uses plain increments; an
 * aligned 64-bit store is indivisible on every architecture the pump is built for, so a reader in
 * another thread or process may be late but never sees half a number.
 */
#include "counters.h"

#include <errno.h>

#include "vnetbench.h"

static const char *const names[COUNTER_COUNT] = {
#define X(index, name) [index] = name,
	COUNTERS(X)
#undef X
};

size_t vnb_counter_count(void)
{
	return COUNTER_COUNT;
}

const char *vnb_counter_name(size_t index)
{
	return index < COUNTER_COUNT ? names[index] : NULL;
}

enum counter counter_for_error(int error)
{
	switch (error) {
	case EIO:
		return DROP_DEVICE_DOWN;
	case ECONNREFUSED:
		return DROP_REFUSED;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
		return DROP_UNREACHABLE;
	case EMSGSIZE:
		return DROP_TOO_BIG;
	case ENOBUFS:
	case ENOMEM:
		return DROP_NO_BUFFERS;
	case EPERM:
	case EACCES:
		return DROP_NOT_PERMITTED;
	default:
		return DROP_OTHER_ERROR;
	}
}
