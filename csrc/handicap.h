/* handicap.h - deliberate extra work for each packet; see handicap.c. */
#ifndef HANDICAP_H
#define HANDICAP_H

#include <stddef.h>
#include <stdint.h>

struct handicap;

/*
 * Prepare the handicaps of `settings`: *handicap is NULL where there are none. Packets are at most
 * `largest` bytes. Returns 0, -ENOMEM, -EAGAIN (no thread to be had), what keeps datagrams from
 * crossing the loopback, such as -ENETUNREACH where it was never up, or what keeps the pump from
 * having a tun of its own (tuntrip.h).
 */
int handicap_open(struct handicap **handicap, const int64_t *settings, size_t largest,
		  uint64_t *counters);
void handicap_close(struct handicap *handicap); /* NULL is allowed */

/* Do the extra work for a unit of `size` bytes at `data`. */
void handicap_suffer(struct handicap *handicap, const uint8_t *data, size_t size);

#endif
