/*
 * counters.h - what the pump counts: one line of the table below is one counter.
 *
 * Two sums hold whenever the pump is at rest, and tests rely on them:
 *
 *     rx_packets of both ports + icmp.* = tx_packets of both ports + drop.*
 *     syscall.X = calls of X, as strace or the raw_syscalls tracepoints count them
 *
 * A super-packet counts as the packets it stands for, and as one unit, as it is copied. Bytes are those that crossed between user and
 * kernel space, without virtio headers: a super-packet has one header for all its packets.
 *
 * (The first does without asynchronous socket errors, which report the loss of a datagram that
 * has been counted as sent: only a connected UDP port gets those.)
 */
#ifndef COUNTERS_H
#define COUNTERS_H

#include <errno.h>
#include <stdint.h>
#include <sys/types.h>

/* The system calls a pump makes, counted twice: all of them, and those that returned EAGAIN. */
#define CALLS(X, GROUP, group) \
	X(GROUP##_POLL, group "poll") \
	X(GROUP##_READ, group "read") \
	X(GROUP##_WRITE, group "write") \
	X(GROUP##_WRITEV, group "writev") \
	X(GROUP##_RECVFROM, group "recvfrom") \
	X(GROUP##_RECVMSG, group "recvmsg") \
	X(GROUP##_RECVMMSG, group "recvmmsg") \
	X(GROUP##_SENDTO, group "sendto") \
	X(GROUP##_SENDMSG, group "sendmsg") \
	X(GROUP##_SENDMMSG, group "sendmmsg") \
	X(GROUP##_IO_URING_ENTER, group "io_uring_enter") \
	X(GROUP##_SCHED_YIELD, group "sched_yield") \
	X(GROUP##_GETPPID, group "getppid")         /* a null call, a handicap */

#define COUNTERS(X) \
	X(PORT0_RX_PACKETS, "port0.rx_packets") \
	X(PORT0_RX_BYTES, "port0.rx_bytes") \
	X(PORT0_RX_SUPERS, "port0.rx_supers")       /* units received that stand for several packets */ \
	X(PORT0_RX_UNITS, "port0.rx_units")         /* copies out of the kernel */ \
	X(PORT0_TX_PACKETS, "port0.tx_packets") \
	X(PORT0_TX_BYTES, "port0.tx_bytes") \
	X(PORT0_TX_SUPERS, "port0.tx_supers") \
	X(PORT0_TX_UNITS, "port0.tx_units")         /* copies into it */ \
	X(PORT1_RX_PACKETS, "port1.rx_packets") \
	X(PORT1_RX_BYTES, "port1.rx_bytes") \
	X(PORT1_RX_SUPERS, "port1.rx_supers") \
	X(PORT1_RX_UNITS, "port1.rx_units") \
	X(PORT1_TX_PACKETS, "port1.tx_packets") \
	X(PORT1_TX_BYTES, "port1.tx_bytes") \
	X(PORT1_TX_SUPERS, "port1.tx_supers") \
	X(PORT1_TX_UNITS, "port1.tx_units") \
	CALLS(X, SYSCALL, "syscall.") \
	CALLS(X, EAGAIN, "eagain.") \
	X(COPY_HOT, "copy.hot")                     /* handicaps */ \
	X(COPY_COLD, "copy.cold") \
	X(HANDOFF, "handoff") \
	X(TRIP_UDP, "trip.udp") \
	X(TRIP_TUN, "trip.tun") \
	X(TRIP_LOST, "trip.lost")                   /* refused, or not back in time */ \
	X(REFUSED_UDP_SEGMENT, "refused.udp_segment") /* sends that UDP_SEGMENT was refused for */ \
	X(REFUSED_TUN_SUPER, "refused.tun_super")     /* super-packets that a tun did not take */ \
	X(ICMP_NET_UNREACHABLE, "icmp.net_unreachable") \
	X(ICMP_TIME_EXCEEDED, "icmp.time_exceeded") \
	X(DROP_TRUNCATED, "drop.truncated")         /* longer than buffer_size */ \
	X(DROP_RUNT, "drop.runt")                   /* a frame shorter than its header */ \
	X(DROP_NOT_IP, "drop.not_ip")               /* on a layer-3 port */ \
	X(DROP_MALFORMED, "drop.malformed")         /* IP whose lengths contradict each other */ \
	X(DROP_BAD_OFFLOAD, "drop.bad_offload")     /* a virtio header that contradicts its packet */ \
	X(DROP_UNKNOWN_PEER, "drop.unknown_peer")   /* the sender is no next hop of any route */ \
	X(DROP_SPOOFED_SOURCE, "drop.spoofed_source") /* the inner source is not the sender's */ \
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
enum {
	RX_PACKETS,
	RX_BYTES,
	RX_SUPERS,
	RX_UNITS,
	TX_PACKETS,
	TX_BYTES,
	TX_SUPERS,
	TX_UNITS,
	COUNTERS_PER_PORT
};
enum { EAGAIN_OF_SYSCALL = EAGAIN_POLL - SYSCALL_POLL };

_Static_assert(PORT1_RX_PACKETS - PORT0_RX_PACKETS == COUNTERS_PER_PORT &&
		       PORT0_TX_UNITS - PORT0_RX_PACKETS == TX_UNITS &&
		       EAGAIN_GETPPID - SYSCALL_GETPPID == EAGAIN_OF_SYSCALL,
	       "groups of counters have one order");

/* Count a system call of which `error` (0 or a positive errno) came. */
static inline void count_call(uint64_t *counters, enum counter call, int error)
{
	counters[call]++;
	if (error == EAGAIN)
		counters[call + EAGAIN_OF_SYSCALL]++;
}

/* Count a system call that returned `result` (errno is set where that is negative); returns it. */
static inline ssize_t counted(uint64_t *counters, enum counter call, ssize_t result)
{
	count_call(counters, call, result < 0 ? errno : 0);
	return result;
}

/* The drop counter for a packet whose system call failed with `error` (a positive errno). */
enum counter counter_for_error(int error);

#endif
