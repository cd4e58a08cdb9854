// socket(2), connect(2), accept(2), getsockname(2), getsockopt(2), …: sockets of the local machine.
// What moves data is in message.c.
#include <asm/socket.h>
#include "container/ns/ns.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/socket.h"
#include "kernel/syscall/syscall.h"
#include "kernel/task/task.h"
#include "kernel/x86/clock.h"

#define SOCK_TYPE_MASK 0xf
#define SEND_MIN 4608
#define SOCK_FLAGS (O_CLOEXEC | O_NONBLOCK) // SOCK_CLOEXEC, SOCK_NONBLOCK are the same bits

struct socket *socket_from_fd(int fd, struct file **f)
{
    *f = fd_get(fd);
    if (!*f)
        return ERR_PTR(-EBADF);
    struct socket *s = socket_of(*f);
    if (s)
        return s;
    file_put(*f);
    return ERR_PTR(-ENOTSOCK);
}

long name_from_user(struct socket_name *name, const void __user *addr, int len)
{
    if (len < 0 || len > (int)sizeof(name->addr))
        return -EINVAL;
    name->addr.sun_family = AF_UNSPEC;
    name->len = len;
    return len ? copy_from_user(&name->addr, addr, len) : 0;
}

long name_to_user(const struct socket_name *name, void __user *addr, int __user *len)
{
    int room;

    if (get_user(room, len))
        return -EFAULT;
    if (room < 0)
        return -EINVAL;
    if (copy_to_user(addr, &name->addr, min((u32)room, name->len)))
        return -EFAULT;
    return put_user((int)name->len, len);
}

// The type that is meant, or -errno.
static long check_type(int family, int type, int protocol)
{
    int kind = type & SOCK_TYPE_MASK;

    if (type & ~(SOCK_TYPE_MASK | SOCK_FLAGS))
        return -EINVAL;
    if (family != AF_UNIX)
        return -EAFNOSUPPORT;
    if (kind > 10)
        return -EINVAL;
    if (protocol && protocol != AF_UNIX)
        return -EPROTONOSUPPORT;
    if (kind == SOCK_RAW)
        return SOCK_DGRAM;
    return kind == SOCK_STREAM || kind == SOCK_DGRAM || kind == SOCK_SEQPACKET ? kind
                                                                               : -ESOCKTNOSUPPORT;
}

// Gives s a file and a descriptor; closes it on error.
static long install(struct socket *s, int flags)
{
    struct file *f = socket_file(s, flags);

    if (!IS_ERR(f))
        return fd_install(f, flags & O_CLOEXEC);
    socket_close(s, true);
    return PTR_ERR(f);
}

long sys_socket(int family, int type, int protocol)
{
    long kind = check_type(family, type, protocol);
    struct socket *s = kind < 0 ? ERR_PTR(kind) : socket_new(kind, current()->nsset->ns[NS_NET]);

    return IS_ERR(s) ? PTR_ERR(s) : install(s, type);
}

long sys_socketpair(int family, int type, int protocol, int *fds)
{
    long kind = check_type(family, type, protocol);
    struct socket *s[2];
    int fd[2] = {-1, -1};

    if (kind < 0)
        return kind;
    s[0] = socket_new(kind, current()->nsset->ns[NS_NET]);
    if (IS_ERR(s[0]))
        return PTR_ERR(s[0]);
    s[1] = socket_new(kind, current()->nsset->ns[NS_NET]);
    if (IS_ERR(s[1])) {
        socket_put(s[0]);
        return PTR_ERR(s[1]);
    }
    socket_pair(s[0], s[1]);
    fd[0] = install(s[0], type);
    fd[1] = install(s[1], type);
    long err = fd[0] < 0 ? fd[0] : fd[1] < 0 ? fd[1] : copy_to_user(fds, fd, sizeof(fd));
    for (int n = 0; err && n < 2; n++)
        if (fd[n] >= 0)
            fd_close(fd[n]);
    return err;
}

static long with_name(int fd, const void *addr, int len,
                      long (*call)(struct socket *s, const struct socket_name *name, u32 flags))
{
    struct socket_name name;
    struct file *f;
    struct socket *s = socket_from_fd(fd, &f);

    if (IS_ERR(s))
        return PTR_ERR(s);
    long err = name_from_user(&name, addr, len);
    if (!err)
        err = call(s, &name, socket_flags(f, 0));
    file_put(f);
    return err;
}

long sys_connect(int fd, const void *addr, int addrlen)
{
    return with_name(fd, addr, addrlen, socket_connect);
}

static long bind_call(struct socket *s, const struct socket_name *name, u32 flags)
{
    return socket_bind(s, name);
}

long sys_bind(int fd, const void *addr, int addrlen)
{
    return with_name(fd, addr, addrlen, bind_call);
}

long sys_listen(int fd, int backlog)
{
    struct file *f;
    struct socket *s = socket_from_fd(fd, &f);

    if (IS_ERR(s))
        return PTR_ERR(s);
    long err = socket_listen(s, backlog);
    file_put(f);
    return err;
}

static const struct socket_name *peer_name(const struct socket *s)
{
    static const struct socket_name none = {SOCKET_NAME_MIN, {.sun_family = AF_UNIX}};

    return s->peer ? &s->peer->name : &none;
}

long sys_accept4(int fd, void *addr, int *addrlen, int flags)
{
    struct file *f;
    struct socket *s = socket_from_fd(fd, &f);

    if (IS_ERR(s))
        return PTR_ERR(s);
    struct socket *other =
        flags & ~SOCK_FLAGS ? ERR_PTR(-EINVAL) : socket_accept(s, socket_flags(f, 0));
    file_put(f);
    if (IS_ERR(other))
        return PTR_ERR(other);
    struct socket_name name = *peer_name(other);
    long result = install(other, flags);
    if (result >= 0 && addr && name_to_user(&name, addr, addrlen)) {
        fd_close(result);
        result = -EFAULT;
    }
    return result;
}

long sys_accept(int fd, void *addr, int *addrlen)
{
    return sys_accept4(fd, addr, addrlen, 0);
}

long sys_getsockname(int fd, void *addr, int *addrlen)
{
    struct file *f;
    struct socket *s = socket_from_fd(fd, &f);

    if (IS_ERR(s))
        return PTR_ERR(s);
    struct socket_name name = s->name;
    file_put(f);
    return name_to_user(&name, addr, addrlen);
}

long sys_getpeername(int fd, void *addr, int *addrlen)
{
    struct file *f;
    struct socket *s = socket_from_fd(fd, &f);

    if (IS_ERR(s))
        return PTR_ERR(s);
    bool connected = s->peer;
    struct socket_name name = *peer_name(s);
    file_put(f);
    return connected ? name_to_user(&name, addr, addrlen) : -ENOTCONN;
}

long sys_shutdown(int fd, int how)
{
    struct file *f;
    struct socket *s = socket_from_fd(fd, &f);

    if (IS_ERR(s))
        return PTR_ERR(s);
    long err = how < 0 || how > 2 ? -EINVAL : 0;
    if (!err)
        socket_shutdown(s, how + 1);
    file_put(f);
    return err;
}

static long set_timeout(u64 *timeout_ns, const void __user *value, int len)
{
    s64 t[2];

    if (len < (int)sizeof(t))
        return -EINVAL;
    if (copy_from_user(t, value, sizeof(t)))
        return -EFAULT;
    if (t[1] < 0 || t[1] >= 1000000)
        return -EDOM;
    *timeout_ns = t[0] < 0 || t[0] > 1L << 32 ? 0 : t[0] * NSEC_PER_SEC + t[1] * NSEC_PER_USEC;
    return 0;
}

static long set_option(struct socket *s, int option, const void __user *value, int len)
{
    int n = 0;

    if (option == SO_RCVTIMEO)
        return set_timeout(&s->receive_timeout_ns, value, len);
    if (option == SO_SNDTIMEO)
        return set_timeout(&s->send_timeout_ns, value, len);
    if (len < (int)sizeof(n))
        return -EINVAL;
    if (get_user(n, (const int __user *)value))
        return -EFAULT;
    switch (option) {
    case SO_PASSCRED:
        s->pass_creds = n;
        return 0;
    case SO_SNDBUF:
        n = min((u32)n, SOCKET_SEND_MAX);
        s->send_max = max(2 * n, SEND_MIN);
        return 0;
    case SO_RCVBUF: // the sender's is what counts
    case SO_REUSEADDR:
    case SO_KEEPALIVE:
    case SO_LINGER:
        return 0;
    }
    return -ENOPROTOOPT;
}

long sys_setsockopt(int fd, int level, int option, const void *value, int len)
{
    struct file *f;
    struct socket *s = socket_from_fd(fd, &f);

    if (IS_ERR(s))
        return PTR_ERR(s);
    long err = level == SOL_SOCKET ? set_option(s, option, value, len) : -EOPNOTSUPP;
    file_put(f);
    return err;
}

struct ucred_k credentials_out(const struct credentials *c)
{
    const struct user_ns *ns = current()->cred->user_ns;

    return (struct ucred_k){c->pid ? pid_nr(c->pid, current_pid_ns()) : 0,
                            c->uid == (u32)-1 ? c->uid : map_id_out(ns, false, c->uid),
                            c->gid == (u32)-1 ? c->gid : map_id_out(ns, true, c->gid)};
}

// The value of an option: how long it is, or -ENOPROTOOPT.
static long get_option(struct socket *s, int option, void *value)
{
    u64 ns = option == SO_RCVTIMEO ? s->receive_timeout_ns : s->send_timeout_ns;
    int n;

    switch (option) {
    case SO_RCVTIMEO:
    case SO_SNDTIMEO:
        memcpy(value, (s64[2]){ns / NSEC_PER_SEC, ns % NSEC_PER_SEC / NSEC_PER_USEC}, 16);
        return 16;
    case SO_PEERCRED:
        *(struct ucred_k *)value = credentials_out(&s->peer_creds);
        return sizeof(struct ucred_k);
    case SO_TYPE:
        n = s->type;
        break;
    case SO_DOMAIN:
        n = AF_UNIX;
        break;
    case SO_ERROR:
        n = s->error;
        s->error = 0;
        break;
    case SO_ACCEPTCONN:
        n = s->state == SOCKET_LISTENS;
        break;
    case SO_PASSCRED:
        n = s->pass_creds;
        break;
    case SO_SNDBUF:
        n = s->send_max;
        break;
    case SO_RCVBUF:
        n = SOCKET_SEND_MAX;
        break;
    case SO_PROTOCOL:
    case SO_REUSEADDR:
    case SO_KEEPALIVE:
        n = 0;
        break;
    default:
        return -ENOPROTOOPT;
    }
    *(int *)value = n;
    return sizeof(n);
}

long sys_getsockopt(int fd, int level, int option, void *value, int *len)
{
    u8 answer[16] __attribute__((aligned(8)));
    int room;
    struct file *f;
    struct socket *s = socket_from_fd(fd, &f);

    if (IS_ERR(s))
        return PTR_ERR(s);
    long n = level == SOL_SOCKET ? 0 : -EOPNOTSUPP;
    if (!n && get_user(room, len))
        n = -EFAULT;
    if (!n)
        n = room < 0 ? -EINVAL : get_option(s, option, answer);
    file_put(f);
    if (n < 0)
        return n;
    int given = min(room, (int)n);
    return copy_to_user(value, answer, given) ? -EFAULT : put_user(given, len);
}
