// The virtual file system: inodes, dentries, mounts, open files. path_resolution(7), inode(7).
//
// All in-memory: every dentry of tmpfs lives as long as its file. Kernel lock held everywhere; operations of pipes, ttys and
// whatever waits may sleep, and say so; name space operations do not.
#pragma once
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
struct vmobject;
struct kstat;

struct timespec_k {
    s64 sec, nsec;
};

struct inode {
    u64 ino;
    u32 mode;            // S_IFMT | permissions
    u32 uid, gid;        // kernel ids
    u32 nlink, refs;
    u64 size, blocks;    // blocks of 512 bytes
    u64 rdev;            // makedev number of a device node
    struct timespec_k atime, mtime, ctime;
    struct super *super;
    const struct inode_ops *ops;
    const struct file_ops *fops;
    struct vmobject *mapping; // pages of a regular file that can be mapped, or NULL
    void *private;       // the file system's
    struct pipe *pipe;   // a FIFO's
    s32 exec_count, write_count; // running programs / writers: ETXTBSY
};

struct inode_ops { // missing operations give the errno that Linux gives (EPERM, ENOTDIR, EINVAL)
    struct inode *(*lookup)(struct inode *dir, const char *name, size_t len); // a reference, NULL: no such entry, ERR_PTR
    int (*create)(struct inode *dir, const char *name, size_t len, u32 mode, u64 rdev, struct inode **out); // file, dir, node, fifo, socket by S_IFMT
    int (*symlink)(struct inode *dir, const char *name, size_t len, const char *target, struct inode **out);
    int (*link)(struct inode *dir, const char *name, size_t len, struct inode *target);
    int (*unlink)(struct inode *dir, const char *name, size_t len, struct inode *target); // rmdir too: checks emptiness
    int (*rename)(struct inode *old_dir, const char *old_name, struct inode *new_dir, const char *new_name, u32 flags);
    long (*readlink)(struct inode *link, char *buf, size_t size);
    // Magic links of /proc (exe, fd/N, ns/x): fills *out (with references) instead of text. NULL elsewhere.
    int (*follow)(struct inode *link, struct path *out);
    int (*truncate)(struct inode *inode, u64 size);
    int (*setattr)(struct inode *inode); // after mode, uid, gid or times changed; may be NULL
    void (*refresh)(struct inode *inode); // before stat: bring the size and such up to date; may be NULL
};

struct path {
    struct mount *mount;
    struct dentry *dentry;
};

struct file_ops {
    long (*read)(struct file *f, struct uio *u, u64 *pos);   // bytes or -errno; may sleep
    long (*write)(struct file *f, struct uio *u, u64 *pos);  // may sleep
    // Calls emit for each entry from *pos on until it returns false; moves *pos.
    int (*iterate)(struct file *f, u64 *pos, bool (*emit)(void *ctx, const char *name, size_t len, u64 ino, u8 type, u64 next), void *ctx);
    u32 (*poll)(struct file *f, struct poll_table *pt);      // POLLIN, …; registers with pt (may be NULL)
    long (*ioctl)(struct file *f, u32 cmd, u64 arg);         // -ENOTTY by default; may sleep
    // The object and page offset to map; default: inode->mapping. -ENODEV if it cannot be mapped.
    int (*mmap)(struct file *f, u64 offset, u64 len, u32 prot, u32 flags, struct vmobject **obj, u64 *page_offset);
    int (*open)(struct inode *inode, struct file *f);        // may replace f->ops (devices)
    void (*release)(struct file *f);                         // last reference gone
    long (*lseek)(struct file *f, s64 off, int whence);      // NULL: by size; -ESPIPE if not seekable (FILE_STREAM)
};

#define FILE_STREAM 1u // no position: pipes, ttys

struct file { // an open file description
    u32 refs;
    u32 flags;       // O_*
    u32 kind;        // FILE_STREAM
    u64 pos;
    struct path path; // {NULL} for anonymous ones (pipes, eventfd, KVM's)
    struct inode *inode; // may be NULL for anonymous ones
    const struct file_ops *ops;
    void *private;
    struct list epoll_links;
    int owner_pid;
};

struct dentry { // a name in a directory that somebody holds or that has mounts on it
    char *name;
    struct dentry *parent; // itself at a file system's root
    struct inode *inode;
    struct super *super;
    struct list children, sibling; // cached children
    u32 refs;
    u32 mounted;  // mounts on it, in any namespace
    bool deleted; // unlinked: getcwd says "(deleted)" / ENOENT
};

struct super { // a file system instance
    const struct fs_type *type;
    struct dentry *root;
    u64 dev, next_ino;
    u32 flags, refs;
    u64 max_bytes, used_bytes; // tmpfs size=
    struct cgroup *cgroup;
    void *private;
};

struct fs_type {
    const char *name;  // for mount(2) and /proc/filesystems
    bool nodev;
    bool userns_mount; // may be mounted by the root of a user namespace
    // A new instance (or the only one) with a reference to its root; `source` and `options` as in mount(2). ERR_PTR; the log names bad options.
    struct super *(*mount)(const struct fs_type *type, const char *source, u32 flags, const char *options);
    void (*kill)(struct super *s);
    int (*statfs)(struct super *s, void *statfs); // struct statfs of the ABI
    u32 magic;
    struct list link;
};
void fs_register(struct fs_type *type);

// inode.c
struct inode *inode_new(struct super *s, u32 mode); // refs 1, ids of current, times now; NULL without memory
struct inode *inode_get(struct inode *i);
void inode_put(struct inode *i);
int inode_permission(struct inode *i, int may); // MAY_READ 4, MAY_WRITE 2, MAY_EXEC 1: 0 or -EACCES/-EROFS
struct timespec_k time_now(void);

// file.c
struct file *file_alloc(const struct file_ops *ops, u32 flags); // refs 1; ERR_PTR(-ENFILE/-ENOMEM)
struct file *file_get(struct file *f);
void file_put(struct file *f); // may sleep
struct file *file_open(struct path *p, u32 flags); // takes references of its own; ERR_PTR
long file_read(struct file *f, struct uio *u, u64 *pos);
long file_write(struct file *f, struct uio *u, u64 *pos);
long kernel_read(struct file *f, void *buf, size_t n, u64 off);
long kernel_write(struct file *f, const void *buf, size_t n, u64 off);

// A new open file without a name in the current descriptor table, as anon_inode: "[eventfd]", "kvm-vm", …: the descriptor or -errno.
int anon_file_install(const char *name, const struct file_ops *ops, void *private, u32 flags);

// path.c: resolution. LOOKUP_* as flags; all may return ENOENT, ENOTDIR, ELOOP, EACCES, ENAMETOOLONG.
#define LOOKUP_FOLLOW 1u    // follow a last symbolic link
#define LOOKUP_DIRECTORY 2u // must be a directory
#define LOOKUP_PARENT 4u    // stop at the parent; the last component in *last
#define LOOKUP_EMPTY 8u     // AT_EMPTY_PATH
int path_lookup_at(int dirfd, const char *name, u32 flags, struct path *out);
struct path_last {
    char name[256];
    size_t len;
    bool slash; // followed by '/'
};
int path_lookup_parent(int dirfd, const char *name, struct path *parent, struct path_last *last);
void path_get(const struct path *p);
void path_put(struct path *p);
// Text of p below `root` ("(unreachable)" in front if it is not): returns a pointer into buf, or ERR_PTR(-ENAMETOOLONG).
char *path_text(const struct path *p, const struct path *root, char *buf, size_t size);
struct file *path_open_at(int dirfd, const char *name, u32 flags, u32 mode); // openat(2); ERR_PTR
struct file *kernel_open(const char *name, u32 flags, u32 mode);
int kernel_mkdir(const char *name, u32 mode);

void vfs_init(void); // root tmpfs, file systems, cpio modules unpacked

// Character devices by major number.
int chrdev_register(u32 major, const char *name, const struct file_ops *ops);
// A node in devfs.
int devfs_node(const char *name, u32 mode, u64 rdev);
