/*
 * kvm SEED ROUNDS [MS IOCTLS]: everything that a monitor and its guest may do to /dev/kvm, at
 * random.
 *
 * A round is a process of its own with one VM and up to three vCPUs, each run by a thread: random
 * code in a random CPU mode, on page tables that may be random as well, random registers, random
 * answers to exits. Meanwhile other threads, as the round's dice say, send random ioctls to every
 * descriptor, scribble over the kvm_run pages, move and delete slots, unmap and protect the memory
 * below them, and fork. The round ends in good order or in the middle of it all.
 *
 * What is checked: every ioctl comes back with the host's registers as they were; a good VM still
 * runs after each round; and the second time that the same rounds have been run there is as much
 * free memory as after the first. With MS and IOCTLS rounds go on until guests have run
 * for so many milliseconds and so many ioctls are done.
 */
#define LIMIT 100000
#include "tests/fuzz/kvm_ioctls.h"

#include "tests/fuzz/free.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static struct totals *totals; /* shared by all rounds */
static uint64_t round_seed;
static struct target target;
static volatile bool stop;

static void on_signal(int signal)
{
    for (int i = 0; i < target.vcpus; i++)
        target.run[i]->immediate_exit = 1;
}

/* Guest memory that move_memory has taken away comes back when a thread of ours misses it. */
static void on_fault(int signal, siginfo_t *info, void *context)
{
    uint8_t *page = (uint8_t *)((uintptr_t)info->si_addr & ~0xfffull);

    if (page < target.mem || page >= target.mem + RAM)
        _exit(BAD_FAULT);
    mmap(page, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static uint64_t guest_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_THREAD, &usage);
    return (uint64_t)usage.ru_utime.tv_sec * 1000000 + (uint64_t)usage.ru_utime.tv_usec;
}

/* A vCPU's thread: guests one after the other, each for a few exits. */
static void *run_guests(void *arg)
{
    int cpu = (int)(intptr_t)arg;

    rnd_seed(round_seed, 100 + (uint64_t)cpu);
    for (int guest = 0; guest < 6 && !stop; guest++) {
        random_guest(&target, cpu);
        for (int i = 0; i < 30 && !stop; i++) {
            target.run[cpu]->immediate_exit = one_in(50);
            uint64_t before = guest_us();
            int result = checked_ioctl(target.vcpu[cpu], KVM_RUN, 0);
            __sync_fetch_and_add(&totals->guest_us, guest_us() - before);
            __sync_fetch_and_add(&totals->runs, 1);
            if (result < 0 && errno != EINTR && errno != EAGAIN)
                break;
            random_answer(target.run[cpu]);
            if (result == 0 && target.run[cpu]->exit_reason == KVM_EXIT_SHUTDOWN)
                break;
        }
    }
    return NULL;
}

static void *send_ioctls(void *arg)
{
    rnd_seed(round_seed, 200 + (uint64_t)(intptr_t)arg);
    while (!stop) {
        random_ioctl(&target);
        __sync_fetch_and_add(&totals->ioctls, 1);
    }
    return NULL;
}

static void *scribble(void *arg)
{
    rnd_seed(round_seed, 300);
    while (!stop) {
        uint64_t *words = (uint64_t *)target.run[rnd() % (unsigned)target.vcpus];
        words[rnd() % (one_in(2) ? 40 : 1024)] = odd_value();
        if (one_in(16))
            sched_yield();
    }
    return NULL;
}

static void *move_memory(void *arg)
{
    rnd_seed(round_seed, 400);
    while (!stop)
        random_memory(&target);
    return NULL;
}

/* Children with copies of everything, who may not touch the VM, and end as they like. */
static void *fork_children(void *arg)
{
    rnd_seed(round_seed, 500);
    while (!stop) {
        pid_t pid = fork();
        if (pid == 0) {
            target.mem[rnd() % RAM] = 1;
            checked_ioctl(target.vcpu[0], KVM_RUN, 0);
            _exit(0);
        }
        if (pid > 0)
            waitpid(pid, NULL, 0);
        sleep_ms(1);
    }
    return NULL;
}

/* One round, in its process. Signals make vCPUs leave guests that spin, and HLT. */
static void one_round(void)
{
    void *(*const disturbers[])(void *) = {send_ioctls, send_ioctls, scribble, move_memory,
                                           fork_children};
    pthread_t cpu[MAX_CPUS], disturber[5];
    int disturbing = 0;

    rnd_seed(round_seed, 0);
    struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    signal(SIGUSR1, on_signal);
    CHECK_OK(sigaction(SIGSEGV, &fault, NULL));
    CHECK_OK(sigaction(SIGBUS, &fault, NULL));
    target_open(&target);
    for (int i = 0; i < 5; i++)
        if (one_in(2))
            CHECK_OK(
                pthread_create(&disturber[disturbing++], NULL, disturbers[i], (void *)(intptr_t)i));
    for (int i = 0; i < target.vcpus; i++)
        CHECK_OK(pthread_create(&cpu[i], NULL, run_guests, (void *)(intptr_t)i));
    for (int tick = 0, ticks = 20 + (int)(rnd() % 60); tick < ticks; tick++) {
        sleep_ms(1 + (long)(rnd() % 2));
        for (int i = 0; i < target.vcpus; i++)
            pthread_kill(cpu[i], SIGUSR1);
    }
    if (one_in(3))
        _exit(0); /* with all threads at it */
    if (one_in(4))
        raise(SIGKILL);
    stop = true;
    for (int i = 0; i < target.vcpus; i++) {
        for (int left = 20; left; left--) { /* a thread that has ended takes no signal */
            pthread_kill(cpu[i], SIGUSR1);
            sleep_ms(1);
        }
    }
    _exit(0);
}

static void check_good_vm(void)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, good);
    start_64(&v);
    CHECK_EQ(run_to_out(&v, 0x10), 0x42);
    run_to_halt(&v);
    vm_close(&v);
}

/* Runs a round and waits until nobody of it is left: the last to go closes the pipe. */
static void do_round(uint64_t seed)
{
    int ends[2], status;
    char byte;

    CHECK_OK(pipe(ends));
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        setsid();
        round_seed = seed;
        one_round();
    }
    close(ends[1]);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    kill(-pid, SIGKILL);
    CHECK_EQ(read(ends[0], &byte, 1), 0);
    close(ends[0]);
    if (WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status) != SIGKILL)
        FAIL("round %llu: wait status %#x%s", (unsigned long long)seed, status,
             status == BAD_REGISTERS << 8 ? ": an ioctl changed general registers"
             : status == BAD_FPU << 8     ? ": an ioctl changed x87 or SSE registers"
             : status == BAD_FAULT << 8   ? ": a fault outside guest memory"
                                          : "");
    check_good_vm();
}

static void print_totals(uint64_t rounds)
{
    printf("%llu rounds, %llu runs, %llu ioctls, %llu ms in guest mode\n",
           (unsigned long long)rounds, (unsigned long long)totals->runs,
           (unsigned long long)totals->ioctls, (unsigned long long)totals->guest_us / 1000);
    fflush(stdout);
}

static uint64_t number(int argc, char **argv, int i, uint64_t otherwise)
{
    return argc > i ? strtoull(argv[i], NULL, 0) : otherwise;
}

int main(int argc, char **argv)
{
    uint64_t seed = number(argc, argv, 1, 1), rounds = number(argc, argv, 2, 10),
             us = number(argc, argv, 3, 0) * 1000, ioctls = number(argc, argv, 4, 0), done = 0;

    totals = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(totals != MAP_FAILED);
    printf("seed %llu\n", (unsigned long long)seed);
    for (uint64_t i = 0; i < rounds; i++) {
        if (i % 10 == 0)
            print_totals(i);
        do_round(seed + i);
    }
    long before = free_kib();
    while (done < rounds || totals->guest_us < us || totals->ioctls < ioctls) {
        do_round(seed + done++);
        if (done % 10 == 0)
            print_totals(rounds + done);
    }
    long lost = before - free_kib();
    print_totals(rounds + done);
    printf("%ld KiB of memory less than before\n", lost);
    CHECK(lost <= SLACK_KIB);
    return 0;
}
