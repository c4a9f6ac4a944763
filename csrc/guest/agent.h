/* agent.h - what runs in a guest on behalf of the host. */
#ifndef AGENT_H
#define AGENT_H

/* Take orders from `fd` until its other end is closed; see agent.c. Returns 0 or -errno. */
int agent_serve(int fd);

#endif
