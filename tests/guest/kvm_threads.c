/* A vCPU is a thread of its monitor: many VMs at once, on all CPUs, come and go, leak nothing, and
 * each sees its own memory (invariants 5, 8 and 10). */
#define LIMIT 50
#include "tests/guest/kvm_lib.h"

#include <pthread.h>
#include <signal.h>

/* Fills a page with a pattern from rbx, checks it, puts out what it counted; again and again. */
GUEST_CODE(
    pattern, 64,
    "1: mov $0x20000, %edi; mov $512, %ecx; mov %rbx, %rax; cld; rep stosq\n"
    "mov $0x20000, %esi; mov $512, %ecx; xor %edx, %edx\n"
    "2: lodsq; cmp %rbx, %rax; jne 3f; inc %edx; loop 2b\n"
    "3: mov %edx, %eax; out %eax, $0x10; mov %cr3, %rax; mov %rax, %cr3; rol $1, %rbx; jmp 1b");
GUEST_CODE(forever, 64, "1: incq 0x20000; jmp 1b");
GUEST_CODE(
    grow, 64,
    "mov $0x20000, %eax; 1: movl $1, (%rax); add $0x1000, %eax; cmp $0x200000, %eax; jb 1b; hlt");

static void run_pattern(uint64_t value, int rounds)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, pattern);
    start_64(&v);
    struct kvm_regs r = get_regs(&v);
    r.rbx = value;
    set_regs(&v, r);
    for (int i = 0; i < rounds; i++)
        CHECK_EQ(run_to_out(&v, 0x10), 512);
    vm_close(&v);
}

TEST(vms_side_by_side_see_their_own_memory)
{
    enum { VMS = 6, ROUNDS = 300 };
    pid_t child[VMS];
    int status;

    for (int i = 0; i < VMS; i++) {
        fflush(stdout);
        child[i] = fork();
        CHECK(child[i] >= 0);
        if (child[i] == 0) {
            run_pattern(0x1111111111111111ull * (unsigned)(i + 1), ROUNDS);
            _exit(0);
        }
    }
    for (int i = 0; i < VMS; i++) {
        CHECK_EQ(waitpid(child[i], &status, 0), child[i]);
        CHECK_EQ(status, 0);
    }
}

/* More VMs in one thread than address-space identifiers: each keeps its own translations. */
TEST(more_vms_than_asids_keep_their_memory)
{
    enum { VMS = 24, ROUNDS = 10 };
    static struct vm v[VMS];

    for (unsigned i = 0; i < VMS; i++) {
        v[i] = vm_open(RAM);
        LOAD(&v[i], pattern);
        start_64(&v[i]);
        struct kvm_regs r = get_regs(&v[i]);
        r.rbx = 0x0101010101010101ull * (i + 1);
        set_regs(&v[i], r);
    }
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < VMS; i++)
            CHECK_EQ(run_to_out(&v[i], 0x10), 512);
    for (unsigned i = 0; i < VMS; i++)
        vm_close(&v[i]);
}

static struct vm shared;
static volatile int kicks;

static void on_kick(int signal)
{
    kicks++;
    shared.run->immediate_exit = 1;
}

static void *run_thread(void *result)
{
    *(int *)result = ioctl(shared.vcpu, KVM_RUN, 0);
    *(int *)result = *(int *)result < 0 ? errno : 0;
    return NULL;
}

/* Runs `shared` in a thread of its own; returns when its guest is seen to count. */
static pthread_t run_shared(int *result)
{
    struct sigaction action = {.sa_handler = on_kick};
    pthread_t thread;

    CHECK_OK(sigaction(SIGUSR1, &action, NULL));
    shared = vm_open(RAM);
    LOAD(&shared, forever);
    start_64(&shared);
    CHECK_OK(pthread_create(&thread, NULL, run_thread, result));
    volatile uint64_t *count = (volatile uint64_t *)(shared.mem + 0x20000);
    for (long long end = now_ms() + 5000; *count < 1000 && now_ms() < end;)
        sleep_ms(1);
    CHECK(*count >= 1000);
    return thread;
}

/* The monitor's main thread kicks the vCPU's out of the guest, as Linux's monitors do. */
TEST(a_thread_runs_the_vcpu_and_another_stops_it)
{
    int result = -1;
    pthread_t thread = run_shared(&result);

    CHECK_OK(pthread_kill(thread, SIGUSR1));
    CHECK_OK(pthread_join(thread, NULL));
    CHECK_EQ(result, EINTR);
    CHECK_EQ(kicks, 1);
    vm_close(&shared);
}

/* A slot that is deleted while its VM runs in another thread is gone when the call returns. */
TEST(a_slot_can_be_deleted_while_the_vcpu_runs)
{
    int result = -1;
    pthread_t thread = run_shared(&result);
    volatile uint64_t *count = (volatile uint64_t *)(shared.mem + 0x20000);

    CHECK_OK(set_slot(shared.vm, 0, 0, 0, NULL, 0));
    uint64_t then = *count;
    sleep_ms(30);
    CHECK_EQ(*count, then);
    pthread_kill(thread, SIGUSR1);
    CHECK_OK(pthread_join(thread, NULL));
    vm_close(&shared);
}

static long free_kib(void)
{
    const char *at = strstr(read_file("/proc/meminfo"), "MemFree:");

    return at ? atol(at + strlen("MemFree:")) : -1;
}

static void come_and_go(int times)
{
    int status;

    for (int i = 0; i < times; i++) {
        struct vm v = vm_open(RAM);
        LOAD(&v, grow);
        start_64(&v);
        run_to_halt(&v);
        vm_close(&v);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) { /* one that is killed in mid-run, with everything open */
            struct vm w = vm_open(RAM);
            LOAD(&w, forever);
            start_64(&w);
            alarm(1);
            kill(getppid(), SIGUSR2);
            for (;;)
                ioctl(w.vcpu, KVM_RUN, 0);
        }
        sleep_ms(2);
        CHECK_OK(kill(child, SIGKILL));
        CHECK_EQ(waitpid(child, &status, 0), child);
    }
}

TEST(vms_that_end_leave_no_memory_behind)
{
    signal(SIGUSR2, SIG_IGN);
    come_and_go(3); /* caches fill */
    long before = free_kib();
    come_and_go(20);
    long lost = before - free_kib();
    if (lost >= 512)
        FAIL("expected less than 512 KiB to be gone after 40 VMs of 2 MiB, actual %ld KiB", lost);
}
