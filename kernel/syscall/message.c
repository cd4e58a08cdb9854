// sendto(2), recvfrom(2), sendmsg(2), recvmsg(2) and what goes beside the bytes: cmsg(3).
#include <asm/socket.h>
#include <linux/uio.h>
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/socket.h"
#include "kernel/syscall/syscall.h"
#include "kernel/syscall/vector.h"
#include "kernel/task/task.h"

#define SCM_RIGHTS 1
#define SCM_CREDENTIALS 2
#define CONTROL_MAX 20480

struct msghdr_k { // sendmsg(2)'s struct msghdr
    void *name;
    int name_len;
    const void *iov;
    u64 iov_len;
    char *control;
    u64 control_len;
    u32 flags;
};
static_assert(sizeof(struct msghdr_k) == 56, "the ABI's");

struct cmsg_k { // cmsg(3)'s struct cmsghdr
    u64 len;
    int level, type;
};
static_assert(sizeof(struct cmsg_k) == 16, "the ABI's");

static long transfer_done(struct transfer *t, struct file *f, long result)
{
    rights_put(t->rights);
    credentials_put(&t->creds);
    file_put(f);
    return result;
}

long sys_sendto(int fd, const void *buf, size_t len, u32 flags, const void *addr, int addrlen)
{
    struct socket_name name;
    struct iovec_k one;
    struct uio u;
    struct file *f;
    struct socket *s = socket_from_fd(fd, &f);

    if (IS_ERR(s))
        return PTR_ERR(s);
    struct transfer t = {.data = &u, .flags = socket_flags(f, flags)};
    long n = addr ? name_from_user(&name, addr, addrlen) : 0;
    t.name = addr ? &name : NULL;
    uio_user(&u, &one, (void *)buf, min(len, RW_MAX));
    if (!n)
        n = socket_send(s, &t);
    return transfer_done(&t, f, n);
}

long sys_recvfrom(int fd, void *buf, size_t len, u32 flags, void *addr, int *addrlen)
{
    struct socket_name name = {};
    struct iovec_k one;
    struct uio u;
    struct file *f;
    struct socket *s = socket_from_fd(fd, &f);

    if (IS_ERR(s))
        return PTR_ERR(s);
    struct transfer t = {.data = &u, .flags = socket_flags(f, flags), .name = &name};
    uio_user(&u, &one, buf, min(len, RW_MAX));
    long n = socket_receive(s, &t);
    if (name.len <= SOCKET_NAME_MIN)
        name.len = 0;
    if (n >= 0 && addr && name_to_user(&name, addr, addrlen))
        n = -EFAULT;
    return transfer_done(&t, f, n);
}

// SCM_RIGHTS: the files of the descriptors in data are added to t->rights.
static long add_rights(struct transfer *t, const int *fd, u32 count)
{
    if (!count)
        return 0;
    if (!t->rights && !(t->rights = rights_new(SOCKET_RIGHTS_MAX)))
        return -ENOMEM;
    if (count > SOCKET_RIGHTS_MAX - t->rights->count)
        return -EINVAL;
    for (u32 n = 0; n < count; n++) {
        struct file *f = fd_get_any(fd[n]);
        if (!f)
            return -EBADF;
        t->rights->file[t->rights->count++] = f;
    }
    return 0;
}

static bool is_one_of(u32 id, u32 a, u32 b, u32 c, int cap)
{
    return id == a || id == b || id == c || capable(cap);
}

// SCM_CREDENTIALS: who the sender says that it is. It may lie only with privilege.
static long set_credentials(struct transfer *t, const struct ucred_k *u)
{
    const struct cred *cred = current()->cred;
    u32 uid = map_id_in(cred->user_ns, false, u->uid), gid = map_id_in(cred->user_ns, true, u->gid);
    struct pid *pid = pid_find(current_pid_ns(), u->pid);

    if (uid == (u32)-1 || gid == (u32)-1)
        return -EINVAL;
    if ((pid != current()->process->pid && !capable(CAP_SYS_ADMIN)) ||
        !is_one_of(uid, cred->uid, cred->euid, cred->suid, CAP_SETUID) ||
        !is_one_of(gid, cred->gid, cred->egid, cred->sgid, CAP_SETGID))
        return -EPERM;
    if (!pid)
        return -ESRCH;
    credentials_put(&t->creds);
    t->creds = (struct credentials){pid_get(pid), uid, gid};
    return 0;
}

static long parse_control(struct transfer *t, const char *control, u64 len)
{
    struct cmsg_k c;

    for (u64 at = 0; len - at >= sizeof(c); at += ALIGN_UP(c.len, 8)) {
        const char *data = control + at + sizeof(c);
        memcpy(&c, control + at, sizeof(c));
        if (c.len < sizeof(c) || c.len > len - at)
            return -EINVAL;
        u64 size = c.len - sizeof(c);
        long err = 0;
        if (c.level != SOL_SOCKET)
            ;
        else if (c.type == SCM_RIGHTS)
            err = add_rights(t, (const int *)data, size / sizeof(int));
        else if (c.type == SCM_CREDENTIALS && size == sizeof(struct ucred_k))
            err = set_credentials(t, (const struct ucred_k *)data);
        else
            err = -EINVAL;
        if (err)
            return err;
        if (ALIGN_UP(c.len, 8) > len - at)
            break;
    }
    return 0;
}

static long get_control(struct transfer *t, const struct msghdr_k *msg)
{
    if (!msg->control_len || !msg->control)
        return 0;
    if (msg->control_len > CONTROL_MAX)
        return -ENOBUFS;
    char *control = kmalloc(msg->control_len);
    if (!control)
        return -ENOMEM;
    long err = copy_from_user(control, msg->control, msg->control_len);
    if (!err)
        err = parse_control(t, control, msg->control_len);
    kfree(control);
    return err;
}

// The message header and its buffers. The caller frees u->iov unless it is `few`.
static long get_message(struct msghdr_k *msg, const void __user *from, struct uio *u,
                        struct iovec_k *few, int few_count)
{
    if (copy_from_user(msg, from, sizeof(*msg)))
        return -EFAULT;
    if (msg->iov_len > UIO_MAXIOV)
        return -EMSGSIZE;
    return vector_get(u, msg->iov, msg->iov_len, few, few_count);
}

long sys_sendmsg(int fd, const void *user_msg, u32 flags)
{
    struct iovec_k few[8], *vector;
    struct socket_name name;
    struct msghdr_k msg;
    struct uio u = {};
    struct file *f;
    struct socket *s = socket_from_fd(fd, &f);

    if (IS_ERR(s))
        return PTR_ERR(s);
    struct transfer t = {.data = &u, .flags = socket_flags(f, flags)};
    long n = get_message(&msg, user_msg, &u, few, ARRAY_SIZE(few));
    vector = u.iov;
    if (!n && msg.name && msg.name_len) {
        n = name_from_user(&name, msg.name, msg.name_len);
        t.name = &name;
    }
    if (!n)
        n = get_control(&t, &msg);
    if (!n)
        n = socket_send(s, &t);
    if (vector != few)
        kfree(vector);
    return transfer_done(&t, f, n);
}

// Where the next control message goes, and what is left.
struct control {
    char __user *at;
    u64 left;
    u32 flags; // MSG_CTRUNC
};

// Room for a control message with up to `size` bytes of data: how many of them fit.
static u64 control_room(struct control *c, u64 size)
{
    u64 room = c->left > sizeof(struct cmsg_k) ? c->left - sizeof(struct cmsg_k) : 0;

    if (room < size)
        c->flags |= MSG_CTRUNC;
    return min(room, size);
}

static long control_head(struct control *c, int type, u64 size)
{
    struct cmsg_k head = {sizeof(head) + size, SOL_SOCKET, type};
    u64 step = min(ALIGN_UP(head.len, 8), c->left);

    if (copy_to_user(c->at, &head, sizeof(head)))
        return -EFAULT;
    c->at += step;
    c->left -= step;
    return 0;
}

static long put_credentials(struct control *c, const struct credentials *creds)
{
    struct ucred_k u = credentials_out(creds);
    u64 size = control_room(c, sizeof(u));

    if (!size)
        return 0;
    if (copy_to_user(c->at + sizeof(struct cmsg_k), &u, size))
        return -EFAULT;
    return control_head(c, SCM_CREDENTIALS, size);
}

// New descriptors for the files, as many as there is room for.
static long put_rights(struct control *c, const struct rights *r, u32 flags)
{
    int __user *out = (int __user *)(c->at + sizeof(struct cmsg_k));
    u32 count = control_room(c, r->count * sizeof(int)) / sizeof(int), done = 0;

    while (done < count) {
        int fd = fd_install(file_get(r->file[done]), flags & MSG_CMSG_CLOEXEC ? O_CLOEXEC : 0);
        if (fd < 0)
            break;
        if (put_user(fd, out + done)) {
            fd_close(fd);
            break;
        }
        done++;
    }
    if (done < r->count)
        c->flags |= MSG_CTRUNC;
    return done ? control_head(c, SCM_RIGHTS, done * sizeof(int)) : 0;
}

static long put_message(const struct socket *s, const struct transfer *t, struct msghdr_k *msg,
                        struct msghdr_k __user *to)
{
    struct control c = {msg->control, msg->control ? msg->control_len : 0, 0};
    int name_len = t->name->len > SOCKET_NAME_MIN ? t->name->len : 0;
    int name_room = max(msg->name_len, 0);
    long err = 0;

    if (s->pass_creds && t->creds.pid)
        err = put_credentials(&c, &t->creds);
    if (!err && t->rights)
        err = put_rights(&c, t->rights, t->flags);
    if (!err && msg->name) {
        if (copy_to_user(msg->name, &t->name->addr, min(name_len, name_room)) ||
            put_user(name_len, &to->name_len))
            err = -EFAULT;
    }
    u32 flags = t->result_flags | c.flags | (t->flags & MSG_CMSG_CLOEXEC);
    if (err || put_user(flags, &to->flags) ||
        put_user((u64)(c.at - msg->control), &to->control_len))
        return -EFAULT;
    return 0;
}

long sys_recvmsg(int fd, void *user_msg, u32 flags)
{
    struct iovec_k few[8], *vector;
    struct socket_name name = {};
    struct msghdr_k msg;
    struct uio u = {};
    struct file *f;
    struct socket *s = socket_from_fd(fd, &f);

    if (IS_ERR(s))
        return PTR_ERR(s);
    struct transfer t = {.data = &u, .flags = socket_flags(f, flags), .name = &name};
    long n = get_message(&msg, user_msg, &u, few, ARRAY_SIZE(few));
    vector = u.iov;
    if (!n)
        n = socket_receive(s, &t);
    if (vector != few)
        kfree(vector);
    if (n >= 0 && put_message(s, &t, &msg, user_msg))
        n = -EFAULT;
    return transfer_done(&t, f, n);
}
