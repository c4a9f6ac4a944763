/*
 * switches.c - the table of switches as data for whoever offers them to users.
 *
 * Theory of operation. The table in switches.h is expanded there into indices and here into entries,
 * so command line, scenario parameters and documentation are made from one place.
 */
#include "switches.h"

#include <stddef.h>

#include "vnetbench.h"

static const struct vnb_switch table[SWITCH_COUNT] = {
#define X(index, name, values, initial, least, most, help) \
	[SWITCH_##index] = {name, values, initial, least, most, help},
	SWITCHES(X)
#undef X
};

const struct vnb_switch *vnb_switch_at(size_t index)
{
	return index < SWITCH_COUNT ? &table[index] : NULL;
}
