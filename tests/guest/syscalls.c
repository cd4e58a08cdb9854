/* The edge of the system call interface itself. */
#include "tests/guest/test.h"
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

TEST(unknown_numbers_give_enosys)
{
    static const long numbers[] = {340,        400,        423, 470 + 100, 1000,
                                   0x3fffffff, 0x7fffffff, -1,  -4095,     1L << 32 | 1000};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        CHECK_ERR(syscall(numbers[i], 1, 2, 3, 4, 5, 6), ENOSYS);
}

TEST(every_number_answers)
{
    /* With nonsense for arguments every call must come back or end the child, none may hurt the
     * kernel. Left out are those that wait for ever, end or stop the child, or change the machine.
     */
    static const short left_out[] = {
        SYS_exit,          SYS_exit_group, SYS_pause,    SYS_rt_sigsuspend, SYS_reboot,
        SYS_vhangup,       SYS_fork,       SYS_vfork,    SYS_clone,         SYS_clone3,
        SYS_rt_sigreturn,  SYS_kill,       SYS_tkill,    SYS_tgkill,        SYS_sync,
        SYS_swapoff,       SYS_swapon,     SYS_iopl,     SYS_ioperm,        SYS_settimeofday,
        SYS_clock_settime, SYS_kexec_load, SYS_syslog,   SYS_acct,          SYS_unshare,
        SYS_setsid,        SYS_munlockall, SYS_mlockall, SYS_init_module,   SYS_delete_module,
        SYS_bpf,           SYS_quotactl};
    int status;
    for (int number = 0; number < 460; number++) {
        int skip = 0;
        for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++)
            skip |= left_out[i] == number;
        if (skip)
            continue;
        IN_CHILD(status, close(0); close(1); close(2); alarm(2);
                 syscall(number, -1L, -1L, -1L, -1L, -1L, -1L));
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
            FAIL("call %d did not come back", number);
    }
}

TEST(only_rcx_r11_and_rax_change)
{
    uint64_t in[12] = {0}, out[12];
    for (int i = 0; i < 12; i++)
        in[i] = 0x1111111111111111ULL * (unsigned)(i + 1);
    uint64_t *in_at = in, *out_at = out;
    __asm__ volatile(
        "push %%rbp\n push %%rbx\n"
        "mov %0, %%rcx\n push %1\n"
        "mov (%%rcx), %%rbx\n mov 8(%%rcx), %%rdx\n mov 16(%%rcx), %%rsi\n mov 24(%%rcx), %%rdi\n"
        "mov 32(%%rcx), %%rbp\n mov 40(%%rcx), %%r8\n mov 48(%%rcx), %%r9\n mov 56(%%rcx), %%r10\n"
        "mov 64(%%rcx), %%r12\n mov 72(%%rcx), %%r13\n mov 80(%%rcx), %%r14\n mov 88(%%rcx), "
        "%%r15\n"
        "mov %2, %%eax\n syscall\n pop %%rcx\n"
        "mov %%rbx, (%%rcx)\n mov %%rdx, 8(%%rcx)\n mov %%rsi, 16(%%rcx)\n mov %%rdi, 24(%%rcx)\n"
        "mov %%rbp, 32(%%rcx)\n mov %%r8, 40(%%rcx)\n mov %%r9, 48(%%rcx)\n mov %%r10, 56(%%rcx)\n"
        "mov %%r12, 64(%%rcx)\n mov %%r13, 72(%%rcx)\n mov %%r14, 80(%%rcx)\n mov %%r15, "
        "88(%%rcx)\n"
        "pop %%rbx\n pop %%rbp\n"
        : "+a"(in_at), "+d"(out_at)
        : "i"(SYS_getppid)
        : "rcx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory");
    for (int i = 0; i < 12; i++)
        CHECK_EQ(out[i], in[i]);
}

TEST(vector_registers_survive_calls_and_switches)
{
    float before[8] = {1, 2, 3, 4, 5, 6, 7, 8}, after[8];
    pid_t pid = fork();
    if (pid == 0)
        for (;;) {
            __asm__ volatile("xorps %%xmm0, %%xmm0; xorps %%xmm15, %%xmm15" : : : "xmm0", "xmm15");
            syscall(SYS_sched_yield);
        }
    for (int round = 0; round < 200; round++) {
        __asm__ volatile("movups (%0), %%xmm0\n movups 16(%0), %%xmm15\n mov %2, %%eax\n syscall\n"
                         "movups %%xmm0, (%1)\n movups %%xmm15, 16(%1)"
                         :
                         : "r"(before), "r"(after), "i"(SYS_sched_yield)
                         : "rax", "rcx", "r11", "xmm0", "xmm15", "memory");
        CHECK_EQ(memcmp(before, after, sizeof before), 0);
    }
    kill(pid, SIGKILL);
}

TEST(uname_says_linux_on_x86_64)
{
    struct utsname name;
    CHECK_OK(uname(&name));
    CHECK_STR(name.sysname, "Linux");
    CHECK_STR(name.machine, "x86_64");
    CHECK(name.release[0] >= '3' && name.nodename[0]);
}

TEST(thread_pointer_is_kept_per_thread_and_across_switches)
{
    static __thread int mine;
    mine = 41;
    int status;
    IN_CHILD(status, mine++; sleep_ms(20); CHECK_EQ(mine, 42));
    CHECK_EQ(status, 0);
    CHECK_EQ(mine, 41);
}
