/*
 * process.c - system calls that Python 3.11 has no function for.
 *
 * Theory of operation. Thin wrappers that turn errno into a return value, since errno does not
 * survive the way back into Python reliably. Namespaces and the parent-death signal belong to the
 * calling thread, not to the process.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "vnetbench.h"

int vnb_unshare(int flags)
{
	return unshare(flags) < 0 ? -errno : 0;
}

int vnb_setns(int fd, int nstype)
{
	return setns(fd, nstype) < 0 ? -errno : 0;
}

int vnb_private_tmpfs(const char *path)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0)
		return -errno;
	return 0;
}

int vnb_bind(int fd, const char *path)
{
	char source[32];

	snprintf(source, sizeof(source), "/proc/self/fd/%d", fd);
	return mount(source, path, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

int vnb_die_with_parent(int signal)
{
	return prctl(PR_SET_PDEATHSIG, (unsigned long)signal, 0, 0, 0) < 0 ? -errno : 0;
}

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

const char *vnb_compiler(void)
{
	return COMPILER;
}

/* What follows only the build can know. */

#ifndef VNB_COMPILER_FLAGS
#define VNB_COMPILER_FLAGS ""
#endif

const char *vnb_compiler_flags(void)
{
	return VNB_COMPILER_FLAGS;
}

#if !defined(VNB_URING)
#define LIBURING "none"
#elif defined(VNB_LIBURING)
#define LIBURING VNB_LIBURING
#else
#define LIBURING "of unknown version"
#endif

const char *vnb_liburing(void)
{
	return LIBURING;
}
