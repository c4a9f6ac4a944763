/*
 * packet.h - a packet in memory, the way it goes through the pump; see packet.c.
 *
 * A port receives packets; forward.c decides where each goes; split.c cuts super-packets for a port
 * that carries single ones; coalesce.c joins single ones for a port that carries super-packets.
 */
#ifndef PACKET_H
#define PACKET_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* headers before Linux 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/*
 * One IP packet or Ethernet frame, or a super-packet: several segments of one flow behind one
 * header, as the kernel's segmentation offload makes them. `offload` is what the virtio header of a
 * tun or tap said: all zero for a single packet whose checksums are complete; its offsets count
 * from `data`.
 */
struct packet {
	uint8_t *data;
	uint32_t size;
	struct virtio_net_hdr offload;
};

static inline bool packet_is_super(const struct packet *packet)
{
	return packet->offload.gso_type != VIRTIO_NET_HDR_GSO_NONE;
}

/*
 * How many packets a packet or super-packet stands for, at least 1. What its virtio header says has
 * not been checked: where that makes no sense, the answer is 1.
 */
unsigned int packet_count(const struct packet *packet);

#endif
