/* What a meter counts, as far as any machine has it, and what it refuses. */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <unistd.h>

#include "test.h"
#include "vnetbench.h"

enum { NO_SUCH_TYPE = 0x7fffffff, NO_SUCH_CPU = 1 << 20 };

static void test_what_cannot_be_metered(void)
{
	struct vnb_reading reading;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	NEED(null >= 0);
	CLAIM(vnb_meter_open(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES, -1) == -EINVAL,
	      "a meter is of one CPU");
	CLAIM(vnb_meter_read(null, &reading) == -EIO, "what gives no reading is no meter");
	CLAIM(vnb_meter_read(-1, &reading) == -EBADF, "nor is what is not open");
	close(null);
}

void test_meter(void)
{
	struct vnb_reading reading = {0};
	int meter = vnb_meter_open(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, 0), other;

	test_what_cannot_be_metered();
	if (meter == -EACCES || meter == -EPERM || meter == -ENOSYS) {
		printf("meters are not permitted here: not tested\n");
		return;
	}
	CLAIM(meter >= 0, "the clock of a CPU can be metered");
	CLAIM((fcntl(meter, F_GETFD) & FD_CLOEXEC) != 0, "no other program inherits a meter");
	CLAIM(vnb_meter_read(meter, &reading) == 0 && reading.count > 0, "it counts from the beginning");
	CLAIM(reading.running_ns > 0 && reading.running_ns <= reading.enabled_ns,
	      "and says for how long it did");
	close(meter);
	other = vnb_meter_open(NO_SUCH_TYPE, 0, 0);
	CLAIM(other == -ENOENT, "an event of no known kind is counted by nothing");
	other = vnb_meter_open(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, NO_SUCH_CPU);
	CLAIM(other == -EINVAL || other == -ENODEV, "a CPU must be there");
}
