// epoll(7). Each item hangs in the wait queues of its file with a wake function that puts it into
// the set's list of candidates; whether it is ready is asked when somebody collects.
#include "kernel/fs/epoll.h"
#include "kernel/fs/poll.h"
#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"

#define QUEUES_MAX 4 // wait queues of one file
#define EVENT_FLAGS (EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE)

struct epoll {
    struct list items, ready;
    struct wait_queue wait;
};

struct hook {
    struct wait_entry entry;
    struct item *item;
};

struct item {
    struct epoll *ep;
    struct file *file; // no reference: it leaves the set when it is released
    int fd;
    bool is_ready; // in ep->ready
    struct epoll_event event;
    struct list link, file_link, ready_link;
    struct poll_table table;
    u32 hooks;
    struct hook hook[QUEUES_MAX];
};

static void make_ready(struct item *it)
{
    if (!it->is_ready) {
        it->is_ready = true;
        list_append(&it->ep->ready, &it->ready_link);
    }
    wake_all(&it->ep->wait);
}

static void item_woken(struct wait_entry *e)
{
    make_ready(container_of(e, struct hook, entry)->item);
}

static void add_hook(struct poll_table *pt, struct wait_queue *q)
{
    struct item *it = container_of(pt, struct item, table);

    if (it->hooks == QUEUES_MAX)
        return;
    struct hook *h = &it->hook[it->hooks++];
    h->item = it;
    h->entry = (struct wait_entry){.wake = item_woken};
    wait_add(q, &h->entry);
}

static void unready(struct item *it)
{
    list_remove(&it->ready_link);
    it->is_ready = false;
}

static void item_free(struct item *it)
{
    for (u32 n = 0; n < it->hooks; n++)
        wait_remove(&it->hook[n].entry);
    if (it->is_ready)
        unready(it);
    list_remove(&it->link);
    list_remove(&it->file_link);
    kfree(it);
}

void epoll_file_released(struct file *f)
{
    struct item *it, *tmp;

    list_for_each_safe (it, tmp, &f->epoll_links, file_link)
        item_free(it);
}

static u32 item_events(struct item *it)
{
    u32 wanted = it->event.events & ~EVENT_FLAGS;
    return wanted ? file_poll(it->file, NULL) & (wanted | POLLERR | POLLHUP) : 0;
}

static u32 epoll_poll(struct file *f, struct poll_table *pt)
{
    struct epoll *ep = f->private;
    struct item *it;

    poll_wait(pt, &ep->wait);
    list_for_each (it, &ep->ready, ready_link)
        if (item_events(it))
            return POLLIN | POLLRDNORM;
    return 0;
}

static void epoll_release(struct file *f)
{
    struct epoll *ep = f->private;
    struct item *it, *tmp;

    list_for_each_safe (it, tmp, &ep->items, link)
        item_free(it);
    kfree(ep);
}

static const struct file_ops epoll_ops = {.poll = epoll_poll, .release = epoll_release};

bool is_epoll(const struct file *f)
{
    return f->ops == &epoll_ops;
}

int epoll_new(u32 flags)
{
    struct epoll *ep = kzalloc_charged(sizeof(*ep));

    if (!ep)
        return -ENOMEM;
    list_init(&ep->items);
    list_init(&ep->ready);
    wait_queue_init(&ep->wait);
    int fd = anon_file_install("[eventpoll]", &epoll_ops, ep, O_RDWR | (flags & O_CLOEXEC));
    if (fd < 0)
        kfree(ep);
    return fd;
}

static struct item *find(struct epoll *ep, const struct file *target, int fd)
{
    struct item *it;

    list_for_each (it, &ep->items, link)
        if (it->file == target && it->fd == fd)
            return it;
    return NULL;
}

// Sets within sets: one level, so that they cannot form a circle.
static bool nests_too_deep(const struct file *set, const struct file *target)
{
    struct epoll *inner = target->private;
    struct item *it;

    if (!is_epoll(target))
        return false;
    if (!list_empty(&set->epoll_links))
        return true;
    list_for_each (it, &inner->items, link)
        if (is_epoll(it->file))
            return true;
    return false;
}

static long add(struct file *set, struct file *target, int fd, const struct epoll_event *event)
{
    struct epoll *ep = set->private;

    if (nests_too_deep(set, target))
        return -ELOOP;
    if (!target->ops || !target->ops->poll)
        return -EPERM;
    struct item *it = kzalloc_charged(sizeof(*it));
    if (!it)
        return -ENOMEM;
    it->ep = ep;
    it->file = target;
    it->fd = fd;
    it->event = *event;
    it->table.add = add_hook;
    list_append(&ep->items, &it->link);
    list_append(&target->epoll_links, &it->file_link);
    list_init(&it->ready_link);
    file_poll(target, &it->table);
    if (item_events(it))
        make_ready(it);
    return 0;
}

long epoll_control(struct file *set, int op, struct file *target, int fd,
                   const struct epoll_event *event)
{
    struct item *it = find(set->private, target, fd);

    switch (op) {
    case EPOLL_CTL_ADD:
        return it ? -EEXIST : add(set, target, fd, event);
    case EPOLL_CTL_MOD:
        if (!it)
            return -ENOENT;
        it->event = *event;
        if (item_events(it))
            make_ready(it);
        return 0;
    case EPOLL_CTL_DEL:
        if (!it)
            return -ENOENT;
        item_free(it);
        return 0;
    }
    return -EINVAL;
}

static int collect(struct epoll *ep, struct epoll_event *events, int max)
{
    struct item *it, *tmp;
    struct list again;
    int n = 0;

    list_init(&again);
    list_for_each_safe (it, tmp, &ep->ready, ready_link) {
        if (n == max)
            break;
        u32 ready = item_events(it);
        unready(it);
        if (!ready)
            continue;
        events[n] = it->event;
        events[n++].events = ready;
        if (it->event.events & EPOLLONESHOT)
            it->event.events &= EVENT_FLAGS;
        else if (!(it->event.events & EPOLLET)) {
            it->is_ready = true;
            list_append(&again, &it->ready_link);
        }
    }
    while (!list_empty(&again)) { // behind those that were not looked at
        struct list *l = again.next;
        list_remove(l);
        list_append(&ep->ready, l);
    }
    return n;
}

long epoll_collect(struct file *set, struct epoll_event *events, int max, u64 deadline_ns)
{
    struct epoll *ep = set->private;

    for (;;) {
        int n = collect(ep, events, max);
        if (n || !deadline_ns)
            return n;
        int err = wait_sleep(&ep->wait, deadline_ns);
        if (err == -ETIMEDOUT)
            return collect(ep, events, max);
        if (err)
            return -EINTR;
    }
}
