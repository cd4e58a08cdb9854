/* pthreads over clone and futex, and the locks that newlib asks for.
 * A thread's mapping holds a guard page, its stack, and above that its TLS and struct thread; join
 * (or, for a detached thread, the thread itself) gives it back. Mutexes are the three-state kind:
 * free, taken, taken and waited for. */
#include "port.h"
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/lock.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <linux/futex.h>

#define STACK_SIZE (256UL << 10)
#define GUARD_SIZE 4096UL

static long futex(int *word, int op, int value, const struct timespec *timeout, unsigned int bits)
{
    return RAW(__NR_futex, word, op, value, timeout, NULL, bits);
}

static int thread_main(void *arg)
{
    struct thread *self = arg;
    pthread_exit(self->start(self->arg));
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
    size_t stack = attr && attr->stack_size ? attr->stack_size : STACK_SIZE;
    size_t size = (GUARD_SIZE + stack + viv_thread_size() + 4095) & ~4095UL;
    char *space = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (space == MAP_FAILED)
        return EAGAIN;
    mprotect(space, GUARD_SIZE, PROT_NONE);
    struct thread *made = viv_thread_init(space + size - viv_thread_size());
    made->canary = thread_self()->canary;
    made->stack = space;
    made->stack_size = size;
    made->start = start;
    made->arg = arg;
    made->detached = attr && attr->detached;
    made->reent = &made->own_reent;
    _REENT_INIT_PTR(made->reent);
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    *thread = made;
    char *top = space + size - viv_thread_size();
    if (clone(thread_main, top, flags, made, &made->tid, made, &made->tid) < 0) {
        int problem = errno;
        munmap(space, size);
        return problem;
    }
    return 0;
}

void pthread_exit(void *result)
{
    struct thread *self = thread_self();
    self->result = result;
    if (!self->stack) { /* the first thread: the others go on, and its block stays */
        fflush(NULL);
        RAW(__NR_exit, 0, 0, 0, 0, 0, 0);
    }
    _reclaim_reent(self->reent);
    if (__atomic_exchange_n(&self->detached, 1, __ATOMIC_ACQ_REL)) {
        RAW(__NR_set_tid_address, NULL, 0, 0, 0, 0, 0);
        viv_exit_thread(self->stack, self->stack_size);
    }
    RAW(__NR_exit, 0, 0, 0, 0, 0, 0);
    __builtin_unreachable();
}

int pthread_join(pthread_t thread, void **result)
{
    int tid;
    while ((tid = __atomic_load_n(&thread->tid, __ATOMIC_ACQUIRE)) != 0)
        futex(&thread->tid, FUTEX_WAIT, tid, NULL, 0);
    if (result)
        *result = thread->result;
    munmap(thread->stack, thread->stack_size);
    return 0;
}

int pthread_detach(pthread_t thread)
{
    if (__atomic_exchange_n(&thread->detached, 1, __ATOMIC_ACQ_REL))
        return pthread_join(thread, NULL);
    return 0;
}

pthread_t pthread_self(void)
{
    return thread_self();
}

int pthread_equal(pthread_t a, pthread_t b)
{
    return a == b;
}

int pthread_kill(pthread_t thread, int sig)
{
    return (int)-RAW(__NR_tgkill, getpid(), thread->tid, sig, 0, 0, 0);
}

int pthread_setname_np(pthread_t thread, const char *name)
{
    if (strlen(name) > 15)
        return ERANGE;
    return thread == thread_self() && prctl(PR_SET_NAME, name) == 0 ? 0 : ENOTSUP;
}

int pthread_attr_init(pthread_attr_t *attr)
{
    *attr = (pthread_attr_t){.stack_size = STACK_SIZE};
    return 0;
}

int pthread_attr_destroy(pthread_attr_t *attr)
{
    return 0;
}

int pthread_attr_setstacksize(pthread_attr_t *attr, size_t size)
{
    if (size < PTHREAD_STACK_MIN)
        return EINVAL;
    attr->stack_size = size;
    return 0;
}

int pthread_attr_setdetachstate(pthread_attr_t *attr, int state)
{
    attr->detached = state;
    return 0;
}

static void lock_word(int *word)
{
    int expected = 0;
    if (__atomic_compare_exchange_n(word, &expected, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    while (__atomic_exchange_n(word, 2, __ATOMIC_ACQUIRE) != 0)
        futex(word, FUTEX_WAIT, 2, NULL, 0);
}

static int try_word(int *word)
{
    int expected = 0;
    return __atomic_compare_exchange_n(word, &expected, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
               ? 0
               : EBUSY;
}

static void unlock_word(int *word)
{
    if (__atomic_exchange_n(word, 0, __ATOMIC_RELEASE) == 2)
        futex(word, FUTEX_WAKE, 1, NULL, 0);
}

int pthread_mutexattr_init(pthread_mutexattr_t *attr)
{
    attr->recursive = 0;
    return 0;
}

int pthread_mutexattr_destroy(pthread_mutexattr_t *attr)
{
    return 0;
}

int pthread_mutexattr_settype(pthread_mutexattr_t *attr, int type)
{
    attr->recursive = type == PTHREAD_MUTEX_RECURSIVE;
    return 0;
}

int pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr)
{
    *mutex = (pthread_mutex_t){.recursive = attr && attr->recursive};
    return 0;
}

int pthread_mutex_destroy(pthread_mutex_t *mutex)
{
    return 0;
}

/* A recursive mutex's owner may take it again. */
static int again(pthread_mutex_t *mutex)
{
    if (!mutex->recursive || mutex->owner != thread_self()->tid)
        return 0;
    mutex->depth++;
    return 1;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (again(mutex))
        return 0;
    lock_word(&mutex->futex);
    mutex->owner = thread_self()->tid;
    return 0;
}

int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    if (again(mutex))
        return 0;
    if (try_word(&mutex->futex))
        return EBUSY;
    mutex->owner = thread_self()->tid;
    return 0;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (mutex->depth > 0) {
        mutex->depth--;
        return 0;
    }
    mutex->owner = 0;
    unlock_word(&mutex->futex);
    return 0;
}

int pthread_condattr_init(pthread_condattr_t *attr)
{
    attr->clock = CLOCK_REALTIME;
    return 0;
}

int pthread_condattr_destroy(pthread_condattr_t *attr)
{
    return 0;
}

int pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock)
{
    attr->clock = clock;
    return 0;
}

int pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr)
{
    *cond = (pthread_cond_t){.clock = attr ? attr->clock : CLOCK_REALTIME};
    return 0;
}

int pthread_cond_destroy(pthread_cond_t *cond)
{
    return 0;
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                           const struct timespec *until)
{
    int sequence = __atomic_load_n(&cond->sequence, __ATOMIC_ACQUIRE);
    int op = FUTEX_WAIT_BITSET | (cond->clock == CLOCK_REALTIME ? FUTEX_CLOCK_REALTIME : 0);
    pthread_mutex_unlock(mutex);
    long result = futex(&cond->sequence, op, sequence, until, FUTEX_BITSET_MATCH_ANY);
    pthread_mutex_lock(mutex);
    return result == -ETIMEDOUT ? ETIMEDOUT : 0;
}

int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    return pthread_cond_timedwait(cond, mutex, NULL);
}

static int wake(pthread_cond_t *cond, int count)
{
    __atomic_add_fetch(&cond->sequence, 1, __ATOMIC_RELEASE);
    futex(&cond->sequence, FUTEX_WAKE, count, NULL, 0);
    return 0;
}

int pthread_cond_signal(pthread_cond_t *cond)
{
    return wake(cond, 1);
}

int pthread_cond_broadcast(pthread_cond_t *cond)
{
    return wake(cond, INT_MAX);
}

static int once_lock;
static unsigned int keys_made;

int pthread_once(pthread_once_t *once, void (*init)(void))
{
    if (__atomic_load_n(once, __ATOMIC_ACQUIRE))
        return 0;
    lock_word(&once_lock);
    if (!*once) {
        init();
        __atomic_store_n(once, 1, __ATOMIC_RELEASE);
    }
    unlock_word(&once_lock);
    return 0;
}

/* Destructors are not run: the programs here keep nothing there that must be freed. */
int pthread_key_create(pthread_key_t *key, void (*destroy)(void *))
{
    *key = __atomic_fetch_add(&keys_made, 1, __ATOMIC_RELAXED);
    return *key < sizeof thread_self()->specific / sizeof(void *) ? 0 : EAGAIN;
}

void *pthread_getspecific(pthread_key_t key)
{
    return thread_self()->specific[key];
}

int pthread_setspecific(pthread_key_t key, const void *value)
{
    thread_self()->specific[key] = (void *)(uintptr_t)value;
    return 0;
}
