/*
 * pattern.c - pseudo-random payloads that a receiver can compute again.
 *
 * Theory of operation. Word number i of a payload is a hash of the datagram's state and i, so that
 * the processor may work on several at once, which a generator with a running state would forbid;
 * and no word repeats another one in the same or any other datagram, so that a segment that ended
 * up elsewhere is as wrong as one whose bits were turned over. The state covers the seed, the
 * stream, the sequence number and the size: a datagram that was cut or glued together is wrong
 * from its header on. Words are little-endian in the datagram, whatever the machine is.
 */
#include "pattern.h"

#include <string.h>

#define STEP 0x9e3779b97f4a7c15

static uint64_t word_at(uint64_t state, size_t index)
{
	return htole64(pattern_mix(state + (index + 1) * STEP));
}

void pattern_fill(uint8_t *payload, size_t size, uint64_t state)
{
	size_t words = size / 8, tail = size % 8;
	uint64_t word;

	for (size_t i = 0; i < words; i++) {
		word = word_at(state, i);
		memcpy(payload + 8 * i, &word, 8);
	}
	word = word_at(state, words);
	memcpy(payload + 8 * words, &word, tail);
}

/* Index of the first byte of `payload` that is not as in `word`, which is known to differ. */
static size_t first_difference(const uint8_t *payload, uint64_t word)
{
	uint8_t expected[8];
	size_t i = 0;

	memcpy(expected, &word, 8);
	while (payload[i] == expected[i])
		i++;
	return i;
}

size_t pattern_check(const uint8_t *payload, size_t size, uint64_t state)
{
	size_t words = size / 8, tail = size % 8;
	uint64_t word, found;

	for (size_t i = 0; i < words; i++) {
		word = word_at(state, i);
		memcpy(&found, payload + 8 * i, 8);
		if (found != word)
			return 8 * i + first_difference(payload + 8 * i, word);
	}
	word = word_at(state, words);
	if (memcmp(payload + 8 * words, &word, tail) == 0)
		return size;
	return 8 * words + first_difference(payload + 8 * words, word);
}
