// What the system calls of sockets share.
#pragma once
#include "kernel/fs/fdtable.h"
#include "kernel/net/socket.h"

struct ucred_k { // unix(7): as a process sees somebody's credentials
    int pid;
    u32 uid, gid;
};

// The socket of a descriptor; *f gets the reference. ERR_PTR(-EBADF, -ENOTSOCK).
struct socket *socket_from_fd(int fd, struct file **f);
long name_from_user(struct socket_name *name, const void __user *addr, int len);
// As much as *len allows; *len becomes the whole length. 0, -EFAULT, -EINVAL.
long name_to_user(const struct socket_name *name, void __user *addr, int __user *len);
struct ucred_k credentials_out(const struct credentials *c); // as current sees them

static inline u32 socket_flags(const struct file *f, u32 flags)
{
    return flags | (f->flags & O_NONBLOCK ? MSG_DONTWAIT : 0);
}
