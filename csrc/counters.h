/*
 * counters.h - what the pump counts: one line of the table below is one counter.
 *
 * Two sums hold whenever the pump is at rest, and tests rely on them:
 *
 *     rx_packets of both ports + icmp.* = tx_packets of both ports + drop.*
 *     syscall.X = calls of X, as strace or the raw_syscalls tracepoints count them
 *
 * (The first does without asynchronous socket errors, which report the loss of a datagram that
 * has been counted as sent: only a connected UDP port gets those.)
 */
#ifndef COUNTERS_H
#define COUNTERS_H

#include <stdint.h>

#define COUNTERS(X) \
	X(PORT0_RX_PACKETS, "port0.rx_packets") \
	X(PORT0_RX_BYTES, "port0.rx_bytes") \
	X(PORT0_TX_PACKETS, "port0.tx_packets") \
	X(PORT0_TX_BYTES, "port0.tx_bytes") \
	X(PORT1_RX_PACKETS, "port1.rx_packets") \
	X(PORT1_RX_BYTES, "port1.rx_bytes") \
	X(PORT1_TX_PACKETS, "port1.tx_packets") \
	X(PORT1_TX_BYTES, "port1.tx_bytes") \
	X(SYSCALL_POLL, "syscall.poll") \
	X(SYSCALL_READ, "syscall.read") \
	X(SYSCALL_WRITE, "syscall.write") \
	X(SYSCALL_RECVFROM, "syscall.recvfrom") \
	X(SYSCALL_SENDTO, "syscall.sendto") \
	X(EAGAIN_READ, "eagain.read") \
	X(EAGAIN_WRITE, "eagain.write") \
	X(EAGAIN_RECVFROM, "eagain.recvfrom") \
	X(EAGAIN_SENDTO, "eagain.sendto") \
	X(ICMP_NET_UNREACHABLE, "icmp.net_unreachable") \
	X(ICMP_TIME_EXCEEDED, "icmp.time_exceeded") \
	X(DROP_TRUNCATED, "drop.truncated")         /* longer than buffer_size */ \
	X(DROP_RUNT, "drop.runt")                   /* a frame shorter than its header */ \
	X(DROP_NOT_IPV4, "drop.not_ipv4")           /* on a layer-3 port */ \
	X(DROP_MALFORMED, "drop.malformed")         /* IPv4 whose lengths contradict each other */ \
	X(DROP_NO_ROUTE, "drop.no_route") \
	X(DROP_TTL_EXPIRED, "drop.ttl_expired") \
	X(DROP_DEVICE_DOWN, "drop.device_down")     /* EIO */ \
	X(DROP_REFUSED, "drop.refused")             /* ECONNREFUSED */ \
	X(DROP_UNREACHABLE, "drop.unreachable")     /* ENETUNREACH, EHOSTUNREACH, E*DOWN */ \
	X(DROP_TOO_BIG, "drop.too_big")             /* EMSGSIZE */ \
	X(DROP_NO_BUFFERS, "drop.no_buffers")       /* ENOBUFS, ENOMEM */ \
	X(DROP_NOT_PERMITTED, "drop.not_permitted") /* EPERM, EACCES: a packet filter */ \
	X(DROP_OTHER_ERROR, "drop.other_error")     /* any other errno that concerns one packet */ \
	X(DROP_STOPPED, "drop.stopped")             /* could not be delivered before the stop */

enum counter {
#define X(index, name) index,
	COUNTERS(X)
#undef X
	COUNTER_COUNT
};

/* Distances inside a port's group, and between the groups. */
enum { RX_PACKETS, RX_BYTES, TX_PACKETS, TX_BYTES, COUNTERS_PER_PORT };

_Static_assert(PORT1_RX_PACKETS - PORT0_RX_PACKETS == COUNTERS_PER_PORT &&
		       PORT0_TX_BYTES - PORT0_RX_PACKETS == TX_BYTES,
	       "the counters of a port are one group");

/* The drop counter for a packet whose system call failed with `error` (a positive errno). */
enum counter counter_for_error(int error);

#endif
