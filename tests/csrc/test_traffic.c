#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
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

static void answer(const struct server *server, const struct sockaddr_in *peer, uint8_t *datagram,
		   ssize_t size, size_t spoilt)
{
	datagram[spoilt] ^= 0xff;
	sendto(server->fd, datagram, (size_t)size, 0, (const struct sockaddr *)peer, sizeof(*peer));
	datagram[spoilt] ^= 0xff;
}

/* Answers by echoes that are false in one way each, and if `honest`, by the true one behind them. */
static void *babble(struct server *server, bool honest)
{
	enum { CALL = 0, ROUND = 8, HALF = 32, PAYLOAD = 2047 };
	uint8_t datagram[2048];
	struct sockaddr_in peer;
	ssize_t size;

	for (;;) {
		socklen_t length = sizeof(peer);

		size = recvfrom(server->fd, datagram, sizeof(datagram), 0, (struct sockaddr *)&peer,
				&length);
		if (size <= 1)
			return NULL;
		answer(server, &peer, datagram, size, ROUND);
		answer(server, &peer, datagram, size, CALL);
		answer(server, &peer, datagram, HALF, PAYLOAD);
		answer(server, &peer, datagram, size + 1, PAYLOAD);
		if (honest)
			answer(server, &peer, datagram, size, PAYLOAD);
	}
}

static void *babble_honestly(void *argument)
{
	return babble(argument, true);
}

static void *lie(void *argument)
{
	return babble(argument, false);
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

	start(&server, babble_honestly);
	fd = client_of(&server.address);
	CLAIM(vnb_ping(fd, 64, 50, TIMEOUT_MS, &seconds) == 0, "an echo is found among false ones");
	NEED(send(fd, "", 1, 0) == 1);
	stop(&server);
	close(fd);

	start(&server, lie);
	fd = client_of(&server.address);
	CLAIM(vnb_ping(fd, 64, 1, 100, &seconds) == -ETIMEDOUT,
	      "neither another round's nor another call's nor a shorter or longer one is the echo");
	NEED(send(fd, "", 1, 0) == 1);
	stop(&server);
	close(fd);
}

static void forgets_earlier_errors(void)
{
	struct sockaddr_in address;
	int closed = rig_udp_socket(&address), fd = client_of(&address);
	struct server server;
	double seconds;

	close(closed);
	NEED(send(fd, "", 1, 0) == 1); /* refused, and the socket remembers it */
	start(&server, pong);
	NEED(connect(fd, (struct sockaddr *)&server.address, sizeof(server.address)) == 0);
	CLAIM(vnb_ping(fd, 64, 1, TIMEOUT_MS, &seconds) == 0,
	      "what was refused before the call is not held against it");
	close(fd);
	stop(&server);
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
	forgets_earlier_errors();
	gives_up();
	pong_stops_under_load();
}
