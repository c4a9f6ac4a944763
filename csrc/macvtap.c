/*
 * macvtap.c - opening macvtap devices.
 *
 * Theory of operation. A queue of a macvtap is opened through a character device of its own, whose
 * number only sysfs tells, and only a sysfs of the macvtap's network namespace. Its usual place,
 * /dev/tapN for interface index N, is one for all network namespaces, so two devices there can have
 * the same name. Therefore neither /sys nor /dev is used: a sysfs of this namespace is mounted
 * nowhere (fsmount gives a descriptor, and the mount goes with it), and the node is made in a tmpfs
 * that is mounted nowhere as well. Nobody else sees either, and nothing can stay behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "macvtap.h"

#ifndef SYS_fsopen /* headers from before 5.2 */
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#endif

enum {
	OPEN_CLOEXEC = 1,   /* FSOPEN_CLOEXEC and FSMOUNT_CLOEXEC */
	CONFIG_CREATE = 6,  /* FSCONFIG_CMD_CREATE */
	TEXT_SIZE = 256,
};

/* A new mount of file system `kind` that is nowhere. Returns its root, or -errno. */
static int mount_nowhere(const char *kind)
{
	int context = (int)syscall(SYS_fsopen, kind, OPEN_CLOEXEC), root = -1, error;

	if (context < 0)
		return -errno;
	if (syscall(SYS_fsconfig, context, CONFIG_CREATE, NULL, NULL, 0) == 0)
		root = (int)syscall(SYS_fsmount, context, OPEN_CLOEXEC, 0);
	error = errno;
	close(context);
	return root < 0 ? -error : root;
}

/* What the file `path` below `root` says. Returns 0 or -errno. */
static int read_text(int root, const char *path, char *text)
{
	int fd = openat(root, path, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	if (fd < 0)
		return -errno;
	length = read(fd, text, TEXT_SIZE - 1);
	close(fd);
	text[length > 0 ? length : 0] = '\0';
	return length > 0 ? 0 : -EIO;
}

/* The number of the character device of macvtap `name`. Returns 0 or -errno. */
static int find_number(const char *name, dev_t *number)
{
	unsigned int index, major, minor;
	char path[TEXT_SIZE], text[TEXT_SIZE];
	int sysfs = mount_nowhere("sysfs"), result;

	if (sysfs < 0)
		return sysfs;
	snprintf(path, sizeof(path), "class/net/%s/ifindex", name);
	result = read_text(sysfs, path, text);
	if (result == 0 && sscanf(text, "%u", &index) == 1) {
		snprintf(path, sizeof(path), "class/net/%s/macvtap/tap%u/dev", name, index);
		result = read_text(sysfs, path, text);
	}
	close(sysfs);
	if (result == -ENOENT)
		return -EMEDIUMTYPE;
	if (result == 0 && sscanf(text, "%u:%u", &major, &minor) != 2)
		return -EIO;
	if (result == 0)
		*number = makedev(major, minor);
	return result;
}

int macvtap_open(const char *name)
{
	dev_t number = 0;
	int result = find_number(name, &number), folder, fd;

	if (result < 0)
		return result;
	folder = mount_nowhere("tmpfs");
	if (folder < 0)
		return folder;
	fd = mknodat(folder, "tap", S_IFCHR | S_IRUSR | S_IWUSR, number);
	if (fd == 0)
		fd = openat(folder, "tap", O_RDWR | O_CLOEXEC);
	result = fd < 0 ? -errno : fd;
	close(folder);
	return result;
}
