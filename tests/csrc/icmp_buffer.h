/* icmp_buffer.h - ICMP errors in a buffer no longer than promised; for the tests of both versions. */
#ifndef ICMP_BUFFER_H
#define ICMP_BUFFER_H

#include <stdlib.h>
#include <string.h>

#include "icmp.h"
#include "test.h"

typedef size_t icmp_error_function(uint8_t *packet, size_t size, enum icmp_error error,
				   const uint8_t *source);

/*
 * Make the error about `packet` with `make`, in a buffer no longer than promised to it, and copy it to
 * `out`; returns its size. Behind the packet lies what would pass for an echo request, of type `echo`.
 */
static inline size_t error_in_tight_buffer(icmp_error_function *make, uint8_t echo,
					   const uint8_t *source, const uint8_t *packet,
					   size_t size, enum icmp_error error, uint8_t *out)
{
	size_t room = size > ICMP_ERROR_MAX ? size : ICMP_ERROR_MAX;
	uint8_t *buffer = malloc(room);
	size_t result;

	NEED(buffer);
	memset(buffer, echo, room);
	memcpy(buffer, packet, size);
	result = make(buffer, size, error, source);
	if (result == 0)
		CLAIM(memcmp(buffer, packet, size) == 0, "a packet nobody is told about is unchanged");
	memcpy(out, buffer, result);
	free(buffer);
	return result;
}

#endif
