#include <string.h>

#include "checksum.h"
#include "icmp.h"
#include "icmp_buffer.h"
#include "ipv4.h"
#include "test.h"

#define SENDER ADDRESS(10, 1, 1, 2)
#define RECEIVER ADDRESS(10, 2, 2, 3)
#define ROUTER ADDRESS(10, 9, 9, 9)

static const uint8_t router[4] = {10, 9, 9, 9}, unnamed[4];

static size_t error_about(const uint8_t *packet, size_t size, enum icmp_error error, uint8_t *out)
{
	return error_in_tight_buffer(icmp4_error, 8, router, packet, size, error, out);
}

static bool is_silent(const uint8_t *packet, size_t size)
{
	uint8_t out[ICMP_ERROR_MAX];

	return error_about(packet, size, ICMP_ERROR_TIME_EXCEEDED, out) == 0;
}

static void contents(void)
{
	uint8_t packet[ICMP_ERROR_MAX], out[ICMP_ERROR_MAX];
	size_t size;

	test_packet(packet, sizeof(packet), SENDER, RECEIVER, 1);
	size = error_about(packet, sizeof(packet), ICMP_ERROR_NO_ROUTE, out);
	CLAIM(size == 20 + 8 + 20 + 8, "an error quotes the header and 8 bytes");
	CLAIM(load16(out + IPV4_LENGTH) == size, "its total length is right");
	CLAIM(out[IPV4_PROTOCOL] == 1 && out[IPV4_TTL] == 64, "it is ICMP with a TTL of its own");
	CLAIM(load32(out + IPV4_SOURCE) == ROUTER, "it comes from the router");
	CLAIM(load32(out + IPV4_DESTINATION) == SENDER, "it goes to the packet's sender");
	CLAIM(test_header_is_sound(out), "the checksum of its header is right");
	CLAIM(out[20] == 3 && out[21] == 0, "net unreachable is type 3, code 0");
	CLAIM(checksum(out + 20, size - 20) == 0, "the checksum of its ICMP part is right");
	CLAIM(load32(out + 24) == 0, "the unused word is zero");
	CLAIM(memcmp(out + 28, packet, 28) == 0, "the quotation is literal");

	NEED(error_about(packet, sizeof(packet), ICMP_ERROR_TIME_EXCEEDED, out) == size);
	CLAIM(out[20] == 11 && out[21] == 0, "time exceeded is type 11, code 0");
	size = icmp4_error(packet, sizeof(packet), ICMP_ERROR_TIME_EXCEEDED, unnamed);
	CLAIM(load32(packet + IPV4_SOURCE) == RECEIVER && load32(packet + IPV4_DESTINATION) == SENDER,
	      "a router without an address speaks in the name of the one not reached");
	CLAIM(test_header_is_sound(packet) && checksum(packet + 20, size - 20) == 0,
	      "and its checksums are right all the same");
}

static void lengths(void)
{
	uint8_t packet[200], out[ICMP_ERROR_MAX];

	test_packet(packet, 23, SENDER, RECEIVER, 1);
	CLAIM(error_about(packet, 23, ICMP_ERROR_TIME_EXCEEDED, out) == 20 + 8 + 23,
	      "of a packet with 3 bytes of payload, 3 are quoted");
	CLAIM(checksum(out + 20, 8 + 23) == 0, "and the checksum of the odd length is right");

	test_packet(packet, 200, SENDER, RECEIVER, 1);
	packet[0] = 0x4f;
	CLAIM(error_about(packet, 200, ICMP_ERROR_TIME_EXCEEDED, out) == 20 + 8 + 60 + 8,
	      "a header with all its options is quoted whole");
	CLAIM(memcmp(out + 28, packet, 68) == 0, "with 8 bytes behind it");
	CLAIM(out[0] == 0x45, "the error itself has no options");
}

static void silence(void)
{
	static const uint8_t errors[] = {3, 4, 5, 11, 12, 1, 2, 40, 255};
	static const uint32_t nobody[] = {
		ADDRESS(0, 0, 0, 0),
		ADDRESS(127, 0, 0, 1),
		ADDRESS(224, 0, 0, 1),
		ADDRESS(239, 255, 255, 255),
		ADDRESS(240, 0, 0, 1),
		ADDRESS(255, 255, 255, 255),
	};
	uint8_t packet[60];

	for (size_t i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
		test_packet(packet, sizeof(packet), nobody[i], RECEIVER, 1);
		CLAIM(is_silent(packet, sizeof(packet)), "nobody is told where the source is no host");
		test_packet(packet, sizeof(packet), SENDER, nobody[i], 1);
		CLAIM(is_silent(packet, sizeof(packet)), "nor where the destination is none");
	}

	test_packet(packet, sizeof(packet), SENDER, RECEIVER, 1);
	store16(packet + IPV4_FRAGMENT, 1);
	CLAIM(is_silent(packet, sizeof(packet)), "later fragments cause no error");
	store16(packet + IPV4_FRAGMENT, 0x2000);
	CLAIM(!is_silent(packet, sizeof(packet)), "the first fragment does");

	test_packet(packet, sizeof(packet), SENDER, RECEIVER, 1);
	packet[IPV4_PROTOCOL] = 1;
	for (size_t i = 0; i < sizeof(errors); i++) {
		packet[IPV4_HEADER] = errors[i];
		CLAIM(is_silent(packet, sizeof(packet)), "no error answers an error or an unknown type");
	}
	packet[IPV4_HEADER] = 8;
	CLAIM(!is_silent(packet, sizeof(packet)), "an echo request is answered");

	test_packet(packet, IPV4_HEADER, SENDER, RECEIVER, 1);
	packet[IPV4_PROTOCOL] = 1;
	CLAIM(is_silent(packet, IPV4_HEADER), "ICMP without a type could be an error");
}

void test_icmp4(void)
{
	contents();
	lengths();
	silence();
}
