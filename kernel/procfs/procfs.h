// procfs: the kernel's view of processes and of itself as files. proc(5).
//
// An instance belongs to a pid namespace and shows its processes only, under the numbers they have
// there. A directory is a table of entries; each entry says how its text is made. Nothing is
// cached: an inode lives while somebody holds it.
#pragma once
#include "kernel/fs/seqtext.h"
#include "kernel/fs/vfs.h"
#include "kernel/task/pid.h"

struct task;
struct process;
struct proc_entry;

struct proc_node { // what an inode of procfs stands for
    const struct proc_entry *entry;
    struct pid_ns *ns;       // of the instance, which holds the reference
    struct process *process; // with a reference; NULL outside /proc/PID
    struct task *task;       // with a reference: the thread, or the process's leader
    int fd;                  // /proc/PID/fd/N
    u64 serial;              // tells apart what entry and process do not
};

struct proc_entry {
    const char *name;
    u32 mode; // S_IFDIR, S_IFREG or S_IFLNK with permissions
    // Regular files: writes the text; 0 or -errno.
    int (*show)(struct seqtext *s, const struct proc_node *n);
    // Takes what was written, as a string without its last newline; 0 or -errno.
    int (*write)(const struct proc_node *n, char *text);
    // Links: the text; length or -errno.
    long (*readlink)(const struct proc_node *n, char *buf, size_t size);
    // Magic links: where they lead, with references.
    int (*follow)(const struct proc_node *n, struct path *out);
    // Directories: fixed entries, up to one without a name.
    const struct proc_entry *children;
    // Directories with entries that come and go. find: fills *child (with references) for a name; 0
    // or -ENOENT. next: the first entry with a key of at least *key, whose name it writes; false at
    // the end.
    int (*find)(const struct proc_node *dir, const char *name, size_t len, struct proc_node *child);
    bool (*next)(const struct proc_node *dir, u64 *key, char *name, size_t size);
    bool guarded; // needs the rights of ptrace over the process (proc_may_inspect)
};

#define PROC_END                                                                                   \
    {                                                                                              \
        .name = NULL                                                                               \
    }

extern const struct proc_entry proc_root[];  // root.c
extern const struct proc_entry proc_pid_dir; // pid.c: /proc/PID and /proc/PID/task/TID
extern const struct proc_entry proc_sys[];   // sys.c: /proc/sys
extern const struct proc_entry proc_ns[];    // links.c: /proc/PID/ns
int proc_find_fd(const struct proc_node *dir, const char *name, size_t len,
                 struct proc_node *child);
bool proc_next_fd(const struct proc_node *dir, u64 *key, char *name, size_t size);

// A child of `dir` for the same process.
struct proc_node proc_child(const struct proc_node *dir, const struct proc_entry *entry);
// A node for a process's thread, with references.
struct proc_node proc_task_node(const struct proc_node *dir, const struct proc_entry *entry,
                                struct process *p, struct task *t);
// A name that is a decimal number without leading zeros: the number, or -1.
long proc_number(const char *name, size_t len);
// True if current may look into the process: same user and no more capabilities, or CAP_SYS_PTRACE
// (ptrace(2)).
bool proc_may_inspect(const struct process *p);
// Registers the file system.
void procfs_init(void);

// Files of /proc/PID that are kept elsewhere: stat.c, maps.c, mounts.c, ids.c, links.c.
int proc_show_stat(struct seqtext *s, const struct proc_node *n);
int proc_show_statm(struct seqtext *s, const struct proc_node *n);
int proc_show_status(struct seqtext *s, const struct proc_node *n);
int proc_show_maps(struct seqtext *s, const struct proc_node *n);
int proc_show_mounts(struct seqtext *s, const struct proc_node *n);
int proc_show_mountinfo(struct seqtext *s, const struct proc_node *n);
int proc_show_uid_map(struct seqtext *s, const struct proc_node *n);
int proc_show_gid_map(struct seqtext *s, const struct proc_node *n);
int proc_show_setgroups(struct seqtext *s, const struct proc_node *n);
int proc_write_uid_map(const struct proc_node *n, char *text);
int proc_write_gid_map(const struct proc_node *n, char *text);
int proc_write_setgroups(const struct proc_node *n, char *text);
int proc_follow_exe(const struct proc_node *n, struct path *out);
int proc_follow_cwd(const struct proc_node *n, struct path *out);
int proc_follow_root(const struct proc_node *n, struct path *out);
long proc_readlink_path(const struct proc_node *n, char *buf,
                        size_t size); // text of where `follow` leads
