#include <stdlib.h>
#include <string.h>

#include "ipv4.h"
#include "test.h"

/* Ask about a copy that ends where its allocation ends, so that a sanitizer sees an overrun. */
static bool is_valid(const uint8_t *packet, size_t size, enum counter *reason)
{
	uint8_t *exact = malloc(size ? size : 1);
	bool valid;

	NEED(exact);
	if (size)
		memcpy(exact, packet, size);
	valid = ipv4_valid(exact, size, reason);
	free(exact);
	return valid;
}

static bool is_refused(const uint8_t *packet, size_t size, enum counter expected)
{
	enum counter reason;

	return !is_valid(packet, size, &reason) && reason == expected;
}

static void sizes(void)
{
	uint8_t packet[100];
	enum counter reason;
	bool refused = true;

	test_packet(packet, 64, 1, 2, 64);
	CLAIM(is_valid(packet, 64, &reason), "a whole packet is valid");
	for (size_t size = 0; size < 64; size++)
		refused &= is_refused(packet, size, DROP_MALFORMED);
	CLAIM(refused, "a packet cut short at any byte is malformed");
	CLAIM(is_refused(packet, 65, DROP_MALFORMED), "so is one with a byte behind its end");

	test_packet(packet, IPV4_HEADER, 1, 2, 64);
	CLAIM(is_valid(packet, IPV4_HEADER, &reason), "a header without payload is valid");
}

static void headers(void)
{
	uint8_t packet[100];
	enum counter reason;
	bool refused = true;

	test_packet(packet, 40, 1, 2, 64);
	for (unsigned int version = 0; version < 16; version++) {
		packet[0] = (uint8_t)(version << 4 | 5);
		if (version != 4)
			refused &= is_refused(packet, 40, DROP_NOT_IPV4);
	}
	CLAIM(refused, "every version but 4 is refused as such");

	refused = true;
	for (uint8_t words = 0; words < 5; words++) {
		packet[0] = 0x40 | words;
		refused &= is_refused(packet, 40, DROP_MALFORMED);
	}
	CLAIM(refused, "a header shorter than 20 bytes is malformed");
	packet[0] = 0x4a;
	CLAIM(is_valid(packet, 40, &reason), "a header may fill the packet");
	packet[0] = 0x4b;
	CLAIM(is_refused(packet, 40, DROP_MALFORMED), "but not be longer than it");
	packet[0] = 0x45;
	store16(packet + IPV4_LENGTH, 0);
	CLAIM(is_refused(packet, 40, DROP_MALFORMED), "a total length of zero is malformed");
}

static void ttl(void)
{
	uint8_t packet[28], before[28];

	for (uint8_t value = 0; value < 2; value++) {
		test_packet(packet, sizeof(packet), 1, 2, value);
		memcpy(before, packet, sizeof(packet));
		CLAIM(!ipv4_decrement_ttl(packet), "TTL 0 and 1 have no hop left");
		CLAIM(memcmp(packet, before, sizeof(packet)) == 0, "and the packet is left as it came");
	}
	test_packet(packet, sizeof(packet), 1, 2, 2);
	CLAIM(ipv4_decrement_ttl(packet) && packet[IPV4_TTL] == 1, "TTL 2 has one");
}

void test_ipv4(void)
{
	sizes();
	headers();
	ttl();
}
