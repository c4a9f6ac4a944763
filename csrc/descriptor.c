/*
 * descriptor.c - modes, timeouts, buffers and the stop descriptor.
 *
 * Theory of operation. A loop that never runs out of traffic never comes back to poll(), and would
 * not hear that it is to stop. Looking after every n packets is no bound in time: behind a slow
 * link a packet may take as long as it likes. So the loops ask the coarse clock, which the vDSO
 * reads from memory without entering the kernel, and poll the stop descriptor when 50 ms have
 * passed: 20 system calls a second, none that belongs to a packet.
 */
#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

enum { STOP_INTERVAL_MS = 50 };

int descriptor_set_blocking(int fd, bool blocking)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int descriptor_set_timeout(int fd, int option, int milliseconds)
{
	struct timeval timeout = {
		.tv_sec = milliseconds / 1000,
		.tv_usec = milliseconds % 1000 * 1000,
	};

	return setsockopt(fd, SOL_SOCKET, option, &timeout, sizeof(timeout)) < 0 ? -errno : 0;
}

void descriptor_memory(int fd, uint32_t info[SK_MEMINFO_VARS])
{
	socklen_t length = SK_MEMINFO_VARS * sizeof(*info);

	memset(info, 0, length);
	getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &length);
}

int descriptor_prepare_receiver(int fd, int timeout_ms, uint32_t buffer)
{
	int size = buffer > INT32_MAX ? INT32_MAX : (int)buffer, result;

	if ((result = descriptor_set_timeout(fd, SO_RCVTIMEO, timeout_ms)) < 0 ||
	    (result = descriptor_set_blocking(fd, true)) < 0)
		return result;
	/* Beyond the system's limit only for the privileged; others get as much as it allows. */
	if (size > 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0)
		return -errno;
	return 0;
}

bool descriptor_is_lost(int error)
{
	switch (error) {
	case EBADF:
	case EBADFD: /* the tun device was deleted */
	case EFAULT:
	case ENODEV:
	case ENOTSOCK:
		return true;
	default:
		return false;
	}
}

static int64_t coarse_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void stop_was_seen(struct stop_watch *stop)
{
	stop->looked_ms = coarse_ms();
}

bool stop_is_due(struct stop_watch *stop)
{
	int64_t now_ms = coarse_ms();

	if (now_ms - stop->looked_ms < STOP_INTERVAL_MS)
		return false;
	stop->looked_ms = now_ms;
	return true;
}

int stop_is_asked(const struct stop_watch *stop)
{
	struct pollfd fd = {.fd = stop->fd, .events = POLLIN};

	if (poll(&fd, 1, 0) < 0)
		return errno == EINTR ? 0 : -errno;
	return stop_from_poll(fd.revents);
}

int stop_from_poll(short revents)
{
	if (revents & POLLNVAL)
		return -EBADF;
	return revents != 0; /* a pipe that hung up asks for the stop, too */
}
