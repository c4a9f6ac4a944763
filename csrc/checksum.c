/*
 * checksum.c - the Internet checksum.
 *
 * Theory of operation. The one's-complement sum does not depend on byte order (RFC 1071, 2B): words
 * summed as they lie in memory give the sum as it lies in memory. So nothing is swapped here, and
 * 32-bit words can be summed into 64 bits and folded at the end.
 *
 * A change of one word is patched in without reading the rest (RFC 1624, equation 3). The older
 * equation of RFC 1141 can turn a valid checksum into the other zero, which receivers refuse.
 */
#include "checksum.h"

#include <string.h>

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint16_t checksum(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint64_t sum = 0;
	uint32_t word;

	for (; size >= sizeof(word); bytes += sizeof(word), size -= sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		sum += word;
	}
	if (size) {
		word = 0;
		memcpy(&word, bytes, size); /* RFC 1071: pad with zero */
		sum += word;
	}
	return (uint16_t)~fold(sum);
}

uint16_t checksum_patch(uint16_t check, uint16_t before, uint16_t after)
{
	return (uint16_t)~fold((uint64_t)(uint16_t)~check + (uint16_t)~before + after);
}
