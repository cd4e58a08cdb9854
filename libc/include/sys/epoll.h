/* epoll(7). */
#ifndef VIV_SYS_EPOLL_H
#define VIV_SYS_EPOLL_H

#include <signal.h>
#include <stdint.h>
#define epoll_event viv_uapi_epoll_event
#include <linux/eventpoll.h>
#undef epoll_event

typedef union epoll_data {
    void *ptr;
    int fd;
    uint32_t u32;
    uint64_t u64;
} epoll_data_t;

struct epoll_event {
    uint32_t events;
    epoll_data_t data;
} __attribute__((packed));
_Static_assert(sizeof(struct epoll_event) == sizeof(struct viv_uapi_epoll_event), "the kernel's");

int epoll_create(int size);
int epoll_create1(int flags);
int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms);
int epoll_pwait(int epoll, struct epoll_event *events, int count, int timeout_ms,
                const sigset_t *mask);

#endif
