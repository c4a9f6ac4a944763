/*
 * meter.c - has the kernel count an event of the processor, or one of its own, on a whole CPU.
 *
 * Theory of operation. perf_event_open(2) with no process and one CPU counts what happens there,
 * whoever it happens to: processes, the kernel, softirqs. The processor's own events need a
 * performance-monitoring unit, which a virtual machine often has not: then the kernel says ENOENT,
 * and there is nothing to be counted. Several events may take turns on few counters; so a reading
 * comes with the time for which the event was wanted and that for which it was really counted.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vnetbench.h"

int vnb_meter_open(uint32_t type, uint64_t config, int cpu)
{
	struct perf_event_attr event = {
		.type = type,
		.size = sizeof(event),
		.config = config,
		.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
	};
	long fd;

	if (cpu < 0)
		return -EINVAL;
	fd = syscall(SYS_perf_event_open, &event, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : (int)fd;
}

int vnb_meter_read(int fd, struct vnb_reading *reading)
{
	ssize_t size = read(fd, reading, sizeof(*reading));

	if (size < 0)
		return -errno;
	return size == sizeof(*reading) ? 0 : -EIO;
}
