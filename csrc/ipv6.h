/* ipv6.h - the IPv6 header as the pump sees it; fields are loaded as in ipv4.h. */
#ifndef IPV6_H
#define IPV6_H

#include "ipv4.h" /* load16() and the like */

enum ipv6_field { /* offset in the header */
	IPV6_LENGTH = 4, /* of what follows the header */
	IPV6_NEXT_HEADER = 6,
	IPV6_HOP_LIMIT = 7,
	IPV6_SOURCE = 8,
	IPV6_DESTINATION = 24,
	IPV6_HEADER = 40,
	IPV6_ADDRESS = 16, /* size of an address */
};

#endif
