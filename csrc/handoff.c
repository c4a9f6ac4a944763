/*
 * handoff.c - a packet that waits for another thread and back: two wake-ups, two context switches.
 *
 * Theory of operation. Both threads sleep the way the pump itself does, in poll(2) on three
 * descriptors, and are woken by a write to one of them, an eventfd: so one hand-off is twice what a
 * pump goes through that has nothing else to do when a packet comes. (A futex would be a cheaper
 * sleep than any that can wait for a tun or a socket.)
 *
 * With `yields`, both take turns before the answer: each gives the CPU to the other (sched_yield(2))
 * and stays ready to run. Where they share a CPU that is a context switch and nothing else, so that
 * what a wake-up costs can be told from what a switch costs.
 *
 * The other thread does nothing of its own accord, so who asked can count for both. It is done with
 * when an answer has come, or at the end, when it is joined. Only its turns it counts itself: how
 * many it gets is the scheduler's business.
 */
#include "handoff.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "counters.h"

enum { ASK = 1, END = 2, TAKE_TURNS = 3 };

static void tell(int fd, uint64_t what)
{
	while (write(fd, &what, sizeof(what)) < 0 && errno == EINTR)
		;
}

/* Sleep until something is told through `fd`, and return it. */
static uint64_t await(const struct handoff *handoff, int fd)
{
	struct pollfd watched[] = {
		{.fd = fd, .events = POLLIN},
		{.fd = handoff->idle, .events = POLLIN},
		{.fd = handoff->idle, .events = POLLIN},
	};
	uint64_t told = 0;

	while (poll(watched, 3, -1) < 0 && errno == EINTR)
		;
	while (read(fd, &told, sizeof(told)) < 0 && errno == EINTR)
		;
	return told;
}

static void *answer(void *argument)
{
	struct handoff *handoff = argument;
	uint64_t told;

	while ((told = await(handoff, handoff->asked)) != END) {
		while (told == TAKE_TURNS && atomic_load(&handoff->taking_turns)) {
			sched_yield();
			atomic_fetch_add(&handoff->turns, 1);
		}
		tell(handoff->answered, ASK);
	}
	return NULL;
}

static void count_calls(const struct handoff *handoff, unsigned int told, unsigned int awaited)
{
	handoff->counters[SYSCALL_WRITE] += told;
	handoff->counters[SYSCALL_POLL] += awaited;
	handoff->counters[SYSCALL_READ] += awaited;
}

static void take_turns(struct handoff *handoff)
{
	atomic_store(&handoff->taking_turns, true);
	tell(handoff->asked, TAKE_TURNS);
	for (int64_t i = 0; i < handoff->yields; i++)
		sched_yield();
	atomic_store(&handoff->taking_turns, false);
	handoff->counters[SYSCALL_SCHED_YIELD] += (uint64_t)handoff->yields;
}

void handoff_run(struct handoff *handoff)
{
	if (handoff->yields)
		take_turns(handoff);
	else
		tell(handoff->asked, ASK);
	await(handoff, handoff->answered);
	count_calls(handoff, 2, 2);
	handoff->counters[HANDOFF]++;
	handoff->counters[SYSCALL_SCHED_YIELD] += atomic_exchange(&handoff->turns, 0);
}

int handoff_open(struct handoff *handoff, int64_t yields, uint64_t *counters)
{
	int result;

	*handoff = (struct handoff){
		.asked = eventfd(0, EFD_CLOEXEC),
		.answered = eventfd(0, EFD_CLOEXEC),
		.idle = eventfd(0, EFD_CLOEXEC),
		.yields = yields,
		.counters = counters,
	};
	if (handoff->asked < 0 || handoff->answered < 0 || handoff->idle < 0)
		return -errno;
	result = -pthread_create(&handoff->other, NULL, answer, handoff);
	handoff->has_other = result == 0;
	return result;
}

void handoff_close(struct handoff *handoff)
{
	if (!handoff->counters)
		return;
	if (handoff->has_other) {
		tell(handoff->asked, END);
		pthread_join(handoff->other, NULL);
		count_calls(handoff, 1, 1);
	}
	for (int i = 0; i < 3; i++) {
		int fd = (int[]){handoff->asked, handoff->answered, handoff->idle}[i];

		if (fd >= 0)
			close(fd);
	}
}
