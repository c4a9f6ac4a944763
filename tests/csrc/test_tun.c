/* What vnb_tun_open() refuses without asking the kernel; devices are tested from Python. */
#include <errno.h>

#include "test.h"
#include "vnetbench.h"

void test_tun(void)
{
	CLAIM(vnb_tun_open("", VNB_PORT_TUN, 0) == -EINVAL, "a device needs a name");
	CLAIM(vnb_tun_open("sixteen_letters_", VNB_PORT_TUN, 0) == -EINVAL, "of at most 15 letters");
	CLAIM(vnb_tun_open("tun%d", VNB_PORT_TUN, 0) == -EINVAL, "that is no pattern");
	CLAIM(vnb_tun_open("tun0", VNB_PORT_UDP, 0) == -EINVAL, "and it is a tun or a tap");
}
