// listen(2), connect(2), accept(2). A connection is made by who connects: the other side's socket
// exists, and can be written to, before it is accepted.
#include "kernel/lib/err.h"
#include "kernel/net/socket.h"
#include "kernel/task/task.h"

#define BACKLOG_MAX 4096U // net.core.somaxconn

long socket_listen(struct socket *s, int backlog)
{
    if (s->type == SOCK_DGRAM)
        return -EOPNOTSUPP;
    if (s->name.len == SOCKET_NAME_MIN || s->state == SOCKET_CONNECTED)
        return -EINVAL;
    s->backlog = min((u32)backlog, BACKLOG_MAX);
    s->state = SOCKET_LISTENS;
    credentials_put(&s->creds);
    s->creds = credentials_of_current(true);
    wake_all(&s->wait);
    return 0;
}

static long find_peer(struct socket *s, const struct socket_name *name, struct socket **peer)
{
    *peer = NULL;
    if (name->len < sizeof(name->addr.sun_family))
        return -EINVAL;
    if (name->addr.sun_family == AF_UNSPEC)
        return 0;
    struct socket *found = socket_find(s, name);
    if (IS_ERR(found))
        return PTR_ERR(found);
    if (found->peer && found->peer != s) {
        socket_put(found);
        return -EPERM;
    }
    *peer = found;
    return 0;
}

// A datagram socket's connection is where it sends to, and the only one that it hears. What others
// have sent it is forgotten, and the old peer is told so.
static long connect_datagram(struct socket *s, const struct socket_name *name)
{
    struct list forgotten = LIST_INIT(forgotten);
    struct socket *peer;

    socket_lock_queue(s); // nobody copies out of a message that is dropped here
    long err = find_peer(s, name, &peer);
    if (!err) {
        struct socket *old = s->peer;
        if (old && old != peer && s->message_count) {
            s->message_count = 0;
            list_splice(&forgotten, &s->messages);
            old->error = old->peer == s ? ECONNRESET : old->error;
            wake_all(&old->wait);
        }
        socket_set_peer(s, peer);
        s->state = peer ? SOCKET_CONNECTED : SOCKET_FRESH;
        if (peer)
            socket_put(peer);
    }
    socket_unlock_queue(s);
    messages_drop(&forgotten);
    return err;
}

// A listener with room for one more, a reference. Sleeps.
static struct socket *find_listener(const struct socket *s, const struct socket_name *name,
                                    u32 flags)
{
    u64 deadline = socket_deadline(s->send_timeout_ns);

    for (;;) {
        struct socket *listener = socket_find(s, name);
        if (IS_ERR(listener))
            return listener;
        long err =
            listener->state != SOCKET_LISTENS || listener->shut & SHUT_RECEIVE ? -ECONNREFUSED : 0;
        if (!err && listener->pending_count <= listener->backlog)
            return listener;
        if (!err)
            err = socket_sleep(&listener->wait, flags, deadline);
        socket_put(listener);
        if (err)
            return ERR_PTR(err);
    }
}

static long join(struct socket *s, struct socket *listener)
{
    struct socket *other = socket_new(s->type, listener->net);

    if (IS_ERR(other))
        return PTR_ERR(other);
    socket_pair(s, other);
    credentials_put(&s->peer_creds);
    s->peer_creds = credentials_get(&listener->creds);
    other->name = listener->name;
    other->pass_creds = listener->pass_creds;
    list_append(&listener->pending, &other->pending_link);
    listener->pending_count++;
    wake_all(&listener->wait);
    wake_all(&s->wait);
    return 0;
}

long socket_connect(struct socket *s, const struct socket_name *name, u32 flags)
{
    if (s->type == SOCK_DGRAM)
        return connect_datagram(s, name);
    struct socket *listener = find_listener(s, name, flags);
    if (IS_ERR(listener))
        return PTR_ERR(listener);
    long err = s->state == SOCKET_CONNECTED ? -EISCONN : s->state == SOCKET_LISTENS ? -EINVAL : 0;
    if (!err)
        err = join(s, listener);
    socket_put(listener);
    return err;
}

struct socket *socket_accept(struct socket *s, u32 flags)
{
    u64 deadline = socket_deadline(s->receive_timeout_ns);

    if (s->type == SOCK_DGRAM)
        return ERR_PTR(-EOPNOTSUPP);
    if (s->state != SOCKET_LISTENS)
        return ERR_PTR(-EINVAL);
    while (list_empty(&s->pending)) {
        long err = s->shut & SHUT_RECEIVE ? -EINVAL : socket_sleep(&s->wait, flags, deadline);
        if (err)
            return ERR_PTR(err);
    }
    struct socket *other = list_first(&s->pending, struct socket, pending_link);
    list_remove(&other->pending_link);
    s->pending_count--;
    wake_all(&s->wait);
    return other;
}
