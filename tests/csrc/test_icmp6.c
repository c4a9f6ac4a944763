#include <arpa/inet.h>
#include <string.h>

#include "checksum.h"
#include "icmp.h"
#include "icmp_buffer.h"
#include "ipv6.h"
#include "test.h"

#define SENDER "fd00:1::2"
#define RECEIVER "fd00:2::3"

enum { ICMPV6 = 58, SIZE_MAX_TESTED = 3000 };

static const uint8_t router[16] = {0xfd, 0x00, 0x00, 0x09, [15] = 9}, unnamed[16];

static size_t error_about(const uint8_t *packet, size_t size, enum icmp_error error, uint8_t *out)
{
	return error_in_tight_buffer(icmp6_error, 128, router, packet, size, error, out);
}

static bool is_silent(const uint8_t *packet, size_t size)
{
	uint8_t out[ICMP_ERROR_MAX];

	return error_about(packet, size, ICMP_ERROR_TIME_EXCEEDED, out) == 0;
}

/* Whether the checksum of the ICMPv6 packet is right, with a pseudo-header written out. */
static bool is_sound(const uint8_t *packet, size_t size)
{
	uint8_t pseudo[40 + ICMP_ERROR_MAX] = {0};
	size_t length = size - IPV6_HEADER;

	memcpy(pseudo, packet + IPV6_SOURCE, 32);
	store16(pseudo + 34, (uint16_t)length);
	pseudo[39] = ICMPV6;
	memcpy(pseudo + 40, packet + IPV6_HEADER, length);
	return checksum(pseudo, 40 + length) == 0;
}

static void contents(void)
{
	uint8_t packet[ICMP_ERROR_MAX], out[ICMP_ERROR_MAX], sender[16];
	size_t size;

	NEED(inet_pton(AF_INET6, SENDER, sender) == 1);
	test_packet6(packet, 500, SENDER, RECEIVER, 1);
	size = error_about(packet, 500, ICMP_ERROR_NO_ROUTE, out);
	CLAIM(size == 40 + 8 + 500, "an error quotes the whole packet where that fits");
	CLAIM(out[0] == 0x60 && load16(out + IPV6_LENGTH) == size - 40, "its header is right");
	CLAIM(out[IPV6_NEXT_HEADER] == ICMPV6 && out[IPV6_HOP_LIMIT] == 64,
	      "it is ICMPv6 with a hop limit of its own");
	CLAIM(memcmp(out + IPV6_SOURCE, router, 16) == 0, "it comes from the router");
	CLAIM(memcmp(out + IPV6_DESTINATION, sender, 16) == 0, "it goes to the packet's sender");
	CLAIM(out[40] == 1 && out[41] == 0, "no route to destination is type 1, code 0");
	CLAIM(load32(out + 44) == 0, "the unused word is zero");
	CLAIM(memcmp(out + 48, packet, 500) == 0, "the quotation is literal");
	CLAIM(is_sound(out, size), "its checksum is right");

	NEED(error_about(packet, 500, ICMP_ERROR_TIME_EXCEEDED, out) == size);
	CLAIM(out[40] == 3 && out[41] == 0, "hop limit exceeded is type 3, code 0");
	size = icmp6_error(packet, 500, ICMP_ERROR_TIME_EXCEEDED, unnamed);
	CLAIM(memcmp(packet + IPV6_SOURCE, packet + 48 + IPV6_DESTINATION, 16) == 0,
	      "a router without an address speaks in the name of the one not reached");
	CLAIM(is_sound(packet, size), "and its checksum is right all the same");
}

static void lengths(void)
{
	uint8_t packet[SIZE_MAX_TESTED], out[ICMP_ERROR_MAX];
	bool sound = true;

	for (size_t size = 48; size < SIZE_MAX_TESTED; size += 211) {
		size_t error;

		test_packet6(packet, size, SENDER, RECEIVER, 1);
		error = error_about(packet, size, ICMP_ERROR_TIME_EXCEEDED, out);
		sound &= error == (size > 1280 - 48 ? 1280 : size + 48) && is_sound(out, error) &&
			 memcmp(out + 48, packet, error - 48) == 0;
	}
	CLAIM(sound, "an error quotes what fits into 1280 bytes, with a right checksum, odd or even");
}

static void addresses(void)
{
	static const char *const nobody[] = {"::", "::1", "ff02::1", "ff0e::5"};
	uint8_t packet[60];

	for (size_t i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
		test_packet6(packet, sizeof(packet), nobody[i], RECEIVER, 1);
		CLAIM(is_silent(packet, sizeof(packet)), "nobody is told where the source is no host");
		test_packet6(packet, sizeof(packet), SENDER, nobody[i], 1);
		CLAIM(is_silent(packet, sizeof(packet)), "nor where the destination is none");
	}
	test_packet6(packet, sizeof(packet), "fe80::1", "fe80::2", 1);
	CLAIM(!is_silent(packet, sizeof(packet)), "a neighbour is told");
}

static void icmp_types(void)
{
	static const uint8_t errors[] = {0, 1, 2, 3, 4, 100, 127, 137}, others[] = {128, 129, 133, 135, 255};
	uint8_t packet[60];

	test_packet6(packet, sizeof(packet), SENDER, RECEIVER, 1);
	packet[IPV6_NEXT_HEADER] = ICMPV6;
	for (size_t i = 0; i < sizeof(errors); i++) {
		packet[IPV6_HEADER] = errors[i];
		CLAIM(is_silent(packet, sizeof(packet)), "no error answers an error or a redirect");
	}
	for (size_t i = 0; i < sizeof(others); i++) {
		packet[IPV6_HEADER] = others[i];
		CLAIM(!is_silent(packet, sizeof(packet)), "other messages are answered");
	}
	store16(packet + IPV6_LENGTH, 0);
	CLAIM(is_silent(packet, IPV6_HEADER), "ICMPv6 without a type could be an error");
}

/* A packet whose ICMPv6 message of type `type` is behind `count` extension headers of `kind`. */
static size_t behind(uint8_t *packet, uint8_t kind, unsigned int count, uint8_t type)
{
	size_t size = IPV6_HEADER + 8 * (count + 1);

	test_packet6(packet, size, SENDER, RECEIVER, 1);
	memset(packet + IPV6_HEADER, 0, size - IPV6_HEADER);
	packet[IPV6_NEXT_HEADER] = kind;
	for (unsigned int i = 0; i < count; i++)
		packet[IPV6_HEADER + 8 * i] = i + 1 < count ? kind : ICMPV6;
	packet[size - 8] = type;
	return size;
}

static void extensions(void)
{
	static const uint8_t kinds[] = {0, 43, 44, 60};
	uint8_t packet[300];
	size_t size;

	for (size_t i = 0; i < sizeof(kinds); i++) {
		size = behind(packet, kinds[i], 3, 1);
		CLAIM(is_silent(packet, size), "an error is one behind extension headers, too");
		size = behind(packet, kinds[i], 3, 128);
		CLAIM(!is_silent(packet, size), "and an echo request, too");
	}
	size = behind(packet, 51, 1, 1);
	CLAIM(is_silent(packet, size), "or behind an authentication header");

	size = behind(packet, 60, 30, 128);
	CLAIM(is_silent(packet, size), "a row of extension headers without end is not followed");
	size = behind(packet, 60, 2, 128);
	packet[IPV6_HEADER + 1] = 255;
	CLAIM(is_silent(packet, size), "nor is one that leads out of the packet");
	size = behind(packet, 60, 1, 128);
	store16(packet + IPV6_LENGTH, 5);
	CLAIM(is_silent(packet, IPV6_HEADER + 5), "nor one that is cut off");

	size = behind(packet, 44, 1, 128);
	store16(packet + IPV6_HEADER + 2, 8);
	CLAIM(is_silent(packet, size), "later fragments cause no error");
	store16(packet + IPV6_HEADER + 2, 1);
	CLAIM(!is_silent(packet, size), "the first fragment does");
}

void test_icmp6(void)
{
	contents();
	lengths();
	addresses();
	icmp_types();
	extensions();
}
