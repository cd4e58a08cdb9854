/* Namespaces, clone and scheduling. */
#ifndef VIV_SCHED_H
#define VIV_SCHED_H

#include <sys/types.h>
#include <sys/sched.h>
#include <linux/sched.h>
#include <string.h>

#define CPU_SETSIZE 1024
typedef struct {
    unsigned long bits[CPU_SETSIZE / 64];
} cpu_set_t;
#define CPU_ZERO(set) memset((set), 0, sizeof(cpu_set_t))
#define CPU_SET(cpu, set) ((void)((set)->bits[(cpu) / 64] |= 1UL << (cpu) % 64))
#define CPU_CLR(cpu, set) ((void)((set)->bits[(cpu) / 64] &= ~(1UL << (cpu) % 64)))
#define CPU_ISSET(cpu, set) ((int)((set)->bits[(cpu) / 64] >> (cpu) % 64 & 1))
#define CPU_COUNT(set) viv_cpu_count(set)

static inline int viv_cpu_count(const cpu_set_t *set)
{
    int count = 0;
    for (int i = 0; i < CPU_SETSIZE / 64; i++)
        count += __builtin_popcountl(set->bits[i]);
    return count;
}

/* The child runs fn(arg) on the given stack (its highest address) and exits with fn's result. */
int clone(int (*fn)(void *), void *stack, int flags, void *arg, ... /* ptid, tls, ctid */);
int unshare(int flags);
int setns(int fd, int kind);
int sched_yield(void);
int sched_getcpu(void);
int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set);
int sched_get_priority_max(int policy);
int sched_get_priority_min(int policy);

#endif
