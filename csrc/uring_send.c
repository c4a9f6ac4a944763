/*
 * uring_send.c - a batch of messages through the ring.
 *
 * Theory of operation. Sends are submitted together and complete while that call is under way, unless a
 * queue is full; each is awaited before the batch ends, since its memory is needed again. They go to
 * blocking descriptors, on which the kernel waits by itself, so there is no EAGAIN. They are linked:
 * else one that finds the queue full would be overtaken by the next if somebody makes room in between.
 * A link breaks where a send fails, and those behind it come back undone: they are submitted once more,
 * as after sendmmsg.
 */
#ifdef VNB_URING

#include <errno.h>

#include "udp.h"
#include "uring_ring.h"

enum { STOP_INTERVAL_NS = 50 * 1000 * 1000 };

/*
 * Submit the `count` sends that were prepared, and wait for all. Returns 0 or -errno. A full queue may
 * stay full for ever, so the wait ends now and then to look whether a stop is among the completions.
 */
static int finish_sends(struct uring *uring, unsigned int count)
{
	struct __kernel_timespec interval = {.tv_nsec = STOP_INTERVAL_NS};
	struct io_uring_cqe *first;
	int result;

	uring->outstanding = count;
	while (uring->outstanding > 0) {
		result = io_uring_submit_and_wait_timeout(&uring->ring, &first, uring->outstanding,
							  &interval, NULL);
		uring->pump->counters[SYSCALL_IO_URING_ENTER]++;
		uring_harvest(uring);
		if (result < 0 && result != -ETIME && !uring_is_passing(result))
			return result;
		if (uring->stop_seen && uring->outstanding > 0)
			uring_cancel_all(uring);
	}
	return 0;
}

static void prepare_write(struct io_uring_sqe *sqe, const struct port *of,
			  const struct message *message)
{
	const struct iovec *iov = message->iov;

	if (message->iov_count == 1)
		io_uring_prep_write(sqe, of->fd, iov->iov_base, (unsigned int)iov->iov_len, 0);
	else
		io_uring_prep_writev(sqe, of->fd, iov, message->iov_count, 0);
}

/*
 * Account for the messages of a batch by their results, up to the first that was not sent: it is tried
 * again, as the first, and then its error is taken seriously. Returns what send() of struct port_kind
 * does.
 */
static int settle(struct port *of, const struct message *messages, unsigned int count)
{
	struct uring *uring = of->uring->uring;
	int error = -uring->results[0];

	if (uring->stop_seen && (error == ECANCELED || error == EINTR))
		return -ECANCELED;
	if (error > 0)
		return port_sent(of, messages, error);
	for (unsigned int i = 0; i < count; i++) {
		if (uring->results[i] < 0)
			return (int)i;
		port_sent(of, &messages[i], 0);
	}
	return (int)count;
}

int uring_send(struct port *of, const struct message *messages, unsigned int count)
{
	struct uring *uring = of->uring->uring;
	struct udp_control controls[OUTBOX_MESSAGES];
	struct msghdr headers[OUTBOX_MESSAGES];
	int result;

	if (count > of->batch)
		count = of->batch;
	for (unsigned int i = 0; i < count; i++) {
		struct io_uring_sqe *sqe = uring_get_sqe(uring);

		if (messages[i].to) {
			udp_describe(&messages[i], &headers[i], &controls[i]);
			io_uring_prep_sendmsg(sqe, of->fd, &headers[i], 0);
		} else {
			prepare_write(sqe, of, &messages[i]);
		}
		io_uring_sqe_set_data64(sqe, ABOUT_SEND + i);
		if (i + 1 < count)
			sqe->flags |= IOSQE_IO_LINK;
	}
	result = finish_sends(uring, count);
	return result < 0 ? result : settle(of, messages, count);
}

#endif
