/* What the canary's parts measure, and what they refuse. */
#include <errno.h>

#include "test.h"
#include "vnetbench.h"

enum { SIZE = 1 << 20, TRIES = 10, FEW_CALLS = 100, MANY_CALLS = 100000 };

/* The shortest of several tries: somebody else may have the CPU during most of one. */
static double shortest_copy(void)
{
	double shortest = 1e9, seconds;

	for (int i = 0; i < TRIES; i++) {
		NEED(vnb_canary_copies(SIZE, 1, &seconds) == 0);
		shortest = seconds < shortest ? seconds : shortest;
	}
	return shortest;
}

static double shortest_calls(void)
{
	double shortest = 1e9, seconds;

	for (int i = 0; i < TRIES; i++) {
		NEED(vnb_canary_calls(FEW_CALLS, &seconds) == 0);
		shortest = seconds < shortest ? seconds : shortest;
	}
	return shortest;
}

void test_canary(void)
{
	double one = shortest_copy(), few = shortest_calls(), many;

	CLAIM(vnb_canary_copies(0, 1, &many) == -EINVAL, "nothing cannot be copied");
	CLAIM(vnb_canary_copies(SIZE_MAX, 1, &many) == -EINVAL, "nor what two of fill all addresses");
	CLAIM(one > 0, "a copy takes time");
	CLAIM(vnb_canary_copies(SIZE, 100, &many) == 0 && many > 20 * one, "a hundred are all made");
	CLAIM(few > 0, "calls take time");
	CLAIM(vnb_canary_calls(MANY_CALLS, &many) == 0 && many > 100 * few, "and so is each call");
}
