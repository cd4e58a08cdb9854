// The virtual file system: inodes, dentries, mounts, open files. path_resolution(7), inode(7).
//
// Everything lives in memory and under the kernel lock. Operations of pipes, ttys and whatever
// waits may sleep, and say so; name space operations sleep only where they touch user memory.
#pragma once
#include <linux/fcntl.h>
#include <linux/stat.h>
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"

struct cgroup;
struct dentry;
struct file;
struct inode;
struct mount;
struct path;
struct pipe;
struct poll_table;
struct super;
struct uio;
struct user_ns;
struct vmobject;

struct timespec_k {
    s64 sec, nsec;
};

struct inode {
    u64 ino;
    u32 mode;     // S_IFMT | permissions
    u32 uid, gid; // kernel ids
    u32 nlink, refs;
    u64 size, blocks; // blocks of 512 bytes
    u64 rdev;         // dev_make number of a device node
    struct timespec_k atime, mtime, ctime;
    struct super *super; // NULL for anonymous ones (pipes)
    const struct inode_ops *ops;
    const struct file_ops *fops;
    struct vmobject *mapping;    // pages of a regular file that can be mapped, or NULL
    void *private;               // the file system's
    struct pipe *pipe;           // a FIFO's
    s32 exec_count, write_count; // running programs / writers: ETXTBSY
    struct posix_locks *records; // fcntl(2)'s locks, NULL if never locked
    struct flock_state *locks;   // flock(2), NULL if never locked
};

// What a file system does with its inodes. Missing operations give the errno that Linux gives
// (EPERM, ENOTDIR, EINVAL). Names are not NUL-terminated. The caller has checked permissions, that
// the name is (or is not) there, and that the file system may be written.
struct inode_ops {
    // A reference; NULL: no such entry; ERR_PTR.
    struct inode *(*lookup)(struct inode *dir, const char *name, size_t len);
    // File, directory, node, FIFO or socket by S_IFMT. *out gets a reference.
    int (*create)(struct inode *dir, const char *name, size_t len, u32 mode, u64 rdev,
                  struct inode **out);
    int (*symlink)(struct inode *dir, const char *name, size_t len, const char *target,
                   struct inode **out);
    int (*link)(struct inode *dir, const char *name, size_t len, struct inode *target);
    // rmdir too: checks emptiness. Sets nlink of target and dir.
    int (*unlink)(struct inode *dir, const char *name, size_t len, struct inode *target);
    // `target` is what the new name stands for now, or NULL. flags: RENAME_EXCHANGE at most.
    int (*rename)(struct dentry *old, struct dentry *new_dir, const char *name, size_t len,
                  struct dentry *target, u32 flags);
    long (*readlink)(struct inode *link, char *buf, size_t size); // length, without terminator
    // Magic links of /proc (exe, fd/N, ns/x): fills *out (with references) instead of text.
    int (*follow)(struct inode *link, struct path *out);
    int (*truncate)(struct inode *inode, u64 size);
    int (*allocate)(struct inode *inode, u32 mode, u64 offset, u64 len); // fallocate(2)
    // SEEK_DATA, SEEK_HOLE from an offset below the size: the position or -ENXIO. May be NULL.
    s64 (*seek_data)(struct inode *inode, u64 offset, bool data);
    int (*setattr)(struct inode *inode); // after mode, uid, gid or times changed
    // Before an inode is changed or opened for writing: overlay copies it up. May be NULL.
    int (*prepare_write)(struct dentry *d);
    void (*refresh)(struct inode *inode);    // before stat: brings size and such up to date
    bool (*revalidate)(struct inode *inode); // false: a cached name no longer stands for it
    void (*evict)(struct inode *inode);      // last reference gone: frees what is private
};

struct path {
    struct mount *mount;
    struct dentry *dentry;
};

// Calls back for one directory entry; `next` is the position after it. False: no room, stop before
// it.
typedef bool (*dir_emit)(void *ctx, const char *name, size_t len, u64 ino, u8 type, u64 next);

struct file_ops {
    long (*read)(struct file *f, struct uio *u, u64 *pos);  // bytes or -errno; may sleep
    long (*write)(struct file *f, struct uio *u, u64 *pos); // may sleep
    // Calls emit for each entry from *pos on until it returns false; moves *pos.
    int (*iterate)(struct file *f, u64 *pos, dir_emit emit, void *ctx);
    u32 (*poll)(struct file *f,
                struct poll_table *pt);              // POLLIN, …; registers with pt (may be NULL)
    long (*ioctl)(struct file *f, u32 cmd, u64 arg); // -ENOTTY by default; may sleep
    // The object (not a new reference) and page offset to map; default: inode->mapping. -ENODEV if
    // it cannot be mapped.
    int (*mmap)(struct file *f, u64 offset, u64 len, u32 prot, u32 flags, struct vmobject **obj,
                u64 *page_offset);
    int (*open)(struct inode *inode, struct file *f);   // may replace f->ops (devices); may sleep
    void (*release)(struct file *f);                    // last reference gone
    long (*lseek)(struct file *f, s64 off, int whence); // NULL: by size; -ESPIPE with FILE_STREAM
};

#define FILE_STREAM 1u // no position: pipes, ttys
#define FILE_READ 2u   // opened for reading
#define FILE_WRITE 4u  // opened for writing
#define FILE_EXEC 8u   // a program that runs: counts in inode->exec_count
#define FILE_PATH 16u  // O_PATH: names a place only

struct file { // an open file description
    u32 refs;
    u32 flags; // O_*
    u32 kind;  // FILE_*
    u64 pos;
    struct path path;    // {NULL} for anonymous ones (pipes, eventfd, KVM's)
    struct inode *inode; // a reference; may be NULL for anonymous ones
    const struct file_ops *ops;
    void *private;
    const char *name;        // of anonymous ones: "[eventfd]"
    struct list epoll_links; // of epoll items that watch it
    int owner_pid;
};

struct super { // a file system instance
    const struct fs_type *type;
    struct dentry *root;
    u64 dev, next_ino;
    u32 flags;          // MS_RDONLY
    u32 refs;           // mounts
    bool keep_dentries; // names stay cached while they exist
    bool complete;      // the cached names are the directory: none on disk that could be missing
    u64 max_bytes, used_bytes; // tmpfs size=; 0: no limit
    u64 max_inodes, used_inodes;
    struct user_ns *user_ns; // whose root may change it beyond permissions: of the mounter
    struct cgroup *cgroup;
    void *private;
};

struct fs_type {
    const char *name;  // for mount(2) and /proc/filesystems
    bool nodev;        // needs no block device
    bool userns_mount; // may be mounted by the root of a user namespace
    bool reveals;      // … where an instance is already seen whole: mounts on it may hide parts
    bool own_devices;  // its device nodes are its own making: they open in any user namespace
    // A new instance (or the only one) with a reference to its root; `source` and `options` as in
    // mount(2), never NULL. ERR_PTR; the log names bad options.
    struct super *(*mount)(const struct fs_type *type, const char *source, u32 flags,
                           const char *options);
    void (*kill)(struct super *s); // the last mount is gone; then super_free. NULL: only that
    int (*statfs)(struct super *s, void *statfs); // struct statfs of the ABI; NULL: zeros
    // Options for /proc/mounts, ",size=…"; may be NULL.
    void (*show_options)(struct super *s, char *buf, size_t size);
    // remount with new options; may be NULL.
    int (*remount)(struct super *s, const char *options);
    u32 magic;
    struct list link;
};
void fs_register(struct fs_type *type);
struct fs_type *fs_find(const char *name);      // NULL
struct fs_type *fs_next(struct fs_type *after); // all of them; NULL: the first, and the end
// A new instance with one reference and a fresh device number; NULL without memory.
struct super *super_new(const struct fs_type *type);
// Makes the root dentry of a new instance; takes over the reference to its inode.
int super_set_root(struct super *s, struct inode *root);
void super_put(struct super *s);

#define dev_make(major, minor)                                                                     \
    (((u64)(major) << 8) | ((minor)&0xff) | (((u64)(minor) & ~0xffUL) << 12))
#define dev_major(dev) ((u32)(((dev) >> 8) & 0xfff))
#define dev_minor(dev) ((u32)(((dev)&0xff) | (((dev) >> 12) & 0xfff00)))

// inode.c
struct inode *inode_new(struct super *s,
                        u32 mode); // refs 1, ids of current, times now; NULL: memory
static inline struct inode *inode_get(struct inode *i)
{
    i->refs++;
    return i;
}
void inode_put(struct inode *i); // NULL is fine
#define MAY_EXEC 1
#define MAY_WRITE 2
#define MAY_READ 4
int inode_permission(struct inode *i, int may); // for current: 0 or -EACCES
bool inode_owner(struct inode *i);              // current owns it or has CAP_FOWNER over it
bool inode_capable(struct inode *i, int cap);   // current has cap and its namespace maps the owner
struct timespec_k time_now(void);
void inode_touch(struct inode *i); // mtime and ctime are now

// file.c
struct file *file_alloc(const struct file_ops *ops, u32 flags); // refs 1; ERR_PTR(-ENFILE/-ENOMEM)
static inline struct file *file_get(struct file *f)
{
    f->refs++;
    return f;
}
void file_put(struct file *f); // may sleep
// Opens what p stands for; takes references of its own, checks no permission. ERR_PTR. May sleep
// (FIFOs).
struct file *file_open(const struct path *p, u32 flags);
long file_read(struct file *f, struct uio *u, u64 *pos); // -EBADF if not opened so; may sleep
long file_write(struct file *f, struct uio *u, u64 *pos);
long kernel_read(struct file *f, void *buf, size_t n, u64 off);
long kernel_write(struct file *f, const void *buf, size_t n, u64 off);
u32 file_poll(struct file *f, struct poll_table *pt);
int file_truncate(struct inode *i, u64 size);
// Set-user-ID and set-group-ID do not outlive a change by somebody without CAP_FSETID.
void inode_drop_privilege(struct inode *i);
extern u32 file_count; // open file descriptions

// A new open file without a name in the current descriptor table, as anon_inode: "[eventfd]",
// "kvm-vm", …: the descriptor or -errno. It has positions if ops have lseek. On error `release` of
// ops is not called.
int anon_file_install(const char *name, const struct file_ops *ops, void *private, u32 flags);

// path.c: resolution. Names are kernel strings; all may return ENOENT, ENOTDIR, ELOOP, EACCES,
// ENAMETOOLONG, EBADF.
#define LOOKUP_FOLLOW 1u    // follow a last symbolic link
#define LOOKUP_DIRECTORY 2u // must be a directory
#define LOOKUP_EMPTY 8u     // AT_EMPTY_PATH
#define PATH_MAX_K 4096
#define NAME_MAX_K 255
int path_lookup_at(int dirfd, const char *name, u32 flags, struct path *out);
struct path_last {
    char name[NAME_MAX_K + 1];
    size_t len;
    bool slash; // followed by '/'
};
// The directory that holds the last component, and that component, which may be "." or "..", or
// empty where name is only slashes.
int path_lookup_parent(int dirfd, const char *name, struct path *parent, struct path_last *last);
void path_get(const struct path *p);
void path_put(struct path *p);
// Text of p below `root` ("(unreachable)" in front if it is not): a pointer into buf, or
// ERR_PTR(-ENAMETOOLONG). " (deleted)" is added for an unlinked one.
char *path_text(const struct path *p, const struct path *root, char *buf, size_t size);
struct file *path_open_at(int dirfd, const char *name, u32 flags, u32 mode); // openat(2); ERR_PTR
struct file *kernel_open(const char *name, u32 flags, u32 mode);
int kernel_mkdir(const char *name, u32 mode);

void vfs_init(void); // root tmpfs, file systems, cpio modules unpacked, devfs on /dev

// Character devices by major number. -EBUSY if taken. `name` is for /proc/devices.
int chrdev_register(u32 major, const char *name, const struct file_ops *ops);
// A character device node in devfs. Owner: current.
int devfs_node(const char *name, u32 mode, u64 rdev);
