/*
 * traffic.c - the two ends of a closed loop: ping sends and waits, pong sends back.
 *
 * Theory of operation. What is measured is the path between the two, so a round trip costs the four
 * system calls it cannot do without (send, recv; recvfrom, sendto) and nothing is called around
 * them: timeouts are set once on the socket, the clock is read before and after all rounds, and
 * pong looks at its stop descriptor only when the receive timeout says that it is idle or the
 * coarse clock (descriptor.c) says that it is time. An idle pong then sleeps in poll() until
 * there is a datagram or the stop, so that it neither wakes up for nothing nor stops late.
 *
 * Every datagram begins with the time its vnb_ping() began and the number of its round; so neither
 * a late echo nor one from an earlier call on the same socket is taken for the answer.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "descriptor.h"
#include "vnetbench.h"

enum { DATAGRAM_MAX = 65507, PONG_TIMEOUT_MS = 50 };

struct mark {
	int64_t call; /* CLOCK_MONOTONIC nanoseconds */
	uint64_t round;
};

/*
 * Receive the echo of `mark` into `echo`. Returns 0 or -errno. The clock stays out of it unless
 * something else than the echo comes; only then could the socket's timeout begin again for ever.
 */
static int await_echo(int fd, const struct mark *mark, uint8_t *echo, size_t size,
		      int64_t timeout_ns)
{
	int64_t deadline_ns = 0;
	ssize_t received;

	for (;;) {
		received = recv(fd, echo, size, MSG_TRUNC);
		if (received == (ssize_t)size && memcmp(echo, mark, sizeof(*mark)) == 0)
			return 0;
		if (received < 0 && errno != EINTR)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (deadline_ns == 0)
			deadline_ns = now_ns() + timeout_ns;
		else if (now_ns() >= deadline_ns)
			return -ETIMEDOUT;
	}
}

/* `buffer` holds two datagrams: the one to send, and behind it room for the echo. */
static int ping(int fd, uint8_t *buffer, size_t size, uint64_t rounds, int64_t timeout_ns,
		double *seconds)
{
	struct mark mark = {.call = now_ns()};
	uint8_t *echo = buffer + size;
	int result;

	for (mark.round = 0; mark.round < rounds; mark.round++) {
		memcpy(buffer, &mark, sizeof(mark));
		if (send(fd, buffer, size, 0) < 0)
			return -errno;
		if ((result = await_echo(fd, &mark, echo, size, timeout_ns)) < 0)
			return result;
	}
	*seconds = (double)(now_ns() - mark.call) / 1e9;
	return 0;
}

int vnb_ping(int fd, size_t size, uint64_t rounds, int timeout_ms, double *seconds)
{
	int result, pending;
	socklen_t length = sizeof(pending);
	uint8_t *buffer;

	if (size < sizeof(struct mark) || size > DATAGRAM_MAX || timeout_ms < 1)
		return -EINVAL;
	if ((result = descriptor_set_timeout(fd, SO_RCVTIMEO, timeout_ms)) < 0 ||
	    (result = descriptor_set_blocking(fd, true)) < 0)
		return result;
	/* Reading an error that an earlier datagram left behind takes it away. */
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &length) < 0)
		return -errno;

	buffer = calloc(2, size);
	if (!buffer)
		return -ENOMEM;
	result = ping(fd, buffer, size, rounds, (int64_t)timeout_ms * 1000000, seconds);
	free(buffer);
	return result;
}

/* Echo one datagram. Returns 1, 0 if none came in time, or -errno if the socket is of no use. */
static int echo_one(int fd, uint8_t *buffer)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);
	ssize_t size;

	size = recvfrom(fd, buffer, DATAGRAM_MAX, 0, (struct sockaddr *)&peer, &length);
	if (size >= 0)
		size = sendto(fd, buffer, (size_t)size, 0, (struct sockaddr *)&peer, length);
	else if (errno == EAGAIN)
		return 0;
	return size < 0 && descriptor_is_lost(errno) ? -errno : 1;
}

/* Sleep until there is a datagram (0) or the stop (1), or -errno. */
static int wait_idle(int fd, struct stop_watch *stop)
{
	struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = stop->fd, .events = POLLIN}};

	if (poll(fds, 2, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	stop_was_seen(stop);
	return stop_from_poll(fds[1].revents);
}

int vnb_pong(int fd, int stop_fd)
{
	struct stop_watch stop = {.fd = stop_fd};
	uint8_t *buffer;
	int result;

	if ((result = descriptor_set_timeout(fd, SO_RCVTIMEO, PONG_TIMEOUT_MS)) < 0 ||
	    (result = descriptor_set_timeout(fd, SO_SNDTIMEO, PONG_TIMEOUT_MS)) < 0 ||
	    (result = descriptor_set_blocking(fd, true)) < 0)
		return result;
	buffer = malloc(DATAGRAM_MAX);
	if (!buffer)
		return -ENOMEM;
	do {
		result = echo_one(fd, buffer);
		if (result == 0)
			result = wait_idle(fd, &stop);
		else if (result > 0)
			result = stop_is_due(&stop) ? stop_is_asked(&stop) : 0;
	} while (result == 0);
	free(buffer);
	return result > 0 ? 0 : result;
}
