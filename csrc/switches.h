/*
 * switches.h - every technique and handicap of the pump: one entry of the table below each.
 *
 * The table is all there is to a switch: its index in the settings, its name on the command line and
 * in scenario files, what it may be, and what it is when nobody asks. A switch that C does not look
 * at (how many threads, on which CPU) is the business of whoever starts the pump.
 */
#ifndef SWITCHES_H
#define SWITCHES_H

#include <stdint.h>

/* X(INDEX, name, names of the values or NULL, initial, least, most, help) */
#define SWITCHES(X) \
	X(READINESS, "readiness", "off on", 0, 0, 1, \
	  "receive only where something is ready, instead of trying both ports in turn") \
	X(BATCH, "batch", NULL, 1, 1, 64, "packets moved by one system call, at most") \
	X(TUN_OFFLOAD, "tun_offload", "off on", 0, 0, 1, \
	  "super-packets across the tun or tap: split on the way out, joined on the way in") \
	X(UDP_OFFLOAD, "udp_offload", "off on", 0, 0, 1, \
	  "many datagrams a send and a receive: UDP_SEGMENT and UDP_GRO") \
	X(WAIT, "wait", "block spin busy", 0, 0, 2, \
	  "when nothing is there: sleep, keep asking, or have the kernel poll the device (SO_BUSY_POLL)") \
	X(LINGER, "linger", NULL, 0, 0, 100000, \
	  "microseconds to go on asking before sleeping; the CPU is yielded to whoever has work") \
	X(IO, "io", "syscall uring", 0, 0, 1, "one system call an operation, or io_uring") \
	X(QUEUES, "queues", NULL, 1, 1, 16, "queues of each device, with a thread and a socket each") \
	X(SOCKETS, "sockets", "reuseport shared", 0, 0, 1, \
	  "with several queues: a socket for each (SO_REUSEPORT), or one for all") \
	X(QUEUE_LENGTH, "queue_length", NULL, 0, 0, 100000, \
	  "packets that may wait in each device for the pump; 0: as it comes, 500 in a tun") \
	X(BUFFER, "buffer", NULL, 0, 0, 1 << 30, "bytes of each socket buffer; 0: the system's default") \
	X(CPU, "cpu", NULL, -1, -1, 1023, "CPU of the first thread, the next for the next; -1: any") \
	X(SCHEDULER, "scheduler", "other batch", 0, 0, 1, \
	  "the kernel's policy for the threads: batch does not preempt those who wake the pump") \
	X(TRUST, "trust", "anyone peers sources", 2, 0, 2, \
	  "take datagrams from anyone, from the routes' peers, or from those with their own sources only") \
	X(HOT_COPIES, "hot_copies", NULL, 0, 0, 64, \
	  "handicap: copies of each packet to memory that stays in the cache") \
	X(COLD_COPIES, "cold_copies", NULL, 0, 0, 64, \
	  "handicap: copies of each packet to memory that has left the cache") \
	X(NULL_CALLS, "null_calls", NULL, 0, 0, 1024, \
	  "handicap: system calls that do nothing, for each packet") \
	X(HANDOFFS, "handoffs", NULL, 0, 0, 64, \
	  "handicap: times each packet waits for another thread and back") \
	X(YIELDS, "yields", NULL, 0, 0, 64, \
	  "handicap: in each hand-off, times its two threads take turns without sleeping") \
	X(UDP_TRIPS, "udp_trips", NULL, 0, 0, 64, \
	  "handicap: times each packet goes through a UDP socket, the loopback and back up") \
	X(TUN_TRIPS, "tun_trips", NULL, 0, 0, 64, \
	  "handicap: times each packet goes out through a tun device and back in, as through a pump") \
	X(VAIN_RECEIVES, "vain_receives", NULL, 0, 0, 1024, \
	  "handicap: receives from a socket that has nothing, for each packet")

enum pump_switch {
#define X(index, ...) SWITCH_##index,
	SWITCHES(X)
#undef X
	SWITCH_COUNT
};

enum { WAIT_BLOCK, WAIT_SPIN, WAIT_BUSY };
enum { IO_SYSCALL, IO_URING };

#endif
