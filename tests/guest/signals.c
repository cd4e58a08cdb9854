/* Signals: sending, handling, masking, and what they do to calls that sleep. */
#include "tests/guest/test.h"
#include <poll.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>

static volatile sig_atomic_t count, last;
static siginfo_t info_seen;

static void note(int sig)
{
    count++;
    last = sig;
}

static void note_info(int sig, siginfo_t *info, void *context)
{
    note(sig);
    info_seen = *info;
}

static void handle(int sig, void (*handler)(int), unsigned long flags)
{
    struct sigaction act = {.sa_handler = handler, .sa_flags = flags};
    CHECK_OK(sigaction(sig, &act, NULL));
}

static void handle_info(int sig, void (*handler)(int, siginfo_t *, void *), unsigned long flags)
{
    struct sigaction act = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};
    CHECK_OK(sigaction(sig, &act, NULL));
}

static sigset_t set_of(int sig)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    return set;
}

/* A child that sends us a signal after a while, and later another to end a call that sleeps on. */
static pid_t signal_later(int sig, long ms)
{
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        sleep_ms(ms);
        kill(parent, sig);
        _exit(0);
    }
    return pid;
}

TEST(handler_runs_and_the_program_goes_on)
{
    handle(SIGUSR1, note, 0);
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(count, 1);
    CHECK_EQ(last, SIGUSR1);
    CHECK_OK(kill(getpid(), SIGUSR1));
    CHECK_EQ(count, 2);
}

TEST(handler_keeps_every_register_of_the_program)
{
    handle(SIGALRM, note, 0);
    struct itimerval timer = {{0, 1000}, {0, 1000}};
    CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
    while (count < 20) {
        register uint64_t a __asm__("rbx") = 0x1111, b __asm__("r8") = 0x2222, c __asm__("r15") = 3;
        double x = 1.25;
        uint64_t flags;
        __asm__ volatile("stc\n1: dec %4\n jnz 1b\n pushf\n pop %3"
                         : "+r"(a), "+r"(b), "+r"(c), "=&r"(flags), "+c"((uint64_t){20000}),
                           "+x"(x));
        if (a != 0x1111 || b != 0x2222 || c != 3 || x != 1.25 || !(flags & 1))
            FAIL("registers changed after %d signals: %#lx %#lx %#lx %f %#lx", (int)count, (long)a,
                 (long)b, (long)c, x, (long)flags);
    }
}

TEST(handler_can_change_the_saved_registers)
{
    handle_info(SIGUSR1, note_info, 0);
    /* the raise below returns through the handler's frame; its own result must survive */
    for (int i = 0; i < 100; i++)
        CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(count, 100);
}

TEST(siginfo_tells_who_sent_it)
{
    handle_info(SIGUSR2, note_info, 0);
    CHECK_OK(kill(getpid(), SIGUSR2));
    CHECK_EQ(info_seen.si_signo, SIGUSR2);
    CHECK_EQ(info_seen.si_code, SI_USER);
    CHECK_EQ(info_seen.si_pid, getpid());
    CHECK_EQ(info_seen.si_uid, getuid());
    CHECK_OK(raise(SIGUSR2));
    CHECK_EQ(info_seen.si_code, SI_TKILL);
    CHECK_OK(sigqueue(getpid(), SIGUSR2, (union sigval){.sival_int = 1234}));
    CHECK_EQ(info_seen.si_code, SI_QUEUE);
    CHECK_EQ(info_seen.si_value.sival_int, 1234);
}

TEST(sigchld_tells_which_child_and_how)
{
    int status;
    sigset_t chld = set_of(SIGCHLD);
    handle_info(SIGCHLD, note_info, 0);
    sigprocmask(SIG_BLOCK, &chld, NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(6);
    sigset_t none;
    sigemptyset(&none);
    while (count == 0)
        CHECK_ERR(sigsuspend(&none), EINTR);
    CHECK_EQ(info_seen.si_pid, pid);
    CHECK_EQ(info_seen.si_code, CLD_EXITED);
    CHECK_EQ(info_seen.si_status, 6);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
}

TEST(blocked_signal_waits_until_it_is_unblocked)
{
    sigset_t set = set_of(SIGUSR1), pending, old;
    handle(SIGUSR1, note, 0);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, &old));
    CHECK(!sigismember(&old, SIGUSR1));
    raise(SIGUSR1);
    raise(SIGUSR1);
    CHECK_EQ(count, 0);
    CHECK_OK(sigpending(&pending));
    CHECK(sigismember(&pending, SIGUSR1));
    CHECK_OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
    CHECK_EQ(count, 1); /* an ordinary signal is not queued twice */
    CHECK_OK(sigpending(&pending));
    CHECK(!sigismember(&pending, SIGUSR1));
    CHECK_ERR(sigprocmask(77, &set, NULL), EINVAL);
}

TEST(real_time_signals_queue)
{
    sigset_t set = set_of(SIGRTMIN + 3);
    handle(SIGRTMIN + 3, note, 0);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 5; i++)
        CHECK_OK(kill(getpid(), SIGRTMIN + 3));
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    CHECK_EQ(count, 5);
}

TEST(kill_and_stop_cannot_be_blocked_or_handled)
{
    sigset_t all, now;
    sigfillset(&all);
    CHECK_OK(sigprocmask(SIG_SETMASK, &all, NULL));
    CHECK_OK(sigprocmask(SIG_SETMASK, NULL, &now));
    CHECK(!sigismember(&now, SIGKILL) && !sigismember(&now, SIGSTOP));
    CHECK(sigismember(&now, SIGTERM));
    struct sigaction act = {.sa_handler = note};
    CHECK_ERR(sigaction(SIGKILL, &act, NULL), EINVAL);
    CHECK_ERR(sigaction(SIGSTOP, &act, NULL), EINVAL);
    CHECK_ERR(sigaction(0, &act, NULL), EINVAL);
    CHECK_ERR(sigaction(65, &act, NULL), EINVAL);
    CHECK_OK(sigaction(SIGKILL, NULL, &act));
}

static volatile int depth, deepest;
static void nested(int sig)
{
    if (++depth > deepest)
        deepest = depth;
    if (count++ < 3)
        raise(SIGUSR1);
    depth--;
}

TEST(signal_is_blocked_in_its_own_handler_unless_nodefer)
{
    handle(SIGUSR1, nested, 0);
    raise(SIGUSR1);
    CHECK_EQ(deepest, 1);
    CHECK_EQ(count, 4);
    count = 0;
    handle(SIGUSR1, nested, SA_NODEFER);
    raise(SIGUSR1);
    CHECK_EQ(deepest, 4);
}

static void raise_second(int sig)
{
    raise(SIGUSR2);
    CHECK_EQ(count, 0); /* sa_mask holds it back */
}

TEST(sa_mask_holds_for_the_time_of_the_handler)
{
    struct sigaction act = {.sa_handler = raise_second, .sa_mask = set_of(SIGUSR2)};
    handle(SIGUSR2, note, 0);
    sigaction(SIGUSR1, &act, NULL);
    raise(SIGUSR1);
    CHECK_EQ(count, 1);
}

TEST(resethand_handles_once)
{
    struct sigaction now;
    handle(SIGUSR1, note, SA_RESETHAND);
    raise(SIGUSR1);
    CHECK_OK(sigaction(SIGUSR1, NULL, &now));
    CHECK(now.sa_handler == SIG_DFL);
    CHECK_EQ(count, 1);
}

TEST(default_actions_are_those_of_the_manual)
{
    static const int deadly[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGILL,  SIGTRAP, SIGABRT,
                                 SIGBUS,  SIGFPE,  SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE,
                                 SIGALRM, SIGTERM, SIGXCPU, SIGSYS};
    static const int harmless[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT};
    int status;
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) {
        IN_CHILD(status, raise(deadly[i]));
        if (!WIFSIGNALED(status) || WTERMSIG(status) != deadly[i])
            FAIL("signal %d: status %#x", deadly[i], status);
    }
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++) {
        IN_CHILD(status, raise(harmless[i]));
        CHECK_EQ(status, 0);
    }
}

TEST(sigpipe_kills_the_writer_of_a_pipe_without_reader)
{
    int fds[2], status;
    CHECK_OK(pipe(fds));
    close(fds[0]);
    IN_CHILD(status, (void)!write(fds[1], "x", 1));
    CHECK_EQ(WTERMSIG(status), SIGPIPE);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERR(write(fds[1], "x", 1), EPIPE);
}

TEST(kill_finds_processes_groups_and_nobody)
{
    int status;
    CHECK_OK(kill(getpid(), 0));
    CHECK_ERR(kill(0x3fffffff, 0), ESRCH);
    CHECK_ERR(kill(getpid(), 65), EINVAL);
    CHECK_ERR(kill(getpid(), -1), EINVAL);
    CHECK_ERR(tgkill(getpid(), 0x3fffffff, 0), ESRCH);
    CHECK_ERR(tgkill(getpid(), -1, 0), EINVAL);
    pid_t first = fork();
    if (first == 0) {
        setpgid(0, 0);
        for (;;)
            pause();
    }
    setpgid(first, first);
    pid_t second = fork();
    if (second == 0) {
        setpgid(0, first);
        for (;;)
            pause();
    }
    setpgid(second, first);
    CHECK_OK(kill(-first, SIGTERM));
    CHECK_EQ(waitpid(first, &status, 0), first);
    CHECK_EQ(status, SIGTERM);
    CHECK_EQ(waitpid(second, &status, 0), second);
    CHECK_EQ(status, SIGTERM);
    CHECK_ERR(killpg(first, 0), ESRCH);
}

TEST(interrupted_calls_give_eintr)
{
    char byte;
    int fds[2];
    CHECK_OK(pipe(fds));
    handle(SIGUSR1, note, 0);
    signal_later(SIGUSR1, 50);
    CHECK_ERR(read(fds[0], &byte, 1), EINTR);
    signal_later(SIGUSR1, 50);
    CHECK_ERR(pause(), EINTR);
    struct pollfd poll_fd = {fds[0], POLLIN, 0};
    signal_later(SIGUSR1, 50);
    CHECK_ERR(poll(&poll_fd, 1, 5000), EINTR);
    struct timespec want = {5, 0}, left = {0};
    signal_later(SIGUSR1, 50);
    CHECK_ERR(nanosleep(&want, &left), EINTR);
    CHECK(left.tv_sec == 4 && left.tv_nsec > 0);
    CHECK_EQ(count, 4);
}

TEST(restarted_calls_go_on)
{
    char byte = 0;
    int fds[2], status;
    CHECK_OK(pipe(fds));
    handle(SIGUSR1, note, SA_RESTART);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        sleep_ms(50);
        kill(parent, SIGUSR1);
        sleep_ms(50);
        CHECK_EQ(write(fds[1], "!", 1), 1);
        sleep_ms(50);
        kill(parent, SIGUSR1);
        sleep_ms(50);
        _exit(0);
    }
    CHECK_EQ(read(fds[0], &byte, 1), 1);
    CHECK_EQ(byte, '!');
    CHECK_EQ(count, 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(count, 2);
}

TEST(ignored_signals_do_not_interrupt)
{
    signal(SIGUSR1, SIG_IGN);
    pid_t pid = signal_later(SIGUSR1, 30);
    long long start = now_ms();
    struct timespec want = {0, 100000000};
    CHECK_OK(nanosleep(&want, NULL));
    CHECK(now_ms() - start >= 95);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

static volatile uintptr_t stack_in_handler;
static void note_stack(int sig)
{
    char here;
    stack_in_handler = (uintptr_t)&here;
}

TEST(alternate_stack_carries_the_handler)
{
    static char stack[SIGSTKSZ];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack}, old;
    CHECK_OK(sigaltstack(&alternate, &old));
    CHECK_EQ(old.ss_flags, SS_DISABLE);
    handle(SIGUSR1, note_stack, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK(stack_in_handler >= (uintptr_t)stack &&
          stack_in_handler < (uintptr_t)stack + sizeof stack);
    handle(SIGUSR1, note_stack, 0);
    raise(SIGUSR1);
    CHECK(stack_in_handler < (uintptr_t)stack ||
          stack_in_handler >= (uintptr_t)stack + sizeof stack);
    CHECK_OK(sigaltstack(NULL, &old));
    CHECK_EQ((uintptr_t)old.ss_sp, (uintptr_t)stack);
    alternate.ss_size = 100;
    CHECK_ERR(sigaltstack(&alternate, NULL), ENOMEM);
}

static sigjmp_buf escape;
static void escape_overflow(int sig, siginfo_t *info, void *context)
{
    info_seen = *info;
    siglongjmp(escape, 1);
}

static volatile int sink;
__attribute__((noinline)) static int recurse(int n)
{
    volatile char room[1024];
    room[n & 1023] = (char)n;
    return n > 1 << 30 ? 0 : recurse(n + 1) + room[5] + sink;
}

TEST(stack_overflow_is_a_sigsegv_that_the_alternate_stack_can_handle)
{
    static char stack[SIGSTKSZ];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    CHECK_OK(sigaltstack(&alternate, NULL));
    handle_info(SIGSEGV, escape_overflow, SA_ONSTACK | SA_NODEFER);
    if (sigsetjmp(escape, 1) == 0) {
        sink = recurse(0);
        FAIL("no signal");
    }
    CHECK_EQ(info_seen.si_signo, SIGSEGV);
}

TEST(handler_without_room_for_its_frame_kills)
{
    int status;
    handle(SIGUSR1, note, 0);
    IN_CHILD(status,
             __asm__ volatile("mov $8, %%rsp\n mov %0, %%eax\n syscall\n" /* getpid */
                              "mov %%eax, %%edi\n mov %1, %%esi\n mov %2, %%eax\n syscall\n ud2"
                              :
                              : "i"(SYS_getpid), "i"(SIGUSR1), "i"(SYS_kill)));
    CHECK_EQ(WTERMSIG(status), SIGSEGV);
}

TEST(sigtimedwait_takes_a_signal_or_times_out)
{
    sigset_t set = set_of(SIGUSR1);
    siginfo_t info;
    struct timespec wait = {0, 50000000};
    sigprocmask(SIG_BLOCK, &set, NULL);
    CHECK_ERR(sigtimedwait(&set, &info, &wait), EAGAIN);
    raise(SIGUSR1);
    CHECK_EQ(sigtimedwait(&set, &info, &wait), SIGUSR1);
    CHECK_EQ(info.si_signo, SIGUSR1);
    signal_later(SIGUSR1, 30);
    CHECK_EQ(sigwaitinfo(&set, NULL), SIGUSR1);
}

TEST(sigsuspend_opens_the_mask_and_puts_it_back)
{
    sigset_t set = set_of(SIGUSR1), none, now;
    sigemptyset(&none);
    handle(SIGUSR1, note, 0);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGUSR1);
    CHECK_ERR(sigsuspend(&none), EINTR);
    CHECK_EQ(count, 1);
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK(sigismember(&now, SIGUSR1));
}

TEST(alarm_and_itimer_deliver_sigalrm)
{
    handle(SIGALRM, note, 0);
    CHECK(alarm(5) > 0); /* the runner's limit was set */
    struct itimerval timer = {{0, 0}, {0, 30000}}, now;
    CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
    CHECK_OK(getitimer(ITIMER_REAL, &now));
    CHECK(now.it_value.tv_sec == 0 && now.it_value.tv_usec > 0);
    CHECK_ERR(pause(), EINTR);
    CHECK_EQ(count, 1);
    CHECK_EQ(alarm(0), 0);
}

TEST(stopped_process_waits_for_sigcont)
{
    int fds[2], status;
    char byte;
    CHECK_OK(pipe2(fds, O_NONBLOCK));
    pid_t pid = fork();
    if (pid == 0)
        for (;;) {
            (void)!write(fds[1], "x", 1);
            sleep_ms(5);
        }
    CHECK_OK(kill(pid, SIGSTOP));
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status));
    while (read(fds[0], &byte, 1) == 1)
        ;
    sleep_ms(50);
    CHECK_ERR(read(fds[0], &byte, 1), EAGAIN);
    CHECK_OK(kill(pid, SIGCONT));
    sleep_ms(100);
    CHECK_EQ(read(fds[0], &byte, 1), 1);
    CHECK_OK(kill(pid, SIGSTOP));
    CHECK_OK(kill(pid, SIGKILL)); /* ends it even so */
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WTERMSIG(status), SIGKILL);
}
