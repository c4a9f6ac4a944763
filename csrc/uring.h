/* uring.h - io_uring instead of a system call an operation; see uring.c. */
#ifndef URING_H
#define URING_H

#include <stdbool.h>

struct pump;

/* Whether it was compiled in. */
bool uring_built(void);

/*
 * Have the prepared pump wait, receive and send through a ring: replaces its wait function and the
 * kinds of its ports. Returns 0 or -errno: -ENOSYS, -EPERM (the kernel has no io_uring, or keeps it
 * from this user), -EINVAL (too old a kernel: 6.0 is needed), -ENOMEM.
 */
int uring_open(struct pump *pump);

/* Cancel what is under way and free the ring, if there is one. */
void uring_close(struct pump *pump);

#endif
