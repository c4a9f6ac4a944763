/* address.h - where a datagram goes to or comes from. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

/* A UDP endpoint, IPv4 or IPv6, as the socket calls take it. */
union endpoint {
	sa_family_t family;
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static inline socklen_t endpoint_size(const union endpoint *endpoint)
{
	return endpoint->family == AF_INET6 ? sizeof(endpoint->v6) : sizeof(endpoint->v4);
}

/* Whether both are the same address and port. */
static inline bool endpoint_equal(const union endpoint *a, const union endpoint *b)
{
	if (a->family != b->family)
		return false;
	if (a->family == AF_INET6)
		return a->v6.sin6_port == b->v6.sin6_port &&
		       memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr)) == 0;
	return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
}

#endif
