/* test.h - claims, and the few things that several test files need. */
#ifndef TEST_H
#define TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Count a claim, and print it if it does not hold. */
#define CLAIM(holds, claim) test_claim((holds), (claim), __FILE__, __LINE__)

/* Give up the whole program where the machinery of a test, not the code under test, fails. */
#define NEED(holds) test_need((holds), #holds, __FILE__, __LINE__)

void test_claim(bool holds, const char *claim, const char *file, int line);
void test_need(bool holds, const char *what, const char *file, int line);

/* A reproducible stream of numbers (xorshift). */
uint32_t test_random(uint32_t *state);

/* Addresses in host order, as they are written. */
#define ADDRESS(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

/* Write a UDP packet of `size` bytes (at least 28) with correct checksum of the IP header. */
void test_packet(uint8_t *packet, size_t size, uint32_t source, uint32_t destination, uint8_t ttl);

/* The same of IPv6 (at least 48 bytes), from and to addresses as they are written. */
void test_packet6(uint8_t *packet, size_t size, const char *source, const char *destination,
		  uint8_t hop_limit);

/* Whether the IP header's checksum is correct. */
bool test_header_is_sound(const uint8_t *packet);

/* CLOCK_MONOTONIC in seconds. */
double test_now(void);

void test_checksum(void);
void test_split_flow(void);
void test_coalesce_flow(void);
void test_coalesce_many(void);
void test_routes(void);
void test_router(void);
void test_ip(void);
void test_icmp4(void);
void test_icmp6(void);
void test_forward(void);
void test_pump(void);
void test_pump_switches(void);
void test_pump_trouble(void);
void test_pump_calls(void);
void test_pump_offload(void);
void test_traffic(void);
void test_generator(void);
void test_sink(void);
void test_delay(void);
void test_tun(void);
void test_tuntrip(void);
void test_meter(void);
void test_canary(void);

#endif
