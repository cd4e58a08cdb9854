// send(2) and recv(2): messages into a queue and out of it. See socket.h.
//
// A stream is a queue of messages whose borders the reader does not see; but it never reads on past
// one that carries files.
#include "kernel/fs/uio.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/net/socket.h"
#include "kernel/task/task.h"

#define STREAM_PIECE (16384 - sizeof(struct message))
#define DATAGRAMS_MAX 10 // net.unix.max_dgram_qlen

static long take_error(struct socket *s)
{
    long err = -s->error;

    s->error = 0;
    return err;
}

bool socket_full(const struct socket *s)
{
    return s->message_count > DATAGRAMS_MAX;
}

// Takes m out of the queue of s; whoever waits for room is woken.
static void unqueue(struct socket *s, struct message *m)
{
    struct socket *caller;

    list_remove(&m->link);
    if (s->type == SOCK_DGRAM && s->message_count == DATAGRAMS_MAX + 1) {
        wake_all(&s->wait);
        list_for_each (caller, &s->callers, caller_link)
            wake_all(&caller->wait);
    }
    s->message_count--;
}

static void message_free(struct message *m)
{
    m->from->in_flight -= m->charge;
    wake_all(&m->from->wait);
    socket_put(m->from);
    if (m->rights)
        rights_arrive(m->rights);
    rights_put(m->rights);
    credentials_put(&m->creds);
    kfree(m);
}

// A file that is dropped here may be a socket with messages of its own: they join the list, so that
// a chain of any length takes no stack.
void messages_drop(struct list *messages)
{
    static struct list doomed = LIST_INIT(doomed);
    static bool dropping;

    list_splice(&doomed, messages);
    if (dropping)
        return;
    dropping = true;
    while (!list_empty(&doomed)) {
        struct message *m = list_first(&doomed, struct message, link);
        list_remove(&m->link);
        message_free(m);
    }
    dropping = false;
}

// Takes n bytes of the sender's into a message; ERR_PTR. Sleeps.
static struct message *message_new(struct socket *s, struct uio *u, size_t n)
{
    struct message *m = kmalloc_charged(sizeof(*m) + n);

    if (!m)
        return ERR_PTR(-ENOBUFS);
    *m = (struct message){.from = s, .charge = sizeof(*m) + n, .end = n};
    if (n && uio_read(u, m->data, n) != (long)n) {
        kfree(m);
        return ERR_PTR(-EFAULT);
    }
    socket_get(s);
    list_init(&m->link);
    s->in_flight += m->charge;
    return m;
}

static void queue(struct socket *to, struct message *m, struct transfer *t)
{
    m->rights = t->rights;
    t->rights = NULL;
    if (m->rights)
        rights_depart(m->rights);
    m->creds = t->creds.pid ? credentials_get(&t->creds) : credentials_of_current(false);
    list_append(&to->messages, &m->link);
    to->message_count++;
    wake_all(&to->wait);
}

static long broken(u32 flags)
{
    if (!(flags & MSG_NOSIGNAL))
        signal_send_task(current(), SIGPIPE, NULL);
    return -EPIPE;
}

static long send_piece(struct socket *s, struct transfer *t, u64 deadline)
{
    while (s->in_flight >= s->send_max && !(s->shut & SHUT_SEND)) {
        long err = socket_sleep(&s->wait, t->flags, deadline);
        if (err)
            return err;
    }
    if (s->shut & SHUT_SEND)
        return -EPIPE;
    size_t n = min(t->data->resid, STREAM_PIECE);
    struct message *m = message_new(s, t->data, n);
    if (IS_ERR(m))
        return PTR_ERR(m);
    if (s->shut & SHUT_SEND) { // while the bytes were copied
        message_free(m);
        return -EPIPE;
    }
    queue(s->peer, m, t);
    return n;
}

static long send_stream(struct socket *s, struct transfer *t)
{
    u64 deadline = socket_deadline(s->send_timeout_ns);
    size_t done = 0;

    if (t->name)
        return s->state == SOCKET_CONNECTED ? -EISCONN : -EOPNOTSUPP;
    if (s->state != SOCKET_CONNECTED)
        return -ENOTCONN;
    do {
        long n = s->shut & SHUT_SEND ? -EPIPE : t->data->resid ? send_piece(s, t, deadline) : 0;
        if (n < 0 && !done)
            return n == -EPIPE ? broken(t->flags) : n;
        if (n <= 0)
            break;
        done += n;
    } while (t->data->resid);
    return done;
}

// May s send to `to` now? 0, an error, or 1: not before there is room.
static long may_deliver(struct socket *s, struct socket *to)
{
    if (s->shut & SHUT_SEND)
        return -EPIPE;
    if (!to->file && to->type == SOCK_DGRAM) {
        if (s->peer == to) {
            socket_set_peer(s, NULL);
            s->state = SOCKET_FRESH;
        }
        return -ECONNREFUSED;
    }
    if (to->shut & SHUT_RECEIVE)
        return -EPIPE;
    if (to->peer && to->peer != s)
        return -EPERM;
    return to != s && to->peer != s && socket_full(to);
}

static long deliver(struct socket *s, struct socket *to, struct transfer *t)
{
    u64 deadline = socket_deadline(s->send_timeout_ns);
    size_t n = t->data->resid;
    long err = n > s->send_max - 32 ? -EMSGSIZE : take_error(s);

    while (!err && s->in_flight >= s->send_max && !(s->shut & SHUT_SEND))
        err = socket_sleep(&s->wait, t->flags, deadline);
    if (err)
        return err;
    struct message *m = message_new(s, t->data, n);
    if (IS_ERR(m))
        return PTR_ERR(m);
    while ((err = may_deliver(s, to)) == 1) {
        err = socket_sleep(&to->wait, t->flags, deadline);
        if (err)
            break;
    }
    if (err) {
        message_free(m);
        return err;
    }
    queue(to, m, t);
    return n;
}

static long send_datagram(struct socket *s, struct transfer *t)
{
    bool named = t->name && s->type == SOCK_DGRAM;

    if (!named && !s->peer)
        return -ENOTCONN;
    struct socket *to = named ? socket_find(s, t->name) : socket_get(s->peer);
    if (IS_ERR(to))
        return PTR_ERR(to);
    long n = deliver(s, to, t);
    socket_put(to);
    return n;
}

long socket_send(struct socket *s, struct transfer *t)
{
    if (t->flags & MSG_OOB)
        return -EOPNOTSUPP;
    return s->type == SOCK_STREAM ? send_stream(s, t) : send_datagram(s, t);
}

void socket_lock_queue(struct socket *s)
{
    while (s->reading)
        wait_sleep_forever(&s->reader_wait);
    s->reading = true;
}

void socket_unlock_queue(struct socket *s)
{
    s->reading = false;
    wake_one(&s->reader_wait);
}

// What comes along with m: from whom, files, credentials. The files leave it unless it stays.
static void take_ancillary(struct message *m, struct transfer *t)
{
    if (t->name)
        *t->name = m->from->name;
    if (!t->creds.pid)
        t->creds = credentials_get(&m->creds);
    if (!m->rights || t->rights)
        return;
    if (t->flags & MSG_PEEK) {
        t->rights = rights_copy(m->rights);
        return;
    }
    rights_arrive(m->rights);
    t->rights = m->rights;
    m->rights = NULL;
}

static void consume(struct socket *s, struct message *m)
{
    unqueue(s, m);
    message_free(m);
}

// Waits, unlocked, for a message: 0, 1 at the end of the stream, or -errno.
static long wait_message(struct socket *s, struct transfer *t, u64 deadline)
{
    long err = take_error(s);

    if (err)
        return err;
    if (s->shut & SHUT_RECEIVE)
        return 1;
    socket_unlock_queue(s);
    err = socket_sleep(&s->wait, t->flags, deadline);
    socket_lock_queue(s);
    return err;
}

static bool same_creds(const struct credentials *a, const struct credentials *b)
{
    return a->pid == b->pid && a->uid == b->uid && a->gid == b->gid;
}

// One message's share of a stream: bytes, or -EFAULT. *go_on: the next one may follow.
static long read_piece(struct socket *s, struct message *m, struct transfer *t, bool *go_on)
{
    size_t left = m->end - m->start;
    long n = uio_write(t->data, m->data + m->start, min(left, t->data->resid));
    bool had_rights = m->rights;

    *go_on = false;
    if (n < 0)
        return n;
    take_ancillary(m, t);
    *go_on = (size_t)n == left && !had_rights && t->data->resid;
    if (t->flags & MSG_PEEK)
        return n;
    m->start += n;
    if ((size_t)n == left)
        consume(s, m);
    return n;
}

static long receive_stream(struct socket *s, struct transfer *t)
{
    u64 deadline = socket_deadline(s->receive_timeout_ns);
    struct list *at = &s->messages;
    size_t done = 0;
    bool go_on = t->data->resid;
    long n = 0;

    if (s->state != SOCKET_CONNECTED)
        return -EINVAL;
    while (go_on) {
        struct message *m = list_entry(at->next, struct message, link);
        if (at->next == &s->messages) {
            if (done && (!(t->flags & MSG_WAITALL) || t->flags & MSG_PEEK))
                break;
            n = wait_message(s, t, deadline);
            go_on = n == 0;
            continue;
        }
        if (done && s->pass_creds && !same_creds(&m->creds, &t->creds))
            break;
        n = read_piece(s, m, t, &go_on);
        done += n > 0 ? n : 0;
        if (t->flags & MSG_PEEK)
            at = at->next;
    }
    return done ? (long)done : min(n, 0L);
}

static long receive_datagram(struct socket *s, struct transfer *t)
{
    u64 deadline = socket_deadline(s->receive_timeout_ns);
    long n = 0;

    if (s->type == SOCK_SEQPACKET && s->state != SOCKET_CONNECTED)
        return -ENOTCONN;
    while (list_empty(&s->messages) && !n)
        n = wait_message(s, t, deadline);
    if (list_empty(&s->messages))
        return min(n, 0L);
    struct message *m = list_first(&s->messages, struct message, link);
    size_t size = m->end, wanted = min(size, t->data->resid);
    n = wanted ? uio_write(t->data, m->data, wanted) : 0;
    if (n == (long)wanted) {
        take_ancillary(m, t);
        t->result_flags |= wanted < size ? MSG_TRUNC : 0;
        n = t->flags & MSG_TRUNC ? (long)size : n;
    } else
        n = -EFAULT;
    if (!(t->flags & MSG_PEEK))
        consume(s, m);
    return n;
}

long socket_receive(struct socket *s, struct transfer *t)
{
    if (t->flags & MSG_OOB)
        return -EOPNOTSUPP;
    socket_lock_queue(s);
    long n = s->type == SOCK_STREAM ? receive_stream(s, t) : receive_datagram(s, t);
    socket_unlock_queue(s);
    return n;
}
