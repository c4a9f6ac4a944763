/*
 * delay.h - how long datagrams take one way, at a load that nothing on the way can change.
 *
 * Theory of operation. When each datagram is due is written down before the first is sent. A closed
 * loop, or a sender that waits for its turn, does not send while the path stalls, and so leaves out
 * just the datagrams that would have suffered (coordinated omission). Here each carries the time at
 * which it was *due*, and that time never moves: a sender that was held up sends what is overdue
 * as fast as it can, and the wait is in those datagrams' delay, as it would be in that of a user's.
 * Beside it a datagram carries the time at which it *was* handed over, so that both delays are known.
 *
 * Both ends read CLOCK_MONOTONIC, one clock for all namespaces of a machine. (The kernel's own stamps of
 * reception, SO_TIMESTAMPNS, are CLOCK_REALTIME, which is not, and do not contain the waking of the
 * program that waits.) Where several datagrams are due they go in one call, and where several wait
 * they come in one: then they share a time.
 *
 * All memory is there, and touched, before the first datagram is due.
 */
#ifndef DELAY_H
#define DELAY_H

#include <stdint.h>

#include "pattern.h"
#include "vnetbench.h"

/* What follows the stream's header, in the machine's own byte order: it never leaves it. */
struct stamps {
	int64_t due_ns;
	int64_t handed_ns;
};

_Static_assert(sizeof(struct pattern_header) + sizeof(struct stamps) == VNB_DELAY_HEADER,
	       "both headers are what is asked for as the least size");

#endif
