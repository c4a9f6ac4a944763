/*
 * tun.c - opening tun and tap devices.
 *
 * Theory of operation. TUNSETIFF on a fresh descriptor of /dev/net/tun creates the device, or
 * attaches to one that exists and is free. What the last holder of a persistent device left on it
 * must not shift or swell our packets: attaching replaces its framing (packet-information and
 * virtio header) by ours, but not on every kernel and for every device, so the flags are read back;
 * segmentation offload stays as it was, so it is turned off.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vnetbench.h"

/* Everything that changes what a read returns or a write takes. */
enum { FRAMING = IFF_TUN | IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE };

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
	if ((request.ifr_flags & FRAMING) != framing)
		return -EMEDIUMTYPE;
	return ioctl(fd, TUNSETOFFLOAD, 0) < 0 ? -errno : 0;
}

int vnb_tun_open(const char *name, enum vnb_port_kind kind)
{
	size_t length = strlen(name);
	int fd, result;

	/* The kernel would replace a '%d' by a number, and the caller would not know its device. */
	if (length == 0 || length >= IFNAMSIZ || strchr(name, '%'))
		return -EINVAL;
	if (kind != VNB_PORT_TUN && kind != VNB_PORT_TAP)
		return -EINVAL;

	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	result = attach(fd, name, (kind == VNB_PORT_TUN ? IFF_TUN : IFF_TAP) | IFF_NO_PI);
	if (result < 0) {
		close(fd);
		return result;
	}
	return fd;
}
