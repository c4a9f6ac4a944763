/*
 * tun.c - opening tun and tap devices.
 *
 * Theory of operation. TUNSETIFF on a fresh descriptor of /dev/net/tun creates the device, or
 * attaches to one that exists and is free, or (IFF_MULTI_QUEUE) adds a queue to one. What the last
 * holder of a persistent device left on it must not shift or swell our packets: attaching replaces
 * its framing (packet-information and virtio header) by ours, but not on every kernel and for every
 * device, so the flags are read back; length and byte order of the virtio header and segmentation
 * offload stay as they were, so each is set. A macvtap is a tap with another door (macvtap.c); once
 * it is open, the same calls set the same things.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "macvtap.h"
#include "tun.h"
#include "vnetbench.h"

#ifndef TUN_F_USO4 /* headers from before 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum {
	/* Everything that changes what a read returns or a write takes. */
	FRAMING = IFF_TUN | IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE,
	TCP_OFFLOAD = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
	UDP_OFFLOAD = TUN_F_USO4 | TUN_F_USO6,
};

/* A virtio header of the short kind, in this machine's byte order. */
static int set_header(int fd)
{
	int size = sizeof(struct virtio_net_hdr), off = 0;

	if (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0 || ioctl(fd, TUNSETVNETLE, &off) < 0)
		return -errno;
	/* Most kernels are built without the other order; there nobody can have set it. */
	return ioctl(fd, TUNSETVNETBE, &off) < 0 && errno != EINVAL ? -errno : 0;
}

int tun_set_offload(int fd)
{
	if (ioctl(fd, TUNSETOFFLOAD, TCP_OFFLOAD | UDP_OFFLOAD) == 0)
		return TUN_OFFLOADS_ALL;
	return ioctl(fd, TUNSETOFFLOAD, TCP_OFFLOAD) < 0 ? -errno : TUN_OFFLOADS_TCP;
}

/* Everything that `mode` says beyond the framing. Returns 0 or -errno. */
static int set_mode(int fd, unsigned int mode)
{
	int result;

	if (!(mode & VNB_TUN_OFFLOAD))
		return ioctl(fd, TUNSETOFFLOAD, 0) < 0 ? -errno : 0;
	if ((result = set_header(fd)) < 0)
		return result;
	result = tun_set_offload(fd);
	return result < 0 ? result : 0;
}

static int attach(int fd, const char *name, int framing)
{
	struct ifreq request = {.ifr_flags = (short)framing};

	memcpy(request.ifr_name, name, strlen(name));
	if (ioctl(fd, TUNSETIFF, &request) < 0) {
		int error = errno;

		/* EINVAL is a bad name, or a device that is no tun, or one of the other kind. */
		return error == EINVAL && if_nametoindex(name) != 0 ? -EMEDIUMTYPE : -error;
	}
	if (ioctl(fd, TUNGETIFF, &request) < 0)
		return -errno;
	return (request.ifr_flags & FRAMING) == framing ? 0 : -EMEDIUMTYPE;
}

int vnb_tun_open(const char *name, enum vnb_port_kind kind, unsigned int mode)
{
	size_t length = strlen(name);
	int framing = IFF_NO_PI, fd, result;

	/* The kernel would replace a '%d' by a number, and the caller would not know its device. */
	if (length == 0 || length >= IFNAMSIZ || strchr(name, '%'))
		return -EINVAL;
	if (kind != VNB_PORT_TUN && kind != VNB_PORT_TAP)
		return -EINVAL;
	framing |= kind == VNB_PORT_TUN ? IFF_TUN : IFF_TAP;
	framing |= mode & VNB_TUN_OFFLOAD ? IFF_VNET_HDR : 0;
	framing |= mode & VNB_TUN_QUEUES ? IFF_MULTI_QUEUE : 0;

	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	result = attach(fd, name, framing);
	if (result == -EMEDIUMTYPE && kind == VNB_PORT_TAP) {
		close(fd);
		fd = macvtap_open(name);
		if (fd < 0)
			return fd;
		result = attach(fd, name, framing);
	}
	if (result == 0)
		result = set_mode(fd, mode);
	if (result < 0) {
		close(fd);
		return result;
	}
	return fd;
}
