/* Limits, usage and priorities. */
#ifndef VIV_SYS_RESOURCE_H
#define VIV_SYS_RESOURCE_H

#include <sys/time.h>
#include <sys/types.h>
#include <linux/resource.h>

typedef unsigned long rlim_t;

int getrlimit(int resource, struct rlimit *limit);
int setrlimit(int resource, const struct rlimit *limit);
int prlimit(pid_t pid, int resource, const struct rlimit *limit, struct rlimit *old);
int getrusage(int who, struct rusage *usage);
int getpriority(int which, id_t who);
int setpriority(int which, id_t who, int priority);

#endif
