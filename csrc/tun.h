/* tun.h - what the pump needs of tun.c beyond vnetbench.h. */
#ifndef TUN_H
#define TUN_H

/* Which super-packets a device gives and takes: of TCP, or of UDP as well (Linux 6.2). */
enum tun_offload { TUN_OFFLOADS_TCP, TUN_OFFLOADS_ALL };

/* Turn on all the offload that the kernel has. Returns what that is, or -errno. */
int tun_set_offload(int fd);

#endif
