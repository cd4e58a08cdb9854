/* What a program does wrong comes back to it as a signal, with the address and the reason. */
#include "tests/guest/test.h"
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static siginfo_t info_seen;
static sigjmp_buf escape;
#define COMMA ,
static volatile int sink;

static void escape_with(int sig, siginfo_t *info, void *context)
{
    info_seen = *info;
    siglongjmp(escape, 1);
}

static void catch_faults(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    struct sigaction act = {.sa_sigaction = escape_with, .sa_flags = SA_SIGINFO | SA_NODEFER};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        CHECK_OK(sigaction(signals[i], &act, NULL));
}

/* Run a statement that must fault: signal, code and address (0: any). */
#define FAULTS(signal, code, address, ...)                                                         \
    do {                                                                                           \
        info_seen = (siginfo_t){0};                                                                \
        if (sigsetjmp(escape, 1) == 0) {                                                           \
            __VA_ARGS__;                                                                           \
            FAIL("no signal from %s", #__VA_ARGS__);                                               \
        }                                                                                          \
        CHECK_EQ(info_seen.si_signo, signal);                                                      \
        if (code)                                                                                  \
            CHECK_EQ(info_seen.si_code, code);                                                     \
        if (address)                                                                               \
            CHECK_EQ((uintptr_t)info_seen.si_addr, (uintptr_t)(address));                          \
    } while (0)

#define TOUCH(address) (sink = *(volatile char *)(uintptr_t)(address))
#define POKE(address) (*(volatile char *)(uintptr_t)(address) = 1)

static char *map(size_t size, int prot)
{
    char *at = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(at != MAP_FAILED);
    return at;
}

TEST(access_to_what_is_not_mapped_is_maperr)
{
    catch_faults();
    FAULTS(SIGSEGV, SEGV_MAPERR, 0x123450, TOUCH(0x123450));
    FAULTS(SIGSEGV, SEGV_MAPERR, 0x123450, POKE(0x123450));
    FAULTS(SIGSEGV, SEGV_MAPERR, 0, TOUCH(sink));
    char *page = map(8192, PROT_READ | PROT_WRITE);
    POKE(page + 4096);
    CHECK_OK(munmap(page + 4096, 4096));
    POKE(page);
    FAULTS(SIGSEGV, SEGV_MAPERR, page + 4096, TOUCH(page + 4096));
}

TEST(access_against_the_protection_is_accerr)
{
    catch_faults();
    FAULTS(SIGSEGV, SEGV_ACCERR, (uintptr_t)catch_faults, POKE(catch_faults));
    char *page = map(4096, PROT_READ);
    TOUCH(page);
    FAULTS(SIGSEGV, SEGV_ACCERR, page + 7, POKE(page + 7));
    CHECK_OK(mprotect(page, 4096, PROT_NONE));
    FAULTS(SIGSEGV, SEGV_ACCERR, page, TOUCH(page));
    CHECK_OK(mprotect(page, 4096, PROT_READ | PROT_WRITE));
    POKE(page);
}

TEST(data_cannot_be_executed)
{
    catch_faults();
    unsigned char *page = (unsigned char *)map(4096, PROT_READ | PROT_WRITE);
    page[0] = 0xc3; /* ret */
    FAULTS(SIGSEGV, SEGV_ACCERR, page, ((void (*)(void))page)());
    unsigned char on_stack[16] = {0xc3};
    FAULTS(SIGSEGV, SEGV_ACCERR, (uintptr_t)on_stack, ((void (*)(void))(uintptr_t)on_stack)());
    CHECK_OK(mprotect(page, 4096, PROT_READ | PROT_EXEC));
    ((void (*)(void))page)();
}

TEST(the_kernel_is_out_of_reach)
{
    catch_faults();
    FAULTS(SIGSEGV, 0, 0, TOUCH(0xffffffff80000000));
    FAULTS(SIGSEGV, 0, 0, POKE(0xffff888000000000));
    FAULTS(SIGSEGV, 0, 0, TOUCH(0xfffffffffffff000));
    FAULTS(SIGSEGV, 0, 0, TOUCH(0x8000000000000000)); /* not canonical */
    FAULTS(SIGSEGV, 0, 0, ((void (*)(void))0xffffffff80000000)());
    FAULTS(SIGSEGV, 0, 0, ((void (*)(void))0x0000800000000000)());
}

TEST(bad_instructions_come_as_their_signals)
{
    catch_faults();
    FAULTS(SIGFPE, FPE_INTDIV, 0,
           __asm__ volatile("xor %%edx, %%edx; xor %%ecx, %%ecx; div %%ecx"
                            :
                            :
                            : "eax", "ecx", "edx"));
    FAULTS(SIGILL, 0, 0, __asm__ volatile("ud2"));
    FAULTS(SIGTRAP, 0, 0, __asm__ volatile("int3"));
    FAULTS(SIGSEGV, 0, 0, __asm__ volatile("cli"));
    FAULTS(SIGSEGV, 0, 0, __asm__ volatile("hlt"));
    FAULTS(SIGSEGV, 0, 0, __asm__ volatile("mov %%cr3, %%rax" : : : "rax"));
    FAULTS(SIGSEGV, 0, 0,
           __asm__ volatile("mov $0xc0000080, %%ecx; rdmsr"
                            :
                            :
                            : "rax", "rcx", "rdx"));
    FAULTS(SIGSEGV, 0, 0, __asm__ volatile("mov $0x10, %%eax; mov %%eax, %%ss" : : : "rax"));
    FAULTS(SIGSEGV, 0, 0, __asm__ volatile("in $0x60, %%al" : : : "rax"));
    FAULTS(SIGSEGV, 0, 0, __asm__ volatile("int $0x21"));
}

TEST(floating_point_errors_come_as_sigfpe_when_unmasked)
{
    catch_faults();
    unsigned short control = 0x37f & ~4; /* divide by zero unmasked */
    FAULTS(SIGFPE, FPE_FLTDIV, 0,
           __asm__ volatile("fldcw %0; fld1; fldz; fdivrp; fwait"
                            :
                            : "m"(control)
                            : "st", "st(1)"));
}

TEST(faults_kill_when_their_signal_is_blocked_or_ignored)
{
    int status;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGSEGV);
    IN_CHILD(status, signal(SIGSEGV, SIG_IGN); POKE(8 + sink));
    CHECK_EQ(WTERMSIG(status), SIGSEGV);
    IN_CHILD(status, sigprocmask(SIG_BLOCK, &set, NULL); POKE(8 + sink));
    CHECK_EQ(WTERMSIG(status), SIGSEGV);
}

TEST(shared_file_pages_past_the_end_are_sigbus)
{
    catch_faults();
    enter_scratch();
    CHECK_OK(write_file("f", "small"));
    int fd = open("f", O_RDWR);
    char *at = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(at != MAP_FAILED);
    TOUCH(at + 4095); /* the rest of the last page is zero */
    CHECK_EQ(at[4095], 0);
    FAULTS(SIGBUS, BUS_ADRERR, at + 4096, TOUCH(at + 4096));
    CHECK_OK(ftruncate(fd, 0));
    FAULTS(SIGBUS, BUS_ADRERR, at, TOUCH(at));
}

TEST(forged_signal_frames_do_not_raise_privilege)
{
    int status;
    IN_CHILD(status, __asm__ volatile("sub $4096, %%rsp\n mov %0, %%eax\n syscall\n ud2"
                                      :
                                      : "i"(SYS_rt_sigreturn)));
    CHECK(WIFSIGNALED(status));
}

/* A handler writes nonsense into the saved state; going back must fault in user mode, not in the
 * kernel. */
static int what_to_forge;
static void forge(int sig, siginfo_t *info, void *context)
{
    mcontext_t *saved = &((ucontext_t *)context)->uc_mcontext;
    if (what_to_forge == 0)
        saved->rip = 0xffffffff80000000;
    if (what_to_forge == 1)
        saved->rip = 0x8000000000000000;
    if (what_to_forge == 2)
        saved->cs = 0x10, saved->ss = 0x18;
    if (what_to_forge == 3)
        saved->eflags |= 0x3000 | 0x20000; /* IOPL 3, VM */
    if (what_to_forge == 4)
        saved->fpstate = (void *)0xffff888000000000;
    if (what_to_forge == 5)
        saved->rsp = 0x8000000000000000;
}

TEST(forged_contexts_only_hurt_the_forger)
{
    int status;
    for (what_to_forge = 0; what_to_forge < 6; what_to_forge++) {
        IN_CHILD(status, struct sigaction act = {.sa_sigaction = forge COMMA.sa_flags = SA_SIGINFO};
                 sigaction(SIGUSR1, &act, NULL); raise(SIGUSR1); __asm__ volatile("cli"));
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) != SIGUSR1);
    }
}

static void step_over(int sig, siginfo_t *info, void *context)
{
    ((ucontext_t *)context)->uc_mcontext.rip += 2;
    ((ucontext_t *)context)->uc_mcontext.rax = 77;
}

TEST(handler_can_repair_and_go_on)
{
    struct sigaction act = {.sa_sigaction = step_over, .sa_flags = SA_SIGINFO};
    unsigned long result;
    CHECK_OK(sigaction(SIGILL, &act, NULL));
    __asm__ volatile("xor %%eax, %%eax; ud2" : "=a"(result));
    CHECK_EQ(result, 77);
}
