#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"
#include "vnetbench.h"

enum { TIMEOUT_MS = 5000 };

struct server {
	int fd, stop_fd, result;
	struct sockaddr_in address;
	pthread_t thread;
};

static int client_of(const struct sockaddr_in *server)
{
	struct sockaddr_in ours;
	int fd = rig_udp_socket(&ours);

	NEED(connect(fd, (const struct sockaddr *)server, sizeof(*server)) == 0);
	return fd;
}

static void *pong(void *argument)
{
	struct server *server = argument;

	server->result = vnb_pong(server->fd, server->stop_fd);
	return NULL;
}

/* Answers every datagram by noise, by a stale copy of itself, and only then by its echo. */
static void *babble(void *argument)
{
	struct server *server = argument;
	uint8_t datagram[2048], stale[2048];
	struct sockaddr_in peer;
	ssize_t size;

	for (;;) {
		socklen_t length = sizeof(peer);

		size = recvfrom(server->fd, datagram, sizeof(datagram), 0, (struct sockaddr *)&peer,
				&length);
		if (size <= 1)
			return NULL;
		memcpy(stale, datagram, (size_t)size);
		stale[8] ^= 0xff; /* another round */
		sendto(server->fd, stale, (size_t)size, 0, (struct sockaddr *)&peer, length);
		stale[8] ^= 0xff;
		stale[0] ^= 0xff; /* another call */
		sendto(server->fd, stale, (size_t)size, 0, (struct sockaddr *)&peer, length);
		sendto(server->fd, datagram, 3, 0, (struct sockaddr *)&peer, length);
		sendto(server->fd, datagram, (size_t)size, 0, (struct sockaddr *)&peer, length);
	}
}

static void start(struct server *server, void *(*function)(void *))
{
	server->fd = rig_udp_socket(&server->address);
	server->stop_fd = eventfd(0, EFD_CLOEXEC);
	NEED(pthread_create(&server->thread, NULL, function, server) == 0);
}

static void stop(struct server *server)
{
	NEED(eventfd_write(server->stop_fd, 1) == 0);
	NEED(pthread_join(server->thread, NULL) == 0);
	close(server->fd);
	close(server->stop_fd);
}

static void measures(void)
{
	struct server server;
	double seconds = 0, begin, elapsed;
	int fd;

	start(&server, pong);
	fd = client_of(&server.address);
	begin = test_now();
	CLAIM(vnb_ping(fd, 64, 200, TIMEOUT_MS, &seconds) == 0, "200 round trips come back");
	elapsed = test_now() - begin;
	CLAIM(seconds > 0 && seconds <= elapsed, "in a time that fits into the call");
	CLAIM(seconds > elapsed / 2, "and makes up most of it");
	CLAIM(vnb_ping(fd, 16, 10, TIMEOUT_MS, &seconds) == 0, "16 bytes are enough");
	CLAIM(vnb_ping(fd, 65507, 3, TIMEOUT_MS, &seconds) == 0, "65507 bytes are not too many");
	CLAIM(vnb_ping(fd, 15, 1, TIMEOUT_MS, &seconds) == -EINVAL, "15 bytes are refused");
	CLAIM(vnb_ping(fd, 65508, 1, TIMEOUT_MS, &seconds) == -EINVAL, "so are 65508");
	CLAIM(vnb_ping(fd, 64, 1, 0, &seconds) == -EINVAL, "so is a timeout of zero");
	close(fd);
	begin = test_now();
	stop(&server);
	CLAIM(server.result == 0 && test_now() - begin < 0.5, "pong stops when told to");
}

static void tells_echoes_apart(void)
{
	struct server server;
	double seconds;
	int fd;

	start(&server, babble);
	fd = client_of(&server.address);
	/* Were one of the false echoes taken for the answer, later rounds would run out of step. */
	CLAIM(vnb_ping(fd, 64, 50, TIMEOUT_MS, &seconds) == 0, "only the echo of this round counts");
	NEED(send(fd, "", 1, 0) == 1);
	stop(&server);
	close(fd);
}

static void gives_up(void)
{
	struct sockaddr_in mute;
	int silent = rig_udp_socket(&mute), fd = client_of(&mute);
	double seconds = -1, begin = test_now();

	CLAIM(vnb_ping(fd, 64, 1000, 50, &seconds) == -ETIMEDOUT, "without an echo, ping gives up");
	CLAIM(test_now() - begin < 1.0, "after its timeout");
	CLAIM(seconds < 0, "and reports no time");
	close(silent);
	CLAIM(vnb_ping(fd, 64, 1, TIMEOUT_MS, &seconds) == -ECONNREFUSED, "a closed port refuses");
	close(fd);
	CLAIM(vnb_ping(fd, 64, 1, TIMEOUT_MS, &seconds) == -EBADF, "a closed descriptor is reported");
	CLAIM(vnb_pong(fd, fd) == -EBADF, "by pong, too");
}

struct flood {
	int fd;
	bool done;
};

static void *flood(void *argument)
{
	struct flood *flood = argument;

	while (!__atomic_load_n(&flood->done, __ATOMIC_RELAXED))
		send(flood->fd, "flood", 5, MSG_DONTWAIT);
	return NULL;
}

static void pong_stops_under_load(void)
{
	struct flood traffic = {0};
	struct server server;
	pthread_t thread;
	char echo[8];
	double begin;

	start(&server, pong);
	traffic.fd = client_of(&server.address);
	NEED(pthread_create(&thread, NULL, flood, &traffic) == 0);
	NEED(recv(traffic.fd, echo, sizeof(echo), 0) == 5);
	begin = test_now();
	stop(&server);
	CLAIM(test_now() - begin < 0.5, "pong stops although datagrams keep coming");
	__atomic_store_n(&traffic.done, true, __ATOMIC_RELAXED);
	NEED(pthread_join(thread, NULL) == 0);
	close(traffic.fd);
}

void test_traffic(void)
{
	measures();
	tells_echoes_apart();
	gives_up();
	pong_stops_under_load();
}
