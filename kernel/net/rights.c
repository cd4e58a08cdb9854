// Open files in messages (SCM_RIGHTS), and sockets that only their own messages hold.
//
// A socket can be sent through a socket, even through itself. When the last descriptor of such a
// circle closes, each file is still referred to, by a message in a queue that nobody can read. So
// each close of a socket looks for them: a socket all of whose references are in messages is
// garbage unless a chain of queues leads to it from one that is not.
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/net/socket.h"

struct list all_sockets = LIST_INIT(all_sockets);
static u32 sockets_travelling; // references in all messages

struct rights *rights_new(u32 count)
{
    return kzalloc_charged(sizeof(struct rights) + count * sizeof(struct file *));
}

struct rights *rights_copy(const struct rights *r)
{
    struct rights *copy = rights_new(r->count);

    for (; copy && copy->count < r->count; copy->count++)
        copy->file[copy->count] = file_get(r->file[copy->count]);
    return copy;
}

void rights_put(struct rights *r)
{
    for (u32 n = 0; r && n < r->count; n++)
        file_put(r->file[n]);
    kfree(r);
}

static void count(const struct rights *r, int by)
{
    for (u32 n = 0; r && n < r->count; n++) {
        struct socket *s = socket_of(r->file[n]);
        if (!s)
            continue;
        s->travelling += by;
        sockets_travelling += by;
    }
}

void rights_depart(const struct rights *r)
{
    count(r, 1);
}

void rights_arrive(const struct rights *r)
{
    count(r, -1);
}

static void scan_later(struct list *work, struct socket *s)
{
    s->garbage = false;
    list_append(work, &s->scan_link);
}

// What can be received from s is reachable: the files in its queue, the connections to accept.
static void scan(struct list *work, struct socket *s)
{
    struct socket *other;
    struct message *m;

    list_for_each (other, &s->pending, pending_link)
        scan_later(work, other);
    list_for_each (m, &s->messages, link)
        for (u32 n = 0; m->rights && n < m->rights->count; n++) {
            other = socket_of(m->rights->file[n]);
            if (other && other->garbage)
                scan_later(work, other);
        }
}

static void find_garbage(void)
{
    struct list work = LIST_INIT(work);
    struct socket *s;

    list_for_each (s, &all_sockets, all_link) {
        s->garbage = true;
        if (s->file && s->file->refs > s->travelling)
            scan_later(&work, s);
    }
    while (!list_empty(&work)) {
        s = list_first(&work, struct socket, scan_link);
        list_remove(&s->scan_link);
        scan(&work, s);
    }
}

void rights_collect(void)
{
    struct list doomed = LIST_INIT(doomed);
    struct socket *s;

    if (!sockets_travelling)
        return;
    find_garbage();
    list_for_each (s, &all_sockets, all_link)
        if (s->garbage)
            list_splice(&doomed, &s->messages);
    messages_drop(&doomed);
}
