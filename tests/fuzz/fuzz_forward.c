/*
 * fuzz_forward.c - arbitrary packets, virtio headers and senders through the three decisions.
 *
 * An input is: a byte of choices, the number of packets it stands for, a virtio header, the packet.
 * Besides what the sanitizers see, it must hold that
 *
 *   - what lies in the buffer behind the packet changes nothing: each input runs twice, with other
 *     bytes there (a sanitizer cannot see such a read, as an ICMP error may be written there);
 *   - what goes on is a valid packet with a harmless virtio header, and goes to a port there is;
 *   - what does not go on is counted, once.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "forward.h"
#include "ip.h"

enum { CHOICES = 2, PORTS = 2, SENDERS = 4, TRUSTS = 3, SIZE_MAX_CARRIED = 65535 };

#define HOLD(claim) \
	do { \
		if (!(claim)) \
			abort(); \
	} while (0)

/* What an input asks for, and what came of it. */
struct trial {
	forward_function *decide;
	unsigned int from, packets;
	const union endpoint *sender;
	struct forwarder forwarder;
	struct packet packet;
	struct outcome out;
	uint64_t counters[COUNTER_COUNT];
	bool sent;
};

static const struct routes *routes;
static union endpoint senders[SENDERS]; /* the last is a stranger */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct vnb_route table[] = {
		{.prefix = {10}, .length = 8, .next_hop = {192, 0, 2, 1}, .port = 1},
		{.prefix = {10, 1}, .length = 16, .next_hop = {192, 0, 2, 2}, .port = 2},
		{.prefix = {0xfd}, .length = 8, .ipv6 = 1, .next_hop = {192, 0, 2, 1}, .port = 1},
		{.prefix = {0xfd, 1}, .length = 16, .ipv6 = 1, .next_hop = {0x20, 1}, .port = 3,
		 .hop_ipv6 = 1},
	};
	const uint8_t nowhere[4] = {11}, first[4] = {10}, second[4] = {10, 1}, third[16] = {0xfd, 1};
	struct routes *built;

	(void)argc;
	(void)argv;
	HOLD(routes_new(table, sizeof(table) / sizeof(table[0]), &built) == 0);
	HOLD(!routes_lookup4(built, nowhere));
	senders[0] = *routes_lookup4(built, first);
	senders[1] = *routes_lookup4(built, second);
	senders[2] = *routes_lookup6(built, third);
	senders[3] = senders[0];
	senders[3].v4.sin_port++;
	routes = built;
	return 0;
}

static void choose(struct trial *trial, const uint8_t *data)
{
	static forward_function *const decisions[] = {forward_tun_udp, forward_tun_tun, forward_tap_tap,
						      forward_tun_udp};

	memset(trial, 0, sizeof(*trial));
	trial->decide = decisions[data[0] & 3];
	trial->from = data[0] >> 2 & 1;
	trial->sender = &senders[data[0] >> 3 & 3];
	trial->forwarder.routes = routes;
	trial->forwarder.trust = (enum trust)((data[0] >> 5) % TRUSTS);
	trial->forwarder.counters = trial->counters;
	trial->packets = data[1] + 1u;
}

/* Run the input in a buffer of its own, with `filler` behind the packet. */
static void run(struct trial *trial, const uint8_t *data, size_t size, uint8_t filler)
{
	size_t room;

	choose(trial, data);
	memcpy(&trial->packet.offload, data + CHOICES, sizeof(trial->packet.offload));
	data += CHOICES + sizeof(trial->packet.offload);
	size -= CHOICES + sizeof(trial->packet.offload);
	room = size > FORWARD_ROOM ? size : FORWARD_ROOM;
	trial->packet.size = (uint32_t)size;
	trial->packet.data = malloc(room);
	HOLD(trial->packet.data);
	memset(trial->packet.data, filler, room);
	memcpy(trial->packet.data, data, size);
	trial->sent = trial->decide(&trial->forwarder, trial->from, &trial->packet, trial->packets,
				    trial->sender, &trial->out);
}

static uint64_t sum(const uint64_t *counters, enum counter first, enum counter last)
{
	uint64_t result = 0;

	for (enum counter i = first; i <= last; i++)
		result += counters[i];
	return result;
}

static void check(const struct trial *trial)
{
	const struct packet *packet = &trial->packet;
	uint64_t errors = sum(trial->counters, ICMP_NET_UNREACHABLE, ICMP_TIME_EXCEEDED);
	uint64_t drops = sum(trial->counters, DROP_TRUNCATED, DROP_STOPPED);
	enum counter reason;

	HOLD(errors <= 1 && (!errors || trial->sent));
	HOLD(drops == (trial->sent && !errors ? 0 : trial->packets));
	if (!trial->sent)
		return;
	HOLD(trial->out.port < PORTS);
	if (trial->decide == forward_tap_tap) {
		HOLD(frame_offload_valid(packet));
		return;
	}
	HOLD(ip_valid(packet->data, packet->size, &reason));
	if (trial->decide == forward_tun_tun || errors)
		HOLD(ip_offload_valid(packet));
	if (errors)
		HOLD(!packet_is_super(packet) && packet->size <= ICMP_ERROR_MAX);
	if (trial->decide == forward_tun_udp && trial->out.port == 1)
		HOLD(trial->out.to && routes_peer(routes, trial->out.to) == trial->out.to);
	if (trial->decide == forward_tun_udp && trial->from == 1 && trial->forwarder.trust != TRUST_ANYONE)
		HOLD(routes_peer(routes, trial->sender));
}

static void compare(const struct trial *a, const struct trial *b)
{
	HOLD(a->sent == b->sent && memcmp(a->counters, b->counters, sizeof(a->counters)) == 0);
	if (!a->sent)
		return;
	HOLD(a->out.port == b->out.port && a->out.to == b->out.to);
	HOLD(a->packet.size == b->packet.size &&
	     memcmp(&a->packet.offload, &b->packet.offload, sizeof(a->packet.offload)) == 0 &&
	     memcmp(a->packet.data, b->packet.data, a->packet.size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trial once, again;

	if (size < CHOICES + sizeof(once.packet.offload) || size > SIZE_MAX_CARRIED)
		return -1; /* not worth keeping */
	run(&once, data, size, 0x00);
	run(&again, data, size, 0x81);
	check(&once);
	compare(&once, &again);
	free(once.packet.data);
	free(again.packet.data);
	return 0;
}
