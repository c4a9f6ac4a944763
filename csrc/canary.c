/*
 * canary.c - two things that any path is made of, by themselves: copying memory, entering the kernel.
 *
 * Theory of operation. What these cost has nothing to do with a path, so where they change between
 * two times of one machine, it was the machine that changed: its clock rate, what its neighbours do
 * to the caches, its mitigations. The copies go from one buffer to another, larger than the caches
 * that a core has for itself, so they also see what others do to the shared one. The buffers have
 * been written to before the clock is read: no page fault is in the figure.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "vnetbench.h"

static double seconds_of_copies(uint8_t *to, uint8_t *from, size_t size, uint64_t copies)
{
	int64_t begin;

	memset(to, 1, size);
	memset(from, 2, size);
	begin = now_ns();
	for (uint64_t i = 0; i < copies; i++) {
		memcpy(to, from, size);
		__asm__ volatile("" : : "r"(to), "r"(from) : "memory"); /* or only the last is made */
	}
	return (double)(now_ns() - begin) / 1e9;
}

int vnb_canary_copies(size_t size, uint64_t copies, double *seconds)
{
	uint8_t *buffers;

	if (size == 0 || size > SIZE_MAX / 2)
		return -EINVAL;
	buffers = malloc(2 * size);
	if (!buffers)
		return -ENOMEM;
	*seconds = seconds_of_copies(buffers, buffers + size, size, copies);
	free(buffers);
	return 0;
}

int vnb_canary_calls(uint64_t calls, double *seconds)
{
	int64_t begin = now_ns();

	for (uint64_t i = 0; i < calls; i++) /* getppid() of a C library might remember the answer */
		if (syscall(SYS_getppid) < 0)
			return -errno;
	*seconds = (double)(now_ns() - begin) / 1e9;
	return 0;
}
