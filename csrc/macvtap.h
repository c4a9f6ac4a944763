/* macvtap.h - opening a queue of a macvtap. */
#ifndef MACVTAP_H
#define MACVTAP_H

/*
 * Open one more queue of the macvtap `name` of the calling thread's network namespace. Returns a
 * blocking, close-on-exec descriptor with the kernel's initial framing, or -errno: -EMEDIUMTYPE (no
 * macvtap), -ENOSYS (a kernel of before 5.2), -EPERM or -EACCES (device nodes are not for the
 * caller, as in a user namespace).
 */
int macvtap_open(const char *name);

#endif
