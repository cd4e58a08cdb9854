// The start of the file floor: the root, the file systems, the content of the boot modules.
#include "kernel/fs/chrdev.h"
#include "kernel/fs/fdtable.h"
#include "kernel/fs/initramfs.h"
#include "kernel/fs/mount.h"
#include "kernel/fs/tmpfs.h"
#include "kernel/lib/err.h"
#include "kernel/mm/aspace.h"
#include "kernel/task/task.h"
#include "kernel/x86/log.h"

static void area_file_get(void *file)
{
    file_get(file);
}

static void area_file_put(void *file)
{
    file_put(file);
}

static const struct area_file_ops area_ops = {area_file_get, area_file_put};

static struct fs_type rootfs_type;

static void mount_root(void)
{
    rootfs_type = tmpfs_type;
    rootfs_type.name = "rootfs";
    struct super *s = tmpfs_super(&rootfs_type, 0755);
    struct mount *m = IS_ERR(s) ? NULL : mount_new(s, s->root, "rootfs", 0);
    if (!m)
        panic("no memory for the root file system");
    m->mnt_ns = &init_mnt_ns;
    init_mnt_ns.root = m;
    init_mnt_ns.count = 1;
    list_append(&init_mnt_ns.mounts, &m->link);
    init_nsset.ns[NS_MNT] = &init_mnt_ns.ns;
    mnt_ns_clone_hook = mnt_ns_clone;
}

void vfs_init(void)
{
    area_file_ops = &area_ops;
    fdtable_init();
    open_init();
    fs_register(&tmpfs_type);
    mount_root();
    devfs_init();
    initramfs_unpack();
    kernel_mkdir("/dev", 0755);
    long err = do_mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "");
    if (!err)
        err = do_mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "");
    if (err)
        kprintf("vfs: cannot mount /dev (errno %ld)\n", -err);
}
