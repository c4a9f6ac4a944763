/*
 * vnetbench.h - what Python (through cffi) and the C tests may call; the traffic is in streams.h.
 *
 * Theory of operation. Everything is a plain function over descriptors that the caller opened
 * and owns. Functions that can fail return 0 or a non-negative result, or -errno; nothing here
 * prints, exits, installs a signal handler or keeps a global. Functions that loop (vnb_pump_run,
 * vnb_pong, vnb_send, vnb_sink, …) end when their stop descriptor (an eventfd) becomes readable; cffi
 * releases the GIL for as long as they run. Addresses and ports are in network byte order unless a
 * name says otherwise.
 *
 * csrc/build.py feeds the lines between the CDEF markers to cffi, so only declarations that
 * cffi's parser knows (no macros with arguments, no inline functions) may stand there.
 */
#ifndef VNETBENCH_H
#define VNETBENCH_H

#include <stddef.h>
#include <stdint.h>

#include "streams.h"

/* CDEF BEGIN */

/* ---- tun and tap devices (tun.c) ---------------------------------------------------------- */

enum vnb_port_kind {
	VNB_PORT_TUN, /* a tun descriptor: one read or write is one IP packet */
	VNB_PORT_TAP, /* a tap descriptor: one read or write is one Ethernet frame */
	VNB_PORT_UDP, /* a bound UDP socket: one datagram is one whole inner IP packet */
};

enum vnb_tun_mode { /* bits */
	VNB_TUN_OFFLOAD = 1, /* a virtio header in front of each packet, and segmentation offload */
	VNB_TUN_QUEUES = 2,  /* the device may be opened several times, each a queue of its own */
};

/*
 * Create the tun or tap device `name` in the calling thread's network namespace, or attach to it
 * when it exists and is free. The device has no packet-information header (IFF_NO_PI), and exactly
 * the virtio header, offloads and queues that `mode` says, whatever its last holder left on it.
 * With VNB_TUN_OFFLOAD it takes and gives TCP super-packets over IPv4 and IPv6, and UDP ones where
 * the kernel can (6.2). A created device is not persistent: it goes with its last descriptor.
 *
 * A tap may be a macvtap, which has to exist; each call opens one more queue of it.
 *
 * Returns a blocking, close-on-exec descriptor, or -errno: -EINVAL (no valid device name, a name
 * with a % pattern, or kind is not TUN or TAP), -EMEDIUMTYPE (the existing device has another kind
 * or framing, or is no tun device at all), -EBUSY (somebody holds it), -EPERM, -ENOENT or -EACCES
 * (/dev/net/tun is missing or closed to the caller).
 */
int vnb_tun_open(const char *name, enum vnb_port_kind kind, unsigned int mode);

/* ---- routes (routes.c, router.c) ---------------------------------------------------------- */

struct vnb_route {
	uint8_t prefix[16];   /* IPv4: the first 4 bytes */
	uint8_t next_hop[16]; /* address of the peer that owns it; IPv4: the first 4 bytes */
	uint16_t port;        /* the peer's UDP port, network byte order */
	uint8_t ipv6;         /* whether the prefix is IPv6 */
	uint8_t hop_ipv6;     /* whether the peer's address is */
	uint8_t length;       /* prefix length, 0..32 or 0..128 */
};

/* The routes in force. Pumps look them up, while any one other thread may replace them. */
struct vnb_router;

/* Make a router without routes. Returns 0 or -ENOMEM. */
int vnb_router_new(struct vnb_router **router);

/* Free it; NULL is allowed. No pump may still be using it. */
void vnb_router_free(struct vnb_router *router);

/*
 * Replace all routes at once by `count` others; a running pump loses no packet over it. Of two
 * routes with the same prefix and length the later wins. Returns 0 when no pump uses the former
 * routes any more, or -EINVAL (length too long, host bits set) or -ENOMEM with the routes unchanged.
 */
int vnb_router_replace(struct vnb_router *router, const struct vnb_route *routes, size_t count);

/*
 * Look up the 4 or 16 bytes at `address`: fills *next_hop (prefix and length stay zero) with the
 * owner and returns 0, or -ENETUNREACH. Not while another thread replaces the routes.
 */
int vnb_router_find(const struct vnb_router *router, const uint8_t *address, int ipv6,
		    struct vnb_route *next_hop);

/* ---- counters (counters.c) ---------------------------------------------------------------- */

/*
 * Counters are an array of uint64_t, one writer (the pump), any number of readers; place it in
 * shared memory to read it from another process while the pump runs. Index and name of each are
 * one entry of the table in counters.h.
 */
size_t vnb_counter_count(void);
const char *vnb_counter_name(size_t index); /* "port0.rx_packets"; NULL past the end */

/* ---- switches (switches.c) ----------------------------------------------------------------- */

/* One technique, or handicap, of the pump that can be turned on by itself. */
struct vnb_switch {
	const char *name;
	const char *values; /* "off on": names of the values 0, 1, ...; NULL: a whole number */
	int64_t initial, least, most;
	const char *help;   /* one line */
};

/* The index-th entry of the table, NULL past the end. Settings are an array in this order. */
const struct vnb_switch *vnb_switch_at(size_t index);

/* ---- the pump (pump.c) -------------------------------------------------------------------- */

struct vnb_port {
	enum vnb_port_kind kind;
	int fd;
};

/*
 * icmp_source must not be an address of the host that holds the tun: the kernel drops what a tun
 * brings from its own addresses as a forgery, unless net.ipv4.conf.<tun>.accept_local is set.
 */
struct vnb_pump {
	struct vnb_port port[2];     /* tun and udp (in that order), tun and tun, or tap and tap */
	struct vnb_router *router;   /* where a packet read from the tun goes; with a UDP port only */
	uint8_t icmp_source4[4];     /* source of ICMP errors; all zero: the address not reached */
	uint8_t icmp_source6[16];    /* the same for ICMPv6 */
	uint32_t buffer_size;        /* bytes of the largest packet carried; longer ones are dropped */
	int stop_fd;                 /* an eventfd; the loop ends when it is readable */
	const int64_t *settings;     /* a value for each switch */
};

/*
 * Why the kinds of ports and the settings do not go together, as one line for the user; NULL if they
 * do. Depends on nothing else.
 */
const char *vnb_pump_refusal(const struct vnb_pump *pump);

/*
 * Move packets between the two ports until stop_fd is readable (at most some 50 ms later, whatever
 * the traffic), in the way `settings` say. Adds to `counters` (vnb_counter_count() long; the
 * caller clears them). On layer 3, each crossing takes one from the TTL or hop limit. Several
 * threads may each run a pump on descriptors of the same devices, with counters of their own.
 *
 * With tun_offload on, devices must have been opened with VNB_TUN_OFFLOAD.
 *
 * The mode of the descriptors belongs to the pump while it runs and stays set afterwards: devices
 * non-blocking, but blocking with io=uring; a UDP socket blocking, with a send timeout, so that a full
 * send queue slows the pump down as it slows flannel's proxy instead of losing datagrams.
 *
 * Returns 0 when stopped, or -errno: -EINVAL (what vnb_pump_refusal() refuses, a setting out of
 * range, router missing or superfluous, buffer_size below 20 or above 65535, a UDP port that is
 * no datagram socket; with io=uring a kernel before 6.0), -ENOMEM, -ENOSYS or -EPERM (no io_uring
 * for this user), -EAGAIN (no thread for hand-offs), what handicaps lack for their trips (errand.h,
 * tuntrip.h), -ENOSPC (the router has 64 pumps), or the error of a descriptor that has become
 * unusable (-EBADF, -EIO, -EBADFD when the device is gone). A device that is merely down is waited for.
 */
int vnb_pump_run(const struct vnb_pump *pump, uint64_t *counters);

/* ---- how much of the CPUs is used ------------------------------------------------------------ */

/*
 * Work at the lowest priority (SCHED_IDLE, which the calling thread keeps) until *stop is not 0, and
 * count the pieces of work done in *pieces. Both may be read and written from other processes, in
 * shared memory. The pieces of a time, as a share of those of an equal time in which nothing else
 * ran, are the share of the caller's CPU that was free; bind it to one.
 *
 * Returns 0, or -errno of sched_setscheduler(2).
 */
int vnb_soak(uint64_t *pieces, const uint32_t *stop);

/* ---- events of a whole CPU (meter.c) --------------------------------------------------------- */

/* What was counted since a meter was opened. */
struct vnb_reading {
	uint64_t count;
	uint64_t enabled_ns; /* how long it was to be counted */
	uint64_t running_ns; /* and how long it was: less where more events were asked for than fit */
};

/*
 * Count the event `config` of the kind `type` (PERF_TYPE_*, PERF_COUNT_* of perf_event_open(2)) on
 * the CPU `cpu`, whoever runs there, from now on.
 *
 * Returns a close-on-exec descriptor, or -errno: -EINVAL (no such CPU or event), -ENOENT (nothing
 * here counts it: a virtual machine may be without the processor's counters), -EACCES or -EPERM (not
 * permitted: see perf_event_paranoid), -ENOSYS.
 */
int vnb_meter_open(uint32_t type, uint64_t config, int cpu);

/* Read a meter. Returns 0, or -errno of read(2), or -EIO (it is in error or no meter at all). */
int vnb_meter_read(int fd, struct vnb_reading *reading);

/* ---- the machine by itself (canary.c) --------------------------------------------------------- */

/*
 * Copy `size` bytes (not 0) from one buffer to another, `copies` times. Returns 0 and the elapsed
 * CLOCK_MONOTONIC seconds of all copies in *seconds, or -errno: -EINVAL (size), -ENOMEM.
 */
int vnb_canary_copies(size_t size, uint64_t copies, double *seconds);

/*
 * Enter the kernel `calls` times for next to nothing (getppid). Returns 0 and the elapsed
 * CLOCK_MONOTONIC seconds in *seconds, or -errno where a call is not permitted.
 */
int vnb_canary_calls(uint64_t calls, double *seconds);

/* ---- the kernel calls Python 3.11 lacks ---------------------------------------------------- */

int vnb_unshare(int flags);        /* unshare(2), or -errno */
int vnb_setns(int fd, int nstype); /* setns(2), or -errno */

/*
 * Give the calling process a mount namespace of its own, in which an empty tmpfs covers the folder
 * `path`. What is written there nobody else sees, and the kernel drops it with the last process in
 * the namespace, however that ends. Returns 0 or -errno.
 */
int vnb_private_tmpfs(const char *path);

/* Have the file behind descriptor `fd`, such as a namespace, at `path` as well. 0 or -errno. */
int vnb_bind(int fd, const char *path);

/*
 * Have the kernel send `signal` to the caller when the *thread* that forked it dies; survives exec
 * of anything but a set-id program. Or -errno: -EINVAL (no such signal).
 */
int vnb_die_with_parent(int signal);

/* The compiler that built this, and its version. */
const char *vnb_compiler(void);

/* The options it was given that decide on its code, such as "-O2 -fPIC"; "" if nobody said. */
const char *vnb_compiler_flags(void);

/* The version of the liburing built in, "of unknown version", or "none". */
const char *vnb_liburing(void);

/* CDEF END */

#endif
