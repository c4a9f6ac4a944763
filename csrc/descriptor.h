/* descriptor.h - what every loop here needs of its descriptors; see descriptor.c. */
#ifndef DESCRIPTOR_H
#define DESCRIPTOR_H

#include <linux/sock_diag.h>
#include <stdbool.h>
#include <stdint.h>

/* Set or clear O_NONBLOCK. Returns 0 or -errno. */
int descriptor_set_blocking(int fd, bool blocking);

/* Set SO_RCVTIMEO or SO_SNDTIMEO of a socket. Returns 0 or -errno. */
int descriptor_set_timeout(int fd, int option, int milliseconds);

/*
 * Set a socket blocking with a receive timeout, and its buffer to `buffer` bytes (0: leave it as it
 * is) or as near to it as the caller is allowed. Returns 0 or -errno.
 */
int descriptor_prepare_receiver(int fd, int timeout_ms, uint32_t buffer);

/* What the kernel counts for a socket (SO_MEMINFO), or zeros. */
void descriptor_memory(int fd, uint32_t info[SK_MEMINFO_VARS]);

/* Whether `error` (a positive errno) says that the descriptor, not one packet, is unusable. */
bool descriptor_is_lost(int error);

/* Looks at a stop descriptor, rarely enough that a busy loop can ask all the time. */
struct stop_watch {
	int fd;
	int64_t looked_ms; /* when it was last looked at */
};

/* The caller has just seen, by a poll() of its own, that no stop was asked for. */
void stop_was_seen(struct stop_watch *stop);

/* Whether it is time to look (if so, do); costs no system call. */
bool stop_is_due(struct stop_watch *stop);

/* One poll() that does not wait: 1 if the stop was asked for, 0 if not, or -errno. */
int stop_is_asked(const struct stop_watch *stop);

/* What poll() reported about the stop descriptor, in the same terms. */
int stop_from_poll(short revents);

#endif
