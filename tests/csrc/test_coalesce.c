/* Whether packets that belong together are joined, others not, and none is changed or overtaken. */
#include <stdlib.h>
#include <string.h>

#include "coalesce.h"
#include "packets.h"
#include "split.h"
#include "test.h"

enum { MSS = 1000, FIN = 0x01, SYN = 0x02, PSH = 0x08, ACK = 0x10, ECE = 0x40, CWR = 0x80,
       ALL = COALESCE_TCP4 | COALESCE_TCP6 | COALESCE_UDP4 | COALESCE_UDP6 };

/* Packets one after the other in memory, and what a coalescer makes of them. */
struct bench {
	struct coalescer *coalescer;
	uint8_t *memory;
	size_t used;
	struct coalesced item[64];
	uint8_t *item_bytes[64];
	unsigned int items;
};

static struct bench bench_open(void)
{
	struct bench bench = {.coalescer = coalesce_new(ALL), .memory = malloc(8 << 20)};

	NEED(bench.coalescer && bench.memory);
	return bench;
}

static void bench_close(struct bench *bench)
{
	coalesce_free(bench->coalescer);
	free(bench->memory);
}

static uint8_t *add(struct bench *bench, const struct shape *shape)
{
	uint8_t *packet = bench->memory + bench->used;
	size_t size = make_packet(packet, shape);

	bench->used += size;
	NEED(coalesce_add(bench->coalescer, packet, size));
	return packet;
}

/* Take everything out, each item gathered behind the packets in memory. */
static void take(struct bench *bench)
{
	struct iovec iov[COALESCE_IOV];

	for (bench->items = 0; coalesce_next(bench->coalescer, &bench->item[bench->items], iov);
	     bench->items++) {
		struct coalesced *item = &bench->item[bench->items];

		bench->item_bytes[bench->items] = bench->memory + bench->used;
		for (unsigned int i = 0; i < item->iov_count; i++) {
			memcpy(bench->memory + bench->used, iov[i].iov_base, iov[i].iov_len);
			bench->used += iov[i].iov_len;
		}
	}
	coalesce_reset(bench->coalescer);
}

/* The next packet of the stream that `shape` is of. */
static struct shape after(struct shape shape)
{
	shape.sequence += (uint32_t)shape.payload;
	shape.id++;
	return shape;
}

/* How many items come of two packets; `second` is changed before it is added, -1 for no byte. */
static unsigned int items_of(const struct shape *first, const struct shape *second, int broken)
{
	struct bench bench = bench_open();
	uint8_t *packet;
	unsigned int items;

	add(&bench, first);
	packet = bench.memory + bench.used;
	bench.used += make_packet(packet, second);
	if (broken >= 0)
		packet[broken] ^= 1;
	NEED(coalesce_add(bench.coalescer, packet, (size_t)(bench.memory + bench.used - packet)));
	take(&bench);
	items = bench.items;
	if (items == 2) { /* what is not joined is not changed */
		static uint8_t as_made[PACKET_ROOM];
		size_t size = make_packet(as_made, first);

		CLAIM(bench.item[0].size == size && !bench.item[0].offload.flags &&
			      memcmp(bench.item_bytes[0], as_made, size) == 0,
		      "a packet that stays alone stays as it is");
	}
	bench_close(&bench);
	return items;
}

static bool joined(const struct shape *first, const struct shape *second)
{
	return items_of(first, second, -1) == 1;
}

static void what_is_joined(void)
{
	for (int kind = 0; kind < 4; kind++) {
		bool tcp = kind & 1;
		struct shape a = {.ipv6 = kind & 2, .tcp = tcp, .port = 9, .flags = ACK, .payload = MSS};
		struct shape b = after(a), c;

		CLAIM(joined(&a, &b), "two packets of one flow");
		c = b;
		c.payload = 1;
		CLAIM(joined(&a, &c), "a shorter one at the end");
		c.payload = MSS + 1;
		CLAIM(!joined(&a, &c), "not a longer one");
		c = b;
		c.port = 10;
		CLAIM(!joined(&a, &c), "not one of another flow");
		c = b;
		c.tos = 1;
		CLAIM(!joined(&a, &c), "not one with other ECN bits");
		c = b;
		c.payload = 0;
		CLAIM(!joined(&a, &c), "not one without payload");
		CLAIM(items_of(&a, &b, (int)header_size(&b) + 5) == 2, "not one with a broken checksum");
		CLAIM(items_of(&a, &b, 0x17) == 2, "nor with a broken address");
		c = b;
		c.ip_options = 8;
		CLAIM(!joined(&a, &c), "not one with IP options");
		if (!a.ipv6) {
			CLAIM(items_of(&a, &b, 10) == 2, "nor with a broken header checksum");
			a.fragmentable = b.fragmentable = true;
			CLAIM(joined(&a, &b), "identifications that count up");
			b.id++;
			CLAIM(!joined(&a, &b), "not others, where fragments are allowed");
			a.fragmentable = b.fragmentable = false;
			CLAIM(joined(&a, &b), "any, where they are not");
		}
	}
}

static void tcp_flags(void)
{
	struct shape a = {.tcp = true, .port = 9, .flags = ACK, .payload = MSS}, b = after(a), c;

	c = b;
	c.flags = ACK | PSH;
	CLAIM(joined(&a, &c), "PSH may come last");
	c.flags = ACK | FIN;
	CLAIM(joined(&a, &c), "FIN may come last");
	c.flags = ACK | ECE;
	CLAIM(!joined(&a, &c), "ECE is that of all");
	c.flags = ACK | CWR;
	CLAIM(!joined(&a, &c), "CWR is joined with nothing");
	c.flags = ACK | SYN;
	CLAIM(!joined(&a, &c), "nor is SYN");
	c = b;
	c.sequence++;
	CLAIM(!joined(&a, &c), "a gap is kept");
	c = b;
	c.tcp_options = 12;
	CLAIM(!joined(&a, &c), "other options are kept");
	a.tcp_options = b.tcp_options = 12;
	CLAIM(joined(&a, &b), "equal options are joined");
	a.flags = ACK | PSH;
	CLAIM(!joined(&a, &b), "nothing comes behind PSH");
	a.flags = ACK | CWR;
	CLAIM(!joined(&a, &b), "or behind CWR");
}

static void zero_udp_checksum(void)
{
	struct bench bench = bench_open();
	struct shape udp = {.port = 9, .payload = 100};

	for (int i = 0; i < 2; i++) {
		uint8_t *packet = bench.memory + bench.used;
		size_t size = make_packet(packet, &udp);

		memset(packet + 26, 0, 2);
		NEED(coalesce_add(bench.coalescer, packet, size));
		bench.used += size;
	}
	take(&bench);
	CLAIM(bench.items == 2, "UDP without checksums is not joined: the kernel would add them");
	bench_close(&bench);
}

static void order(void)
{
	struct bench bench = bench_open();
	struct shape a = {.tcp = true, .port = 1, .flags = ACK, .payload = MSS}, b = a, alone = a;

	b.port = 2;
	for (int i = 0; i < 10; i++) { /* interleaved flows */
		add(&bench, &a);
		add(&bench, &b);
		a = after(a);
		b = after(b);
	}
	alone = a;
	alone.payload = 0;
	add(&bench, &alone); /* an acknowledgment of flow a */
	add(&bench, &a);
	add(&bench, &b);
	take(&bench);
	CLAIM(bench.items == 4 && bench.item[0].packets == 10 && bench.item[1].packets == 11,
	      "interleaved flows are joined each by itself");
	CLAIM(bench.item[2].size == 40 && bench.item[3].packets == 1,
	      "what cannot be joined is not overtaken by its own flow");

	for (unsigned int i = 0; i < 2; i++) { /* a fragment is of any flow */
		uint8_t *packet = add(&bench, &a);

		a = after(a);
		if (i == 0) {
			uint8_t *fragment = bench.memory + bench.used;

			memcpy(fragment, packet, 60);
			fragment[6] = 0x20;
			bench.used += 60;
			NEED(coalesce_add(bench.coalescer, fragment, 60));
		}
	}
	take(&bench);
	CLAIM(bench.items == 3, "and nothing overtakes a fragment");
	bench_close(&bench);
}

static void limits(void)
{
	struct bench bench = bench_open();
	struct shape a = {.tcp = true, .port = 1, .flags = ACK, .payload = 1448};
	unsigned int added = 0;

	while (added < COALESCE_PACKETS) {
		add(&bench, &a);
		a = after(a);
		added++;
	}
	CLAIM(!coalesce_add(bench.coalescer, bench.memory, 40), "a full coalescer takes nothing");
	take(&bench);
	for (unsigned int i = 0; i < bench.items; i++) {
		CLAIM(bench.item[i].size <= 65535 && bench.item[i].packets <= COALESCE_SEGMENTS,
		      "a super-packet is an IP packet, and not of more segments than agreed");
		added -= bench.item[i].packets;
	}
	CLAIM(added == 0 && bench.items > 0, "nothing is lost");

	coalesce_set_kinds(bench.coalescer, COALESCE_UDP4);
	bench.used = 0;
	add(&bench, &a);
	a = after(a);
	add(&bench, &a);
	take(&bench);
	CLAIM(bench.items == 2, "kinds that are not wanted stay alone");
	bench_close(&bench);
}

/* Cut a random super-packet, join the pieces: it comes back, byte for byte. */
static void round_trips(void)
{
	static uint8_t super_bytes[PACKET_ROOM];
	struct bench bench = bench_open();
	uint32_t random = 4711;
	bool same = true;

	for (int round = 0; round < 300; round++) {
		bool tcp = test_random(&random) % 2;
		uint16_t gso = (uint16_t)(600 + test_random(&random) % 900);
		struct shape shape = {
			.tcp = tcp,
			.ipv6 = test_random(&random) % 2,
			.fragmentable = test_random(&random) % 2,
			.tcp_options = tcp ? test_random(&random) % 11 * 4 : 0,
			.port = (uint16_t)test_random(&random),
			.id = (uint16_t)test_random(&random),
			.tos = (uint8_t)test_random(&random),
			.flags = ACK | (test_random(&random) % 2 ? PSH : 0),
			.sequence = test_random(&random),
			/* UDP: of at most 64 packets */
			.payload = gso + 1 + test_random(&random) % (tcp ? 60000 : 37000),
		};
		struct packet super = make_super(super_bytes, &shape, gso);
		struct split split;

		NEED(split_begin(&split, &super) == 0);
		bench.used = 0;
		for (unsigned int i = 0; i < split.count; i++) {
			uint8_t *packet = bench.memory + bench.used;
			struct iovec payload;

			split_segment(&split, i, packet, &payload);
			memcpy(packet + split.header_size, payload.iov_base, payload.iov_len);
			bench.used += split.header_size + payload.iov_len;
			NEED(coalesce_add(bench.coalescer, packet, split.header_size + payload.iov_len));
		}
		take(&bench);
		same &= bench.items == 1 && bench.item[0].packets == split.count &&
			bench.item[0].size == super.size &&
			memcmp(bench.item_bytes[0], super.data, super.size) == 0 &&
			memcmp(&bench.item[0].offload, &super.offload, sizeof(super.offload)) == 0;
	}
	CLAIM(same, "what was cut is joined again, header for header");
	bench_close(&bench);
}

void test_coalesce(void)
{
	what_is_joined();
	tcp_flags();
	zero_udp_checksum();
	order();
	limits();
	round_trips();
}
