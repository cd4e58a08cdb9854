/* The types of pthread.h. */
#ifndef VIV_SYS__PTHREADTYPES_H
#define VIV_SYS__PTHREADTYPES_H

#include <sys/sched.h>

typedef struct thread *pthread_t;
typedef struct {
    unsigned long stack_size;
    int detached;
} pthread_attr_t;
typedef struct {
    int futex; /* 0 free, 1 taken, 2 taken and waited for */
    int recursive, owner, depth;
} pthread_mutex_t;
typedef struct {
    int recursive;
} pthread_mutexattr_t;
typedef struct {
    int sequence;
    int clock;
} pthread_cond_t;
typedef struct {
    int clock;
} pthread_condattr_t;
typedef int pthread_once_t;
typedef unsigned int pthread_key_t;

#endif
