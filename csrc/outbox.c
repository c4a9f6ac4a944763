/*
 * outbox.c - collects what one batch sends, so that few system calls carry it.
 *
 * Theory of operation. A message is a list of iovecs that point into the buffers the packets were
 * received in, so payload is never moved; only headers that were made here lie in headers[]. All of
 * it is valid until the batch is sent.
 *
 * With UDP_SEGMENT one message carries several datagrams to one peer, all of one size but the last,
 * which may be shorter. So a datagram extends the last message if it goes to the same peer, is not
 * longer than the first one, and none was shorter before. Datagrams keep their order: only the last
 * message is ever extended. That packets of different super-packets, or single packets that were
 * read one by one, end up in one message comes for nothing.
 */
#include "outbox.h"

uint8_t *outbox_header(struct outbox *outbox, size_t size)
{
	uint8_t *header = outbox->headers + outbox->header_size;

	outbox->header_size += size;
	return header;
}

struct message *outbox_begin(struct outbox *outbox, const union endpoint *to, unsigned int packets)
{
	struct message *message = &outbox->messages[outbox->count++];

	*message = (struct message){
		.to = to,
		.iov = outbox->iov + outbox->iov_count,
		.packets = packets,
	};
	outbox->open = false;
	return message;
}

void outbox_append(struct outbox *outbox, const void *data, size_t size)
{
	struct message *message = &outbox->messages[outbox->count - 1];

	outbox->iov[outbox->iov_count++] = (struct iovec){.iov_base = (void *)data, .iov_len = size};
	message->iov_count++;
}

void outbox_datagram(struct outbox *outbox, const union endpoint *to, uint32_t size,
		     const struct segment_limits *limits)
{
	struct message *last;

	if (outbox->open) {
		last = &outbox->messages[outbox->count - 1];
		if (last->to == to && size <= last->segment && last->packets < limits->count &&
		    last->size + size <= DATAGRAM_MAX) {
			last->packets++;
			last->size += size;
			outbox->open = size == last->segment;
			return;
		}
	}
	last = outbox_begin(outbox, to, 1);
	last->size = last->segment = size;
	outbox->open = limits->count > 1 && size > 0 && size <= limits->size;
}
