/*
 * checksum.c - the Internet checksum.
 *
 * Theory of operation. The one's-complement sum does not depend on byte order (RFC 1071, 2B): words
 * summed as they lie in memory give the sum as it lies in memory. So nothing is swapped here, and
 * 32-bit words can be summed into 64 bits and folded at the end.
 *
 * Every byte that the pump splits or joins is summed once, so this is where its own time goes. On
 * x86-64 with AVX2 eight words are added at a time, to two rows of four 64-bit sums, which four
 * gigabytes cannot overflow; the plain loop serves the rest and every other machine.
 *
 * A change of one word is patched in without reading the rest (RFC 1624, equation 3). The older
 * equation of RFC 1141 can turn a valid checksum into the other zero, which receivers refuse.
 */
#include "checksum.h"

#include <arpa/inet.h>
#include <string.h>

uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

#ifdef __x86_64__

#include <immintrin.h>

enum { BLOCK = 2 * sizeof(__m256i) };

/* Sum as many whole blocks as there are. */
__attribute__((target("avx2"))) static uint64_t add_blocks(const uint8_t *bytes, size_t size)
{
	__m256i low = _mm256_setzero_si256(), high = low, zero = low;
	uint64_t sums[4];

	for (; size >= BLOCK; bytes += BLOCK, size -= BLOCK) {
		__m256i a = _mm256_loadu_si256((const __m256i *)bytes);
		__m256i b = _mm256_loadu_si256((const __m256i *)bytes + 1);

		low = _mm256_add_epi64(low, _mm256_unpacklo_epi32(a, zero));
		high = _mm256_add_epi64(high, _mm256_unpackhi_epi32(a, zero));
		low = _mm256_add_epi64(low, _mm256_unpacklo_epi32(b, zero));
		high = _mm256_add_epi64(high, _mm256_unpackhi_epi32(b, zero));
	}
	_mm256_storeu_si256((__m256i *)sums, _mm256_add_epi64(low, high));
	return sums[0] + sums[1] + sums[2] + sums[3];
}

static size_t blocks_of(size_t size)
{
	return size >= BLOCK && __builtin_cpu_supports("avx2") ? size - size % BLOCK : 0;
}

#else

static uint64_t add_blocks(const uint8_t *bytes, size_t size)
{
	(void)bytes;
	(void)size;
	return 0;
}

static size_t blocks_of(size_t size)
{
	(void)size;
	return 0;
}

#endif

uint64_t checksum_add(uint64_t sum, const void *data, size_t size)
{
	const uint8_t *bytes = data;
	size_t blocks = blocks_of(size);
	uint32_t word;

	/* What has been added so far may have come near the top. */
	sum = (sum >> 32) + (sum & 0xffffffff);
	if (blocks)
		sum += add_blocks(bytes, blocks);
	for (bytes += blocks, size -= blocks; size >= sizeof(word);
	     bytes += sizeof(word), size -= sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		sum += word;
	}
	if (size) {
		word = 0;
		memcpy(&word, bytes, size); /* RFC 1071: pad with zero */
		sum += word;
	}
	return sum;
}

uint64_t checksum_add16(uint64_t sum, uint16_t value)
{
	return sum + htons(value);
}

uint16_t checksum(const void *data, size_t size)
{
	return (uint16_t)~checksum_fold(checksum_add(0, data, size));
}

uint16_t checksum_patch(uint16_t check, uint16_t before, uint16_t after)
{
	return (uint16_t)~checksum_fold((uint64_t)(uint16_t)~check + (uint16_t)~before + after);
}
