/* Invariants 3 and 8: a guest that does not stop is stopped by signals and by the scheduler, and
 * the host's time goes on. */
#include "tests/guest/kvm_lib.h"

#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

GUEST_CODE(spin_off, 64, "cli; 1: jmp 1b");
GUEST_CODE(spin_on, 64, "sti; 1: jmp 1b");
GUEST_CODE(count_up, 64, "1: incq 0x20000; jmp 1b");
GUEST_CODE(storm, 64, "1: out %al, $0x10; jmp 1b");
GUEST_CODE(halts, 64, "1: hlt; jmp 1b");

static struct vm open_with(const uint8_t *code, const uint8_t *end)
{
    struct vm v = vm_open(RAM);

    load(&v, code, end);
    start_64(&v);
    return v;
}
#define OPEN(name) open_with(name, name##_end)

static volatile sig_atomic_t alarms;
static void on_alarm(int signal)
{
    alarms++;
}

static void ring_in_ms(unsigned ms)
{
    struct itimerval timer = {
        .it_value = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000 * 1000)}};

    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static void check_interrupted(struct vm *v)
{
    for (int i = 1; i <= 3; i++) {
        alarms = 0;
        long long start = now_ms();
        ring_in_ms(30);
        CHECK_ERR(ioctl(v->vcpu, KVM_RUN, 0), EINTR);
        CHECK_EQ(alarms, 1);
        CHECK_EQ(v->run->exit_reason, KVM_EXIT_INTR);
        long long took = now_ms() - start;
        CHECK(took >= 29 && took < 1000);
    }
}

TEST(a_signal_ends_a_run_that_would_not_end)
{
    struct sigaction action = {.sa_handler = on_alarm};

    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    struct vm v = OPEN(spin_on);
    check_interrupted(&v);
    vm_close(&v);
    v = OPEN(spin_off); /* the guest's interrupt flag is nothing to the host */
    check_interrupted(&v);
    vm_close(&v);
    action.sa_flags = SA_RESTART; /* KVM_RUN is not restarted */
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    v = OPEN(spin_on);
    check_interrupted(&v);
    vm_close(&v);
}

static struct kvm_run *alarmed_run;
static void on_alarm_leave(int signal)
{
    alarms++;
    alarmed_run->immediate_exit = 1;
}

TEST(a_signal_just_before_run_is_not_lost)
{
    struct sigaction action = {.sa_handler = on_alarm_leave};
    struct vm v = OPEN(spin_on);

    alarmed_run = v.run;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    CHECK(kill(getpid(), SIGALRM) == 0);
    CHECK_ERR(ioctl(v.vcpu, KVM_RUN, 0), EINTR);
    v.run->immediate_exit = 0;
    vm_close(&v);
}

TEST(blocked_signals_do_not_end_a_run)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct vm v = OPEN(storm);
    sigset_t set;

    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    alarms = 0;
    CHECK(kill(getpid(), SIGALRM) == 0);
    run_to(&v, KVM_EXIT_IO);
    CHECK_EQ(alarms, 0);
    CHECK(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
    CHECK_EQ(alarms, 1);
    vm_close(&v);
}

/* A child in the guest for good; ready when it writes. */
static pid_t start_child(const uint8_t *code, const uint8_t *end)
{
    int ready[2];
    char byte;

    CHECK(pipe(ready) == 0);
    pid_t child = fork();
    if (child == 0) {
        struct vm v = open_with(code, end);
        if (write(ready[1], "r", 1) != 1)
            _exit(3);
        for (;;)
            if (ioctl(v.vcpu, KVM_RUN, 0) < 0)
                _exit(4);
    }
    CHECK(child > 0 && read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void kill_child(pid_t child)
{
    int status;
    long long start = now_ms();

    CHECK(kill(child, SIGKILL) == 0);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    CHECK(now_ms() - start < 2000);
}

TEST(kill_ends_a_guest_whatever_it_does)
{
    pid_t children[] = {start_child(spin_off, spin_off_end), start_child(spin_on, spin_on_end),
                        start_child(storm, storm_end), start_child(halts, halts_end)};

    sleep_ms(50);
    for (unsigned i = 0; i < 4; i++)
        kill_child(children[i]);
}

TEST(others_progress_beside_spinning_guests)
{
    pid_t children[] = {start_child(spin_off, spin_off_end), start_child(spin_off, spin_off_end),
                        start_child(storm, storm_end)};
    long long start = now_ms();

    for (int i = 0; i < 10; i++)
        sleep_ms(10);
    long long took = now_ms() - start;
    CHECK(took >= 100);
    CHECK(took < 3000);
    struct vm v = OPEN(count_up); /* and another guest gets its turns as well */
    struct sigaction action = {.sa_handler = on_alarm};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    for (uint64_t last = 0, i = 0; i < 3; i++) {
        ring_in_ms(100);
        CHECK_ERR(ioctl(v.vcpu, KVM_RUN, 0), EINTR);
        uint64_t count = *(volatile uint64_t *)(v.mem + 0x20000);
        CHECK(count > last);
        last = count;
    }
    vm_close(&v);
    for (unsigned i = 0; i < 3; i++)
        kill_child(children[i]);
}

TEST(time_goes_on_while_a_guest_has_interrupts_off)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct vm v = OPEN(spin_off);
    time_t before = time(NULL);
    long long start = now_ms();

    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    ring_in_ms(1100);
    CHECK_ERR(ioctl(v.vcpu, KVM_RUN, 0), EINTR);
    CHECK(now_ms() - start >= 1099);
    CHECK(time(NULL) > before);
    vm_close(&v);
}
