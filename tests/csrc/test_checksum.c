#include <stdlib.h>
#include <string.h>

#include "checksum.h"
#include "ip.h"
#include "test.h"

/* Several vectors of any machine, and a cache line: a vector may lie anywhere in it. */
enum { LENGTHS = 300, ALIGNMENTS = 64, LONGEST = 65535 };

/* The definition, word by word: RFC 1071, section 1. */
static uint16_t by_definition(const uint8_t *data, size_t size)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += (uint32_t)data[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint16_t in_host_order(uint16_t check)
{
	uint8_t bytes[2];

	memcpy(bytes, &check, sizeof(bytes));
	return load16(bytes);
}

static void fill(uint8_t *data, size_t size, uint32_t *random)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)test_random(random);
}

static void sums(void)
{
	static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	uint8_t data[LENGTHS + ALIGNMENTS];
	uint32_t random = 1;
	bool same = true;

	CLAIM(in_host_order(checksum(example, sizeof(example))) == 0x220d,
	      "the checksum of RFC 1071's example is the one printed there");
	CLAIM(checksum(example, 0) == 0xffff, "the checksum of nothing is 0xffff");

	fill(data, sizeof(data), &random);
	for (size_t offset = 0; offset < ALIGNMENTS; offset++)
		for (size_t size = 0; size <= LENGTHS; size++)
			same &= in_host_order(checksum(data + offset, size)) ==
				by_definition(data + offset, size);
	CLAIM(same, "the checksum follows its definition at every alignment and length");

	memset(data, 0xff, sizeof(data));
	CLAIM(in_host_order(checksum(data, sizeof(data))) == by_definition(data, sizeof(data)),
	      "no carry is lost when every bit is set");
}

/* A copy that ends where its allocation ends, so that a sanitizer sees a vector that reads over it. */
static void bounds(void)
{
	uint32_t random = 3;
	bool same = true;

	for (size_t size = 1; size <= LENGTHS; size++) {
		uint8_t *exact = malloc(size);

		NEED(exact);
		fill(exact, size, &random);
		same &= in_host_order(checksum(exact, size)) == by_definition(exact, size);
		free(exact);
	}
	CLAIM(same, "no byte behind the data is read, nor counted");
}

static void long_sums(void)
{
	static uint8_t data[LONGEST];
	uint32_t random = 5;
	bool same = true;

	memset(data, 0xff, sizeof(data));
	CLAIM(in_host_order(checksum(data, sizeof(data))) == by_definition(data, sizeof(data)),
	      "no carry is lost in the longest packet of all ones");
	fill(data, sizeof(data), &random);
	for (unsigned int i = 0; i < 50; i++) {
		size_t size = test_random(&random) % sizeof(data);

		same &= in_host_order(checksum(data, size)) == by_definition(data, size);
	}
	CLAIM(same, "nor in a long packet of any bytes");
}

static void pieces(void)
{
	uint8_t data[2 * LENGTHS];
	uint32_t random = 9;
	bool same = true, folded = true;

	fill(data, sizeof(data), &random);
	for (size_t first = 0; first <= LENGTHS; first += 2)
		for (size_t rest = 0; rest <= LENGTHS; rest += 7) {
			uint64_t sum = checksum_add(checksum_add(0, data, first), data + first, rest);

			same &= in_host_order((uint16_t)~checksum_fold(sum)) ==
				by_definition(data, first + rest);
		}
	CLAIM(same, "the sum of pieces of even size is that of the whole, the last piece of any size");

	for (unsigned int size = 0; size <= LENGTHS; size++) { /* 2^64 - 1 is 0 modulo 0xffff */
		uint64_t sum = checksum_add(UINT64_MAX, data, size);

		folded &= checksum_fold(sum) == checksum_fold(checksum_add(0xffff, data, size));
	}
	CLAIM(folded, "no carry is lost of what was summed before, however much");
	CLAIM(in_host_order(checksum_fold(checksum_add16(0, 0x1234))) == 0x1234,
	      "a value in host order is added as it lies in a header");
}

static void patches(void)
{
	uint8_t packet[IPV4_HEADER];
	uint32_t random = 7;
	bool sound = true, kept = true;

	for (unsigned int i = 0; i < 300; i++)
		for (unsigned int ttl = 2; ttl < 256; ttl++) {
			test_packet(packet, sizeof(packet), test_random(&random), test_random(&random),
				    (uint8_t)ttl);
			sound &= ip_spend_hop(packet) && packet[IPV4_TTL] == ttl - 1 &&
				 test_header_is_sound(packet);
		}
	CLAIM(sound, "after a decrement the patched checksum is the one a recount gives");

	for (uint32_t first = 0; first <= 0xffff; first++) { /* every value the checksum can have */
		test_packet(packet, sizeof(packet), first << 16 | 1, 1, 64);
		sound &= ip_spend_hop(packet) && test_header_is_sound(packet);
		test_packet(packet, sizeof(packet), first << 16 | 1, 1, 64);
		packet[IPV4_CHECKSUM] ^= 1;
		kept &= ip_spend_hop(packet) && !test_header_is_sound(packet);
	}
	CLAIM(sound, "this is so whatever the checksum was, the carries included");
	CLAIM(kept, "a wrong checksum stays wrong");
}

void test_checksum(void)
{
	sums();
	bounds();
	long_sums();
	pieces();
	patches();
}
