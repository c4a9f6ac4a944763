/*
 * inbox.c - memory for received packets.
 *
 * Theory of operation. One buffer a unit, all in one piece of memory that is made once. Pages that
 * no packet ever touches cost nothing, so buffers for the largest packets are no waste. Each buffer
 * is one byte longer than the largest unit: what the kernel cut short is recognised, on every kind
 * of port, by filling it.
 */
#include "inbox.h"

#include <errno.h>
#include <stdlib.h>

int inbox_open(struct inbox *inbox, unsigned int count, size_t largest)
{
	*inbox = (struct inbox){.room = largest + 1};
	inbox->memory = aligned_alloc(64, count * inbox_pitch(inbox));
	return inbox->memory ? 0 : -ENOMEM;
}

void inbox_close(struct inbox *inbox)
{
	free(inbox->memory);
	inbox->memory = NULL;
}
