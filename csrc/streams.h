/*
 * streams.h - the traffic that is sent over paths to measure them; part of the interface to Python.
 *
 * What holds for all functions of the interface is said in vnetbench.h, which includes this.
 */
#ifndef STREAMS_H
#define STREAMS_H

#include <stddef.h>
#include <stdint.h>

/* CDEF BEGIN */

/* ---- traffic (traffic.c) ------------------------------------------------------------------ */

/*
 * Send every datagram that arrives on the bound UDP socket `fd` back to where it came from, until
 * stop_fd is readable (at most some 100 ms later). Under traffic a round trip costs one recvfrom
 * and one sendto and nothing else. Sets `fd` blocking, with a receive and a send timeout.
 *
 * Returns 0 when stopped, or -errno: -ENOMEM, or the error of an unusable descriptor (-EBADF,
 * -ENOTSOCK).
 */
int vnb_pong(int fd, int stop_fd);

/*
 * Closed loop: send a datagram of `size` bytes (16 to 65507: a mark of this call and a sequence
 * number lead it) on the connected UDP socket `fd`, wait for its echo, `rounds` times, one
 * outstanding at any time. A late echo of an earlier round or call is discarded, not mistaken for
 * the answer. Sets `fd` blocking, with a receive timeout.
 *
 * Returns 0 and the elapsed CLOCK_MONOTONIC seconds for all rounds in *seconds, or -errno: -EINVAL
 * (size, timeout_ms below 1), -ENOMEM, -ETIMEDOUT (no echo within timeout_ms), -ECONNREFUSED
 * (nobody listens there), or what else send(2) and recv(2) report.
 */
int vnb_ping(int fd, size_t size, uint64_t rounds, int timeout_ms, double *seconds);

/* ---- datagrams at a rate (generator.c, sink.c) --------------------------------------------- */

/*
 * Every datagram of a stream begins with 16 bytes: the stream's id, a check and the sequence number,
 * counted from 0. The check tells the seed, the id, the sequence number and the datagram's size; with
 * `verify`, what follows is pseudo-random and comes from the same four, so that a receiver knows
 * every byte of it. Without, it is whatever the buffers were filled with at first.
 */
enum { VNB_STREAM_HEADER = 16, VNB_DATAGRAM_MAX = 65507, VNB_SEGMENTS_MAX = 128 };

struct vnb_destination {
	uint8_t address[16]; /* IPv4: the first 4 bytes */
	uint16_t port;       /* network byte order */
	uint8_t ipv6;        /* whether the address is */
};

/* What to send, and how. It ends at the count, after the time, or when stop_fd is readable. */
struct vnb_stream {
	uint64_t seed;
	uint32_t id;
	uint32_t size;     /* bytes of a datagram's payload, header included */
	uint32_t segments; /* datagrams handed to the kernel as one buffer (UDP_SEGMENT); 0: plain */
	uint32_t last;     /* bytes of the last of these, not above size; 0: as long as the others */
	uint32_t batch;    /* messages of one sendmmsg, 1 to 1024 */
	uint32_t burst;    /* datagrams that may be overdue at any time, at least segments */
	uint64_t count;    /* datagrams; 0: no limit */
	double rate;       /* datagrams a second; 0: as many as will go */
	double seconds;    /* 0: no limit */
	int verify;
	int sleeps;        /* sleep until a datagram is due, however soon; else spin at the end of a wait */
	int64_t pace_ns;   /* what the witness of pace.h takes on a core of its own; 0: not known */
	/* A word that the receiver's core writes as datagrams come (transfer.h); NULL: there is none. */
	const uint64_t *heard;
	int64_t transfer_ns; /* what it takes to get here from a core that is near; 0: not known */
	/* NULL: the socket is connected. Else messages go to these in turn. */
	const struct vnb_destination *destinations;
	uint32_t destination_count;
};

/*
 * Whether the core that a sender or a receiver ran on was its alone (pace.h), or how near that of the
 * other one was (transfer.h).
 */
struct vnb_pace {
	uint64_t samples; /* one a millisecond, while there is something to do */
	uint64_t slow;    /* of these, that took 1.2 times pace_ns, or twice transfer_ns, or more */
	int64_t least_ns; /* the least that one took; 0: there were none */
};

/*
 * What was sent. One writer, any number of readers: place it in shared memory to follow it from
 * another process. Times are CLOCK_MONOTONIC.
 */
struct vnb_sent {
	uint64_t packets;  /* datagrams the kernel took, each segment one */
	uint64_t bytes;    /* of UDP payload */
	uint64_t calls;    /* sendmmsg */
	uint64_t forgone;  /* datagrams not sent because the sender was more than a burst late */
	uint64_t refused;  /* times the kernel had no room for a message; it was tried again */
	int64_t begin_ns;  /* when the first was due */
	int64_t end_ns;    /* when the last was handed over, or the time was up */
	struct vnb_pace pace;
	struct vnb_pace transfer; /* none without `heard` */
};

/*
 * Send a stream on the UDP socket `fd`, IPv4 or IPv6, in open loop: what is due is due by the clock,
 * whether or not anything answers. The sender spins between batches (it has no other clock this
 * fine) and sleeps only where the next datagram is far off; with `sleeps` it always sleeps, which
 * leaves the CPU to others and sends some microseconds late. What is due goes out in batches no
 * larger than that; what is overdue by more than `burst` is forgone, not made up for. Sets `fd`
 * blocking, with a send timeout; adds to *sent, which the caller clears.
 *
 * Returns 0 at the end, or -errno: -EINVAL (a parameter out of the range above; or segments that
 * do not fit the path's MTU, or the buffer into VNB_DATAGRAM_MAX), -ENOMEM, -EIO (the device
 * cannot take UDP_SEGMENT), -EMSGSIZE, -ECONNREFUSED, or what else sendmmsg(2) reports.
 */
int vnb_send(int fd, const struct vnb_stream *stream, struct vnb_sent *sent, int stop_fd);

/* What to receive, and how. */
struct vnb_sink {
	uint64_t seed;
	uint32_t id;
	uint32_t size;    /* bytes of the largest datagram expected, up to VNB_DATAGRAM_MAX */
	uint32_t buffer;  /* bytes of socket buffer to ask for; 0: leave it as it is */
	uint32_t idle_ms; /* end when nothing came for this long after a datagram; 0: do not */
	uint32_t batch;   /* datagrams of one recvmmsg, at most 64; 0: so many */
	uint32_t nap_us;  /* under a second: sleep this long when nothing is there; 0: wait for the next */
	int verify;       /* look at every byte, not just at the header */
	int gro;          /* take coalesced datagrams (UDP_GRO); cut again, they count one by one */
	int64_t pace_ns;  /* as in vnb_stream */
};

/* What was received. One writer, any number of readers; times are CLOCK_MONOTONIC. */
struct vnb_received {
	uint64_t packets;    /* datagrams: the sum of unique, duplicates, late, corrupt and strange */
	uint64_t bytes;      /* of UDP payload */
	uint64_t calls;      /* recvmmsg that brought something */
	uint64_t coalesced;  /* receptions that were several datagrams in one */
	uint64_t unique;     /* sequence numbers seen; what was sent beyond these is lost */
	uint64_t duplicates; /* seen before */
	uint64_t reordered;  /* of the unique: behind a higher sequence number (RFC 4737) */
	uint64_t late;       /* so far behind (2^20) that it may be unique or a duplicate */
	uint64_t corrupt;    /* header or payload is not what was sent */
	uint64_t strange;    /* sound, but of another stream id */
	uint64_t next;       /* one more than the highest sequence number */
	uint64_t drops;      /* dropped at this socket: its buffer was full, or a checksum wrong */
	uint64_t buffer;     /* bytes of socket buffer there were, in the kernel's accounting */
	int64_t first_ns;    /* when the first was there */
	int64_t last_ns;     /* when the last was */
	uint64_t corrupt_sequence; /* of the first corrupt one, as it stands there */
	uint32_t corrupt_size;     /* its size, */
	uint32_t corrupt_offset;   /* and the first wrong byte (0: the header) */
	struct vnb_pace pace;      /* with nap_us alone */
	uint64_t naps;             /* times that nothing was there, with nap_us */
};

/*
 * Receive a stream on the bound UDP socket `fd` and hold every datagram against what was sent, until
 * stop_fd is readable (at most some 60 ms later) or the stream has gone idle. With `nap_us` nobody
 * waits on the socket, so whoever delivers datagrams to it wakes nobody up: what comes meanwhile
 * has to fit the socket buffer. Sets `fd` blocking, with a receive timeout; adds to *received, which
 * the caller clears. drops becomes right at the end and is of this call alone.
 *
 * Returns 0 at the end, or -errno: -EINVAL (size, batch or nap_us out of range), -ENOMEM, -ENOPROTOOPT (no UDP_GRO
 * here), or the error of an unusable descriptor.
 */
int vnb_sink(int fd, const struct vnb_sink *sink, struct vnb_received *received, int stop_fd);

/* ---- one-way delay of datagrams at given times (delay_send.c, delay_receive.c) ------------- */

/*
 * Delays are kept in buckets (histogram.h): each nanosecond its own up to 128 ns, then 128 buckets for
 * every power of two, the last of them for all that is longer than 2^42 ns.
 */
enum { VNB_BUCKETS = 4608, VNB_DELAY_HEADER = 32, VNB_BATCH_MAX = 64 };

/* The least number of nanoseconds in `bucket`; of VNB_BUCKETS, where the last one ends. */
int64_t vnb_bucket_lowest(uint32_t bucket);

/* Whose bucket `ns` is. */
uint32_t vnb_bucket(int64_t ns);

/* When datagrams are due. */
struct vnb_rhythm {
	double rate;       /* datagrams a second */
	int poisson;       /* at independent exponential distances; else at equal ones */
	uint64_t seed;     /* of these distances: the same seed, the same distances */
	int64_t piece_ns;  /* after each such time, rest: nothing is due for rest_ns; 0: never rest */
	int64_t rest_ns;
};

/*
 * Write down when each of `count` datagrams is due, in nanoseconds after the beginning.
 *
 * Returns 0, or -EINVAL: the rate is not above 0 and at most 1e9, a time is negative, or the last
 * would be due after more than 2^61 ns.
 */
int vnb_schedule(int64_t *due_ns, uint64_t count, const struct vnb_rhythm *rhythm);

/* What to send, and when. */
struct vnb_paced {
	uint64_t seed;
	uint32_t id;
	uint32_t size;          /* bytes of a datagram's payload, VNB_DELAY_HEADER or more */
	uint32_t batch;         /* overdue datagrams of one sendmmsg, 1 to VNB_BATCH_MAX */
	int sleeps;             /* as in vnb_stream */
	int64_t patience_ns;    /* end when a datagram is overdue by more than this; 0: never */
	const int64_t *due_ns;  /* after the beginning, ascending */
	uint64_t count;
	uint32_t *late;         /* VNB_BUCKETS: how long after it was due each was handed over */
};

/*
 * Send datagrams on the connected UDP socket `fd`, each when it is due, or as soon after that as
 * the sender can: it neither moves nor forgoes one. A datagram is that of a stream (above) and says
 * when it was due and when it was handed over: read right before the system call, which takes all that
 * are due, up to a batch. Both are CLOCK_MONOTONIC, which all namespaces of a machine share, so the
 * receiver must be on the same machine. Sets `fd` blocking, with a send timeout; adds to *sent, whose
 * begin_ns is when the schedule began.
 *
 * Returns 0 at the end (sent->packets below count: out of patience, or stopped), or -errno: -EINVAL
 * (a parameter out of the range above), -ENOMEM, or what sendmmsg(2) reports.
 */
int vnb_send_paced(int fd, const struct vnb_paced *paced, struct vnb_sent *sent, int stop_fd);

/* What to receive. */
struct vnb_arrivals {
	uint64_t seed;
	uint32_t id;
	uint32_t size;
	uint32_t buffer;    /* bytes of socket buffer to ask for; 0: leave it as it is */
	uint32_t batch;     /* datagrams of one recvmmsg, 1 to VNB_BATCH_MAX */
	uint64_t count;     /* datagrams of the whole stream */
	uint32_t slices;    /* equal parts of the stream, each with histograms of its own */
	uint32_t *intended; /* slices x VNB_BUCKETS: from when it was due until it was there */
	uint32_t *actual;   /* the same from when it was handed over */
};

/* What arrived. One writer, any number of readers; times are CLOCK_MONOTONIC. */
struct vnb_arrived {
	uint64_t packets;    /* datagrams: the sum of unique, duplicates and strange */
	uint64_t calls;      /* recvmmsg that brought something */
	uint64_t unique;     /* sequence numbers seen, each once in both histograms */
	uint64_t duplicates; /* seen before */
	uint64_t reordered;  /* of the unique: behind a higher sequence number (RFC 4737) */
	uint64_t strange;    /* not of this stream, or not as it was sent */
	uint64_t next;       /* one more than the highest sequence number */
	uint64_t drops;      /* dropped at this socket, known at the end */
	uint64_t buffer;     /* bytes of socket buffer there were, in the kernel's accounting */
	int64_t first_ns;
	int64_t last_ns;
};

/*
 * Receive on the bound UDP socket `fd` what vnb_send_paced() sends, until every datagram has been
 * there, or stop_fd is readable (at most some 100 ms later) and nothing more waits. A datagram is
 * there when the recvmmsg() that brings it has returned: then a program can begin to work on it. Clears
 * the histograms, which also brings their memory in; adds to *arrived. Sets `fd` blocking, with a
 * receive timeout.
 *
 * Returns 0, or -errno: -EINVAL (a parameter out of range), -ENOMEM, or the error of an unusable
 * descriptor.
 */
int vnb_receive_paced(int fd, const struct vnb_arrivals *expected, struct vnb_arrived *arrived,
		      int stop_fd);

/* CDEF END */

#endif
