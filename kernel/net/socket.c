// The life of a socket, and what it is as a file. See socket.h.
#include "kernel/net/socket.h"
#include <asm/ioctls.h>
#include <linux/sockios.h>
#include "container/ns/ns.h"
#include "kernel/fs/poll.h"
#include "kernel/fs/uio.h"
#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"
#include "kernel/task/task.h"
#include "kernel/x86/clock.h"

struct socket *socket_new(u32 type, struct ns *net)
{
    struct socket *s = kzalloc_charged(sizeof(*s));

    if (!s)
        return ERR_PTR(-ENOMEM);
    s->refs = 1;
    s->type = type;
    s->net = ns_get(net);
    s->send_max = SOCKET_SEND_MAX;
    s->name.len = SOCKET_NAME_MIN;
    s->name.addr.sun_family = AF_UNIX;
    s->peer_creds.uid = s->peer_creds.gid = -1;
    wait_queue_init(&s->wait);
    wait_queue_init(&s->reader_wait);
    list_init(&s->messages);
    list_init(&s->callers);
    list_init(&s->caller_link);
    list_init(&s->pending);
    list_init(&s->pending_link);
    list_init(&s->bound_link);
    list_init(&s->scan_link);
    list_append(&all_sockets, &s->all_link);
    return s;
}

struct socket *socket_get(struct socket *s)
{
    s->refs++;
    return s;
}

void socket_put(struct socket *s)
{
    if (--s->refs)
        return;
    list_remove(&s->all_link);
    credentials_put(&s->creds);
    credentials_put(&s->peer_creds);
    ns_put(s->net);
    kfree(s);
}

struct credentials credentials_get(const struct credentials *c)
{
    if (c->pid)
        pid_get(c->pid);
    return *c;
}

struct credentials credentials_of_current(bool effective)
{
    const struct cred *cred = current()->cred;

    return (struct credentials){pid_get(current()->process->pid),
                                effective ? cred->euid : cred->uid,
                                effective ? cred->egid : cred->gid};
}

void credentials_put(struct credentials *c)
{
    if (c->pid)
        pid_put(c->pid);
    c->pid = NULL;
}

void socket_set_peer(struct socket *s, struct socket *peer)
{
    struct socket *old = s->peer;

    list_remove(&s->caller_link);
    s->peer = peer ? socket_get(peer) : NULL;
    if (peer)
        list_append(&peer->callers, &s->caller_link);
    if (old)
        socket_put(old);
}

void socket_pair(struct socket *a, struct socket *b)
{
    struct socket *both[2] = {a, b};

    for (int n = 0; n < 2; n++) {
        socket_set_peer(both[n], both[!n]);
        both[n]->state = SOCKET_CONNECTED;
        both[n]->peer_creds = credentials_of_current(true);
    }
}

u64 socket_deadline(u64 timeout_ns)
{
    return timeout_ns ? clock_ns() + timeout_ns : WAIT_FOREVER;
}

long socket_sleep(struct wait_queue *q, u32 flags, u64 deadline_ns)
{
    if (flags & MSG_DONTWAIT)
        return -EAGAIN;
    int err = wait_sleep(q, deadline_ns);
    if (err == -ETIMEDOUT)
        return -EAGAIN;
    return err == -ERESTARTSYS && deadline_ns != WAIT_FOREVER ? -EINTR : err;
}

void socket_shutdown(struct socket *s, u32 shut)
{
    struct socket *peer = s->type == SOCK_DGRAM ? NULL : s->peer;

    s->shut |= shut;
    wake_all(&s->wait);
    if (!peer)
        return;
    peer->shut |= (shut & SHUT_SEND ? SHUT_RECEIVE : 0) | (shut & SHUT_RECEIVE ? SHUT_SEND : 0);
    wake_all(&peer->wait);
}

// Those who are connected to s learn that it is gone; with data that it has not read, by an error.
static void leave_callers(struct socket *s, bool lost)
{
    struct socket *caller;

    list_for_each (caller, &s->callers, caller_link) {
        if (s->type != SOCK_DGRAM) {
            caller->shut = SHUT_BOTH;
            if (lost)
                caller->error = ECONNRESET;
        }
        wake_all(&caller->wait);
    }
}

void socket_close(struct socket *s, bool unaccepted)
{
    struct socket *pending, *tmp;

    s->file = NULL;
    s->shut = SHUT_BOTH;
    socket_unbind(s);
    leave_callers(s, unaccepted || !list_empty(&s->messages));
    socket_set_peer(s, NULL);
    list_for_each_safe (pending, tmp, &s->pending, pending_link) {
        list_remove(&pending->pending_link);
        socket_close(pending, true);
    }
    wake_all(&s->wait);
    messages_drop(&s->messages);
    socket_put(s);
}

static void release(struct file *f)
{
    socket_close(f->private, false);
    rights_collect();
}

static long transfer(struct file *f, struct uio *u,
                     long (*move)(struct socket *s, struct transfer *t))
{
    struct transfer t = {.data = u, .flags = f->flags & O_NONBLOCK ? MSG_DONTWAIT : 0};
    long n = move(f->private, &t);

    rights_put(t.rights); // that came along and nobody asked for
    credentials_put(&t.creds);
    return n;
}

static long socket_read(struct file *f, struct uio *u, u64 *pos)
{
    return transfer(f, u, socket_receive);
}

static long socket_write(struct file *f, struct uio *u, u64 *pos)
{
    return transfer(f, u, socket_send);
}

static bool writable(const struct socket *s)
{
    if (s->state == SOCKET_LISTENS || s->in_flight * 4 > s->send_max)
        return false;
    return s->type != SOCK_DGRAM || !s->peer || s->peer->peer == s || !socket_full(s->peer);
}

static u32 socket_poll(struct file *f, struct poll_table *pt)
{
    struct socket *s = f->private;
    u32 events = s->error ? POLLERR : 0;

    poll_wait(pt, &s->wait);
    if (s->shut == SHUT_BOTH || (s->type != SOCK_DGRAM && s->state == SOCKET_FRESH))
        events |= POLLHUP;
    if (s->shut & SHUT_RECEIVE)
        events |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (!list_empty(&s->messages) || !list_empty(&s->pending))
        events |= POLLIN | POLLRDNORM;
    if (writable(s))
        events |= POLLOUT | POLLWRNORM | POLLWRBAND;
    return events;
}

static long socket_ioctl(struct file *f, u32 cmd, u64 arg)
{
    struct socket *s = f->private;
    struct message *m;
    u64 bytes = 0;

    if (cmd == SIOCOUTQ)
        return put_user((int)s->in_flight, (int __user *)arg);
    if (cmd != FIONREAD)
        return -ENOTTY;
    if (s->state == SOCKET_LISTENS)
        return -EINVAL;
    list_for_each (m, &s->messages, link) {
        bytes += m->end - m->start;
        if (s->type == SOCK_DGRAM)
            break;
    }
    return put_user((int)bytes, (int __user *)arg);
}

static const struct file_ops socket_ops = {
    .read = socket_read,
    .write = socket_write,
    .poll = socket_poll,
    .ioctl = socket_ioctl,
    .release = release,
};

struct socket *socket_of(const struct file *f)
{
    return f->ops == &socket_ops ? f->private : NULL;
}

struct file *socket_file(struct socket *s, u32 flags)
{
    struct file *f = file_alloc(NULL, O_RDWR | (flags & O_NONBLOCK));

    if (IS_ERR(f))
        return f;
    f->inode = inode_new(NULL, S_IFSOCK | 0777);
    if (!f->inode) {
        file_put(f);
        return ERR_PTR(-ENOMEM);
    }
    f->ops = &socket_ops;
    f->kind |= FILE_STREAM;
    f->private = s;
    s->file = f;
    return f;
}
