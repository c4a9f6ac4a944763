/*
 * agent.c - runs programs in a guest for whoever holds the other end of a virtio-serial port.
 *
 * Theory of operation. Orders are lines whose words are separated by tabs:
 *
 *	run	ID	PROGRAM	WORD...		start a program; ID is a number below PROGRAMS_MAX
 *	end	ID				kill it, with all that it has started
 *
 * Answers are lines as well; behind that of an output are as many bytes as it says:
 *
 *	ready RELEASE			the agent takes orders; of the guest's kernel
 *	output ID SIZE			what the program has written, to whichever of its descriptors
 *	exit ID STATUS			it has ended; -SIGNAL where a signal did it
 *
 * One thread and one poll(): a program's end is the end of its pipe, so that its last words always
 * come before its status. While nothing is said, the agent sleeps and disturbs no measurement.
 */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROGRAMS_MAX = 16, WORDS_MAX = 64, ORDER_MAX = 8192, OUTPUT_MAX = 4096 };

struct program {
	pid_t pid; /* 0: none */
	int output;
};

struct agent {
	int port;
	size_t pending; /* bytes of an order that is not complete yet */
	char order[ORDER_MAX];
	struct program programs[PROGRAMS_MAX];
};

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t written = write(fd, data, size);

		if (written < 0 && errno != EINTR)
			return -errno;
		if (written > 0) {
			data += written;
			size -= (size_t)written;
		}
	}
	return 0;
}

static int answer(struct agent *agent, const char *what, int id, int number)
{
	char line[64];
	int length = snprintf(line, sizeof(line), "%s %d %d\n", what, id, number);

	return write_all(agent->port, line, (size_t)length);
}

static void become(char *const words[], int output)
{
	static const char environment[] = "PATH=/bin";

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	putenv((char *)environment);
	execvp(words[0], words);
	dprintf(STDERR_FILENO, "%s: %s\n", words[0], strerror(errno));
	_exit(127);
}

static int start(struct agent *agent, int id, char *const words[])
{
	struct program *program = &agent->programs[id];
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	program->pid = fork();
	if (program->pid == 0)
		become(words, ends[1]);
	close(ends[1]);
	if (program->pid < 0) {
		program->pid = 0;
		close(ends[0]);
		return -errno;
	}
	setpgid(program->pid, program->pid); /* whoever is first; an order to end may follow at once */
	program->output = ends[0];
	return 0;
}

/* Carry an order out. One that makes no sense is from no caller of ours: -EPROTO. */
static int obey(struct agent *agent, char *order)
{
	char *words[WORDS_MAX + 1] = {NULL}, *rest = order, *word;
	size_t count = 0;
	long id;

	while (count < WORDS_MAX && (word = strsep(&rest, "\t")))
		words[count++] = word;
	if (count < 2 || rest)
		return -EPROTO;
	id = strtol(words[1], NULL, 10);
	if (id < 0 || id >= PROGRAMS_MAX)
		return -EPROTO;
	if (strcmp(words[0], "run") == 0 && count > 2 && agent->programs[id].pid == 0)
		return start(agent, (int)id, words + 2);
	if (strcmp(words[0], "end") != 0)
		return -EPROTO;
	if (agent->programs[id].pid > 0)
		kill(-agent->programs[id].pid, SIGKILL);
	return 0;
}

/* Read orders and carry out those that are complete. Returns 1 at the end of all, 0, or -errno. */
static int read_orders(struct agent *agent)
{
	size_t room = sizeof(agent->order) - agent->pending;
	ssize_t size = read(agent->port, agent->order + agent->pending, room);
	char *begin = agent->order, *end;
	int result;

	if (size < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	if (size == 0)
		return 1;
	agent->pending += (size_t)size;
	while ((end = memchr(begin, '\n', agent->pending))) {
		*end = '\0';
		agent->pending -= (size_t)(end + 1 - begin);
		if ((result = obey(agent, begin)) < 0)
			return result;
		begin = end + 1;
	}
	if (agent->pending == sizeof(agent->order))
		return -EPROTO;
	memmove(agent->order, begin, agent->pending);
	return 0;
}

static int read_output(struct agent *agent, int id)
{
	struct program *program = &agent->programs[id];
	char data[OUTPUT_MAX];
	ssize_t size = read(program->output, data, sizeof(data));
	int status, result;

	if (size < 0)
		return errno == EINTR ? 0 : -errno;
	if (size > 0) {
		result = answer(agent, "output", id, (int)size);
		return result < 0 ? result : write_all(agent->port, data, (size_t)size);
	}
	close(program->output);
	while (waitpid(program->pid, &status, 0) < 0 && errno == EINTR)
		;
	program->pid = 0;
	status = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
	return answer(agent, "exit", id, status);
}

static int turn(struct agent *agent)
{
	struct pollfd fds[PROGRAMS_MAX + 1];
	int result;

	for (int id = 0; id < PROGRAMS_MAX; id++) {
		const struct program *program = &agent->programs[id];

		fds[id] = (struct pollfd){.fd = program->pid ? program->output : -1,
					  .events = POLLIN};
	}
	fds[PROGRAMS_MAX] = (struct pollfd){.fd = agent->port, .events = POLLIN};
	if (poll(fds, PROGRAMS_MAX + 1, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	for (int id = 0; id < PROGRAMS_MAX; id++)
		if (fds[id].revents && (result = read_output(agent, id)) < 0)
			return result;
	return fds[PROGRAMS_MAX].revents ? read_orders(agent) : 0;
}

int agent_serve(int fd)
{
	struct agent agent = {.port = fd};
	struct utsname system;
	char line[128];
	int length, result;

	uname(&system);
	length = snprintf(line, sizeof(line), "ready %s\n", system.release);
	result = write_all(fd, line, (size_t)length);
	while (result == 0)
		result = turn(&agent);
	return result > 0 ? 0 : result;
}
