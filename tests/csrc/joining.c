/* joining.c - see joining.h. */
#include "joining.h"

#include <stdio.h>
#include <string.h>

#include "ip.h"
#include "split.h"
#include "test.h"

enum { STORE = 300000, PACKETS = COALESCE_PACKETS };

static struct {
	struct coalescer *coalescer;
	uint8_t now[STORE], before[STORE]; /* the packets, one behind the other */
	size_t start[PACKETS + 1];
	unsigned int count;
} given;

uint8_t joining_payload[FLOW_PACKET_MAX];

void joining_forget(void)
{
	coalesce_reset(given.coalescer);
	given.count = 0;
}

void joining_add_bytes(const uint8_t *packet, size_t size)
{
	size_t start = given.start[given.count];

	NEED(start + size <= STORE && given.count < PACKETS);
	memcpy(given.now + start, packet, size);
	memcpy(given.before + start, packet, size);
	NEED(coalesce_add(given.coalescer, given.now + start, size));
	given.start[++given.count] = start + size;
}

size_t joining_next_packet(struct flow *flow, size_t size, uint8_t *packet)
{
	size_t whole = flow_packet(flow, joining_payload + flow->sequence % 1000, size, packet);

	flow->sequence += (uint32_t)size;
	flow->id++;
	return whole;
}

void joining_add(struct flow *flow, size_t size)
{
	static uint8_t packet[FLOW_PACKET_MAX];

	joining_add_bytes(packet, joining_next_packet(flow, size, packet));
}

void joining_add_flags(struct flow *flow, size_t size, uint8_t flags)
{
	struct flow other = *flow;

	other.flags = flags;
	joining_add(&other, size);
	flow->sequence = other.sequence;
	flow->id = other.id;
}

/* Which packet an iovec points into. */
static unsigned int owner(const struct iovec *piece)
{
	size_t at = (size_t)((const uint8_t *)piece->iov_base - given.now);
	unsigned int i = 0;

	while (at >= given.start[i + 1])
		i++;
	return i;
}

static const uint8_t *original(unsigned int i, size_t *size)
{
	*size = given.start[i + 1] - given.start[i];
	return given.before + given.start[i];
}

/* Whether cutting the item gives what it was joined from, apart from meaningless ids (RFC 6864). */
static bool is_reversible(const struct coalesced *item, const struct iovec *iov)
{
	static uint8_t data[FLOW_PACKET_MAX], made[FLOW_PACKET_MAX];
	struct packet super = {.data = data, .offload = item->offload};
	struct split split;
	bool same;

	for (unsigned int i = 0; i < item->iov_count; i++) {
		memcpy(data + super.size, iov[i].iov_base, iov[i].iov_len);
		super.size += (uint32_t)iov[i].iov_len;
	}
	same = super.size == item->size && split_begin(&split, &super) == 0 &&
	       split.count == item->packets && item->offload.hdr_len == split.header_size;
	for (unsigned int i = 0; same && i < split.count; i++) {
		struct iovec piece;
		size_t size;
		const uint8_t *wanted = original(owner(&iov[i]), &size);
		bool df = load16(wanted + IPV4_FRAGMENT) & IPV4_DONT_FRAGMENT;

		split_segment(&split, i, made, &piece);
		memcpy(made + split.header_size, piece.iov_base, piece.iov_len);
		if (ip_version(made) == 4 && df) {
			same = flow_is_sound(made, size);
			memcpy(made + IPV4_ID, wanted + IPV4_ID, 2);
			memcpy(made + IPV4_CHECKSUM, wanted + IPV4_CHECKSUM, 2);
		}
		same &= split.header_size + piece.iov_len == size && memcmp(made, wanted, size) == 0;
	}
	return same;
}

static bool is_untouched(const struct coalesced *item, const struct iovec *iov)
{
	static const struct virtio_net_hdr none;
	size_t size;
	const uint8_t *wanted = original(owner(iov), &size);

	return memcmp(&item->offload, &none, sizeof(none)) == 0 && item->iov_count == 1 &&
	       iov->iov_len == size && item->size == size &&
	       memcmp(iov->iov_base, wanted, size) == 0;
}

bool joining_fetch(char *text, size_t room)
{
	struct iovec iov[COALESCE_IOV];
	struct coalesced item;
	bool good = true;
	size_t used = 0;

	text[0] = 0;
	while (coalesce_next(given.coalescer, &item, iov)) {
		good &= item.packets == item.iov_count;
		good &= item.packets > 1 ? is_reversible(&item, iov) : is_untouched(&item, iov);
		for (unsigned int i = 0; i < item.iov_count && used < room - 8; i++)
			used += (size_t)snprintf(text + used, room - used, "%s%u",
						 i ? "+" : used ? " " : "", owner(&iov[i]));
	}
	joining_forget();
	return good;
}

bool joining_gives(const char *expected)
{
	char text[20 * COALESCE_SEGMENTS];

	if (!joining_fetch(text, sizeof(text)))
		return false;
	if (strcmp(text, expected) != 0)
		printf("got %s, expected %s\n", text, expected);
	return strcmp(text, expected) == 0;
}

struct coalescer *joining_open(void)
{
	uint32_t random = 11;

	for (size_t i = 0; i < sizeof(joining_payload); i++)
		joining_payload[i] = (uint8_t)test_random(&random);
	given.coalescer = coalesce_new(ALL);
	NEED(given.coalescer);
	return given.coalescer;
}

void joining_close(void)
{
	coalesce_free(given.coalescer);
}
