/*
 * joining.h - packets given to a coalescer, and what comes out, written down as text: "0+1 2" is
 * packets 0 and 1 joined, then packet 2 alone.
 */
#ifndef JOINING_H
#define JOINING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coalesce.h"
#include "flow.h"

enum { MSS = 100, ALL = COALESCE_TCP4 | COALESCE_TCP6 | COALESCE_UDP4 | COALESCE_UDP6 };

/* What all packets carry pieces of. */
extern uint8_t joining_payload[FLOW_PACKET_MAX];

/* Make an empty coalescer of all kinds; free it. */
struct coalescer *joining_open(void);
void joining_close(void);

void joining_forget(void);

/* Add a packet as it is. */
void joining_add_bytes(const uint8_t *packet, size_t size);

/* Write the flow's next packet of `size` bytes of payload, and move the flow on. */
size_t joining_next_packet(struct flow *flow, size_t size, uint8_t *packet);

/* Add the flow's next packet; the same with other flags, TCP. */
void joining_add(struct flow *flow, size_t size);
void joining_add_flags(struct flow *flow, size_t size, uint8_t flags);

/*
 * Fetch everything, write down what it is, and forget it. False: something is wrong with an item: a
 * single packet was touched, or cutting a super-packet again gives others than it was joined from.
 */
bool joining_fetch(char *text, size_t room);

/* Whether nothing is wrong and this is what comes out. */
bool joining_gives(const char *expected);

#endif
