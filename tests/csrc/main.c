/* main.c - runs every test and prints the sum; the exit status says whether all claims hold. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "checksum.h"
#include "ipv4.h"
#include "ipv6.h"
#include "test.h"

static unsigned int passed, failed;

void test_claim(bool holds, const char *claim, const char *file, int line)
{
	if (holds) {
		passed++;
		return;
	}
	failed++;
	printf("%s:%d: %s\n", file, line, claim);
}

void test_need(bool holds, const char *what, const char *file, int line)
{
	if (holds)
		return;
	fprintf(stderr, "%s:%d: cannot test: %s\n", file, line, what);
	exit(2);
}

double test_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

uint32_t test_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

void test_packet(uint8_t *packet, size_t size, uint32_t source, uint32_t destination, uint8_t ttl)
{
	uint16_t check;

	memset(packet, 0, size);
	packet[0] = 0x45;
	store16(packet + IPV4_LENGTH, (uint16_t)size);
	packet[IPV4_TTL] = ttl;
	packet[IPV4_PROTOCOL] = 17;
	store16(packet + IPV4_SOURCE, (uint16_t)(source >> 16));
	store16(packet + IPV4_SOURCE + 2, (uint16_t)source);
	store16(packet + IPV4_DESTINATION, (uint16_t)(destination >> 16));
	store16(packet + IPV4_DESTINATION + 2, (uint16_t)destination);
	check = checksum(packet, IPV4_HEADER);
	memcpy(packet + IPV4_CHECKSUM, &check, sizeof(check));
	for (size_t i = IPV4_HEADER; i < size; i++)
		packet[i] = (uint8_t)i;
}

void test_packet6(uint8_t *packet, size_t size, const char *source, const char *destination,
		  uint8_t hop_limit)
{
	memset(packet, 0, size);
	packet[0] = 0x60;
	store16(packet + IPV6_LENGTH, (uint16_t)(size - IPV6_HEADER));
	packet[IPV6_NEXT_HEADER] = 17;
	packet[IPV6_HOP_LIMIT] = hop_limit;
	test_need(inet_pton(AF_INET6, source, packet + IPV6_SOURCE) == 1, source, __FILE__, __LINE__);
	test_need(inet_pton(AF_INET6, destination, packet + IPV6_DESTINATION) == 1, destination,
		  __FILE__, __LINE__);
	for (size_t i = IPV6_HEADER; i < size; i++)
		packet[i] = (uint8_t)i;
}

bool test_header_is_sound(const uint8_t *packet)
{
	return checksum(packet, ipv4_header_size(packet)) == 0;
}

/* With an argument only what threads share, which is what ThreadSanitizer is for. */
int main(int count, char **arguments)
{
	(void)arguments;
	if (count > 1) {
		test_router();
		printf("%u passed, %u failed\n", passed, failed);
		return failed != 0;
	}
	test_checksum();
	test_split_flow();
	test_coalesce_flow();
	test_coalesce_many();
	test_routes();
	test_router();
	test_ip();
	test_icmp4();
	test_icmp6();
	test_forward();
	test_pump();
	test_pump_switches();
	test_pump_trouble();
	test_pump_calls();
	test_pump_offload();
	test_traffic();
	test_generator();
	test_sink();
	test_delay();
	test_tun();
	test_tuntrip();
	test_meter();
	test_canary();
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
