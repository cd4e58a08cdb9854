/* Threads as a C library makes them: clone with its flags, futexes, thread-local storage, and their
 * end. */
#include "tests/guest/test.h"
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <linux/futex.h>

static volatile int word;
static __thread int mine = 7;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static long futex(volatile int *at, int op, int value, const struct timespec *time, int value3)
{
    return syscall(SYS_futex, at, op, value, time, NULL, value3);
}

static void *tell_ids(void *arg)
{
    pid_t *ids = arg;
    ids[0] = getpid();
    ids[1] = gettid();
    ids[2] = getppid();
    ids[3] = mine++;
    return &ids[3];
}

TEST(thread_shares_the_process_and_has_its_own_id_and_storage)
{
    pid_t ids[4];
    void *result;
    pthread_t thread;
    CHECK_OK(pthread_create(&thread, NULL, tell_ids, ids));
    CHECK_OK(pthread_join(thread, &result));
    CHECK_EQ(ids[0], getpid());
    CHECK(ids[1] != gettid());
    CHECK_EQ(ids[2], getppid());
    CHECK_EQ(ids[3], 7);
    CHECK_EQ(mine, 7);
    CHECK_EQ((uintptr_t)result, (uintptr_t)&ids[3]);
    CHECK_ERR(kill(ids[1], 0), ESRCH);
}

static long counter;
static void *count_up(void *arg)
{
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

TEST(mutex_lets_one_in_at_a_time)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK_OK(pthread_create(&threads[i], NULL, count_up, NULL));
    for (int i = 0; i < 4; i++)
        CHECK_OK(pthread_join(threads[i], NULL));
    CHECK_EQ(counter, 80000);
}

static void *ping_pong(void *arg)
{
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&mutex);
        while (word % 2 == 0)
            pthread_cond_wait(&cond, &mutex);
        word++;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

TEST(condition_variables_wake_who_waits)
{
    pthread_t thread;
    CHECK_OK(pthread_create(&thread, NULL, ping_pong, NULL));
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&mutex);
        while (word % 2 == 1)
            pthread_cond_wait(&cond, &mutex);
        word++;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&mutex);
    }
    CHECK_OK(pthread_join(thread, NULL));
    CHECK_EQ(word, 1000);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 30000000;
    if (until.tv_nsec >= 1000000000)
        until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_mutex_lock(&mutex);
    CHECK_EQ(pthread_cond_timedwait(&cond, &mutex, &until), ETIMEDOUT);
}

TEST(futex_compares_before_it_waits_and_times_out)
{
    struct timespec wait = {0, 30000000};
    word = 5;
    CHECK_ERR(futex(&word, FUTEX_WAIT, 4, NULL, 0), EAGAIN);
    long long start = now_ms();
    CHECK_ERR(futex(&word, FUTEX_WAIT, 5, &wait, 0), ETIMEDOUT);
    CHECK(now_ms() - start >= 29);
    CHECK_EQ(futex(&word, FUTEX_WAKE, 10, NULL, 0), 0);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET, 5, &until, -1), ETIMEDOUT);
    CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET, 5, &until, 0), EINVAL);
}

static void *wait_for_word(void *arg)
{
    while (word == 0)
        futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, 0);
    return NULL;
}

TEST(futex_wakes_as_many_as_it_is_told)
{
    pthread_t threads[5];
    word = 0;
    for (int i = 0; i < 5; i++)
        CHECK_OK(pthread_create(&threads[i], NULL, wait_for_word, NULL));
    sleep_ms(50);
    CHECK_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 2, NULL, 0), 2); /* they look and wait again */
    sleep_ms(20);
    word = 1;
    CHECK_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 100, NULL, 0), 5);
    for (int i = 0; i < 5; i++)
        CHECK_OK(pthread_join(threads[i], NULL));
}

TEST(futex_in_shared_memory_works_across_processes)
{
    int status;
    volatile int *shared =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    if (pid == 0) {
        while (*shared == 0)
            futex(shared, FUTEX_WAIT, 0, NULL, 0);
        _exit(0);
    }
    sleep_ms(30);
    *shared = 1;
    CHECK_EQ(futex(shared, FUTEX_WAKE, 1, NULL, 0), 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
}

static void *exit_all(void *arg)
{
    exit(55);
}

TEST(exit_in_any_thread_ends_the_process)
{
    int status;
    pthread_t thread;
    IN_CHILD(status, pthread_create(&thread, NULL, exit_all, NULL); for (;;) pause());
    CHECK_EQ(status, 55 << 8);
}

static void *sleep_for_ever(void *arg)
{
    for (;;)
        pause();
    return NULL;
}

TEST(a_deadly_signal_ends_every_thread)
{
    int status;
    pthread_t thread;
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 4; i++)
            pthread_create(&thread, NULL, sleep_for_ever, NULL);
        sleep_for_ever(NULL);
    }
    sleep_ms(50);
    CHECK_OK(kill(pid, SIGTERM));
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WTERMSIG(status), SIGTERM);
}

static volatile pid_t handled_by;
static void note_thread(int sig)
{
    handled_by = gettid();
}

static volatile pid_t other_tid;
static void *publish_and_wait(void *arg)
{
    other_tid = gettid();
    while (word == 0)
        sleep_ms(5);
    return NULL;
}

TEST(tgkill_reaches_the_thread_that_is_meant)
{
    pthread_t thread;
    struct sigaction act = {.sa_handler = note_thread};
    sigaction(SIGUSR1, &act, NULL);
    word = 0;
    CHECK_OK(pthread_create(&thread, NULL, publish_and_wait, NULL));
    while (other_tid == 0)
        sleep_ms(1);
    CHECK_OK(tgkill(getpid(), other_tid, SIGUSR1));
    for (int i = 0; i < 1000 && handled_by == 0; i++)
        sleep_ms(1);
    CHECK_EQ(handled_by, other_tid);
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(handled_by, gettid());
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL); /* the process's signal goes to a thread that takes it */
    handled_by = 0;
    CHECK_OK(kill(getpid(), SIGUSR1));
    for (int i = 0; i < 1000 && handled_by == 0; i++)
        sleep_ms(1);
    CHECK_EQ(handled_by, other_tid);
    word = 1;
    CHECK_OK(pthread_join(thread, NULL));
}

static void *run_program(void *arg)
{
    char *argv[] = {"sh", "-c", "exit 21", NULL};
    execv("/bin/sh", argv);
    return NULL;
}

TEST(exec_in_a_thread_ends_the_others_and_keeps_the_pid)
{
    int status;
    pthread_t thread;
    IN_CHILD(status, pthread_create(&thread, NULL, sleep_for_ever, NULL);
             pthread_create(&thread, NULL, run_program, NULL); for (;;) pause());
    CHECK_EQ(status, 21 << 8);
}

static void *fork_in_thread(void *arg)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(access("/proc/self/task", F_OK) == 0 ? mine : 0);
    waitpid(pid, &status, 0);
    return (void *)(long)status;
}

TEST(fork_in_a_thread_copies_that_thread_alone)
{
    pthread_t thread;
    void *status;
    CHECK_OK(pthread_create(&thread, NULL, fork_in_thread, NULL));
    CHECK_OK(pthread_join(thread, &status));
    CHECK_EQ((long)status, 7 << 8);
}

static void *end_self(void *arg)
{
    pthread_exit(arg);
}

TEST(hundreds_of_threads_come_and_go)
{
    void *result;
    for (long i = 0; i < 300; i++) {
        pthread_t thread;
        CHECK_OK(pthread_create(&thread, NULL, end_self, (void *)i));
        if (i % 3 == 0) {
            CHECK_OK(pthread_detach(thread));
            continue;
        }
        CHECK_OK(pthread_join(thread, &result));
        CHECK_EQ((long)result, i);
    }
}

TEST(main_thread_may_end_first)
{
    int status;
    pthread_t thread;
    word = 0;
    pid_t pid = fork();
    if (pid == 0) {
        pthread_create(&thread, NULL, wait_for_word, NULL);
        if (fork() == 0)
            _exit(0);
        syscall(SYS_exit, 3);
    }
    sleep_ms(40);
    CHECK_EQ(waitpid(pid, &status, WNOHANG), 0); /* its other thread lives */
    CHECK_OK(kill(pid, 0));
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_EQ(waitpid(pid, &status, 0), pid);
}

TEST(clear_child_tid_is_zeroed_and_woken)
{
    static char stack[32768] __attribute__((aligned(16)));
    static volatile int tid;
    tid = -1;
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    CHECK(clone((int (*)(void *))(uintptr_t)sched_yield, stack + sizeof stack, flags, NULL, &tid,
                NULL, &tid) > 0);
    for (int now; (now = tid) != 0;)
        futex(&tid, FUTEX_WAIT, now, NULL, 0);
}

TEST(robust_list_can_be_set_and_asked)
{
    struct robust_list_head head = {{&head.list}, 0, NULL}, *got;
    size_t size;
    CHECK_OK(syscall(SYS_set_robust_list, &head, sizeof head));
    CHECK_OK(syscall(SYS_get_robust_list, 0, &got, &size));
    CHECK_EQ((uintptr_t)got, (uintptr_t)&head);
    CHECK_EQ(size, sizeof head);
    CHECK_ERR(syscall(SYS_set_robust_list, &head, 1), EINVAL);
}
