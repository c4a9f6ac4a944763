#include <string.h>

#include "checksum.h"
#include "ip.h"
#include "test.h"

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

static void sums(void)
{
	static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	uint8_t data[300];
	uint32_t random = 1;
	bool same = true;

	CLAIM(in_host_order(checksum(example, sizeof(example))) == 0x220d,
	      "the checksum of RFC 1071's example is the one printed there");
	CLAIM(checksum(example, 0) == 0xffff, "the checksum of nothing is 0xffff");

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)test_random(&random);
	for (size_t offset = 0; offset < 8; offset++)
		for (size_t size = 0; size < sizeof(data) - 8; size++)
			same &= in_host_order(checksum(data + offset, size)) ==
				by_definition(data + offset, size);
	CLAIM(same, "the checksum follows its definition at every alignment and length");

	memset(data, 0xff, sizeof(data));
	CLAIM(in_host_order(checksum(data, sizeof(data))) == by_definition(data, sizeof(data)),
	      "no carry is lost when every bit is set");
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
	patches();
}
