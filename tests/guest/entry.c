/* The way into the kernel and back leaves a program's registers and flags alone. */
#include "tests/guest/test.h"
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

enum { REGISTERS = 12 };

TEST(system_calls_keep_all_registers_but_rax_rcx_and_r11)
{
    uint64_t seen[REGISTERS], *where = seen, rax = SYS_getppid;
    __asm__ volatile("sub $128, %%rsp\n push %%rbp\n push %%rbx\n push %[seen]\n"
                     "mov $0x1111111111111101, %%rbx\n mov $0x1111111111111102, %%rdx\n"
                     "mov $0x1111111111111103, %%rsi\n mov $0x1111111111111104, %%rdi\n"
                     "mov $0x1111111111111105, %%rbp\n mov $0x1111111111111106, %%r8\n"
                     "mov $0x1111111111111107, %%r9\n mov $0x1111111111111108, %%r10\n"
                     "mov $0x1111111111111109, %%r12\n mov $0x111111111111110a, %%r13\n"
                     "mov $0x111111111111110b, %%r14\n mov $0x111111111111110c, %%r15\n"
                     "syscall\n"
                     "pop %%r11\n"
                     "mov %%rbx, (%%r11)\n mov %%rdx, 8(%%r11)\n mov %%rsi, 16(%%r11)\n"
                     "mov %%rdi, 24(%%r11)\n mov %%rbp, 32(%%r11)\n mov %%r8, 40(%%r11)\n"
                     "mov %%r9, 48(%%r11)\n mov %%r10, 56(%%r11)\n mov %%r12, 64(%%r11)\n"
                     "mov %%r13, 72(%%r11)\n mov %%r14, 80(%%r11)\n mov %%r15, 88(%%r11)\n"
                     "pop %%rbx\n pop %%rbp\n add $128, %%rsp\n"
                     : "+a"(rax), [seen] "+c"(where)
                     :
                     : "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                       "memory");
    for (int i = 0; i < REGISTERS; i++)
        CHECK_EQ(seen[i], 0x1111111111111101 + i);
    CHECK_EQ(rax, getppid());
}

TEST(the_high_half_of_the_number_does_not_count)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(0x500000000 | SYS_getppid)
                     : "rcx", "r11", "memory");
    CHECK_EQ(result, getppid());
    CHECK_EQ(syscall(-1), -1);
    CHECK_EQ(errno, ENOSYS);
}

TEST(the_direction_flag_stays_the_programs_own)
{
    struct utsname name = {0};
    uint64_t flags;
    long result;
    __asm__ volatile("std\n syscall\n pushf\n pop %1\n cld"
                     : "=a"(result), "=r"(flags)
                     : "a"(SYS_uname), "D"(&name)
                     : "rcx", "r11", "memory");
    CHECK_EQ(result, 0);
    CHECK(flags & 0x400);
    CHECK(name.sysname[0] && name.machine[0] == 'x');
}

/* Alignment check, nested task, identification: flags that user mode may set. */
TEST(odd_flags_survive_calls_and_faults)
{
    const uint64_t odd = 0x40000 | 0x4000 | 0x200000;
    volatile char *page =
        mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t after_call, after_fault;
    __asm__ volatile("sub $128, %%rsp\n"
                     "pushf\n pushf\n or %[odd], (%%rsp)\n popf\n"
                     "mov %[number], %%eax\n syscall\n"
                     "pushf\n pop %[call]\n"
                     "movb $1, (%[page])\n"
                     "pushf\n pop %[fault]\n"
                     "popf\n add $128, %%rsp\n"
                     : [call] "=&r"(after_call), [fault] "=&r"(after_fault)
                     : [odd] "r"(odd), [page] "r"(page), [number] "i"(SYS_getppid)
                     : "rax", "rcx", "r11", "memory", "cc");
    CHECK_EQ(after_call & odd, odd);
    CHECK_EQ(after_fault & odd, odd);
}

static volatile int steps;

static void count_step(int sig)
{
    steps++;
}

TEST(single_steps_go_over_a_system_call)
{
    long result;
    signal(SIGTRAP, count_step);
    __asm__ volatile("sub $128, %%rsp\n"
                     "pushf\n orl $0x100, (%%rsp)\n popf\n"
                     "mov %[number], %%eax\n syscall\n nop\n nop\n"
                     "pushf\n andl $~0x100, (%%rsp)\n popf\n"
                     "add $128, %%rsp\n"
                     : "=&a"(result)
                     : [number] "i"(SYS_getppid)
                     : "rcx", "r11", "memory", "cc");
    CHECK_EQ(result, getppid());
    CHECK(steps >= 6);
}

static sigjmp_buf escape;

static void escape_with(int sig)
{
    siglongjmp(escape, sig);
}

/* Every selector that is not a program's own. */
TEST(selectors_of_the_kernel_cannot_be_loaded)
{
    signal(SIGSEGV, escape_with);
    signal(SIGBUS, escape_with);
    for (volatile unsigned selector = 8; selector < 0x80; selector += 8) {
        uint16_t cs;
        __asm__ volatile("mov %%cs, %0" : "=r"(cs));
        if (selector == (cs & ~7u) || sigsetjmp(escape, 1))
            continue;
        __asm__ volatile("push %q0\n lea 1f(%%rip), %%rcx\n push %%rcx\n lretq\n 1:"
                         :
                         : "r"((uint64_t)selector)
                         : "rcx", "memory");
        FAIL("jumped to selector %#x", selector);
    }
}

/* Keeps a pattern of its own in vector registers while others run, and looks at it all the time. */
static void hold_vectors(uint64_t pattern)
{
    struct timespec start, now;
    uint64_t low, high;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        __asm__ volatile("movq %2, %%xmm7\n movq %2, %%xmm15\n fninit\n fldpi\n fldl2e\n"
                         "mov $30000, %%ecx\n 1: dec %%ecx\n jnz 1b\n"
                         "movq %%xmm7, %0\n movq %%xmm15, %1\n faddp\n fstp %%st\n"
                         : "=r"(low), "=r"(high)
                         : "r"(pattern)
                         : "rcx", "xmm7", "xmm15", "st", "st(1)", "cc");
        CHECK_EQ(low, pattern);
        CHECK_EQ(high, pattern);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < 200);
}

TEST(vector_registers_are_a_tasks_own)
{
    enum { CHILDREN = 4 };
    for (uint64_t i = 1; i <= CHILDREN; i++) {
        if (spawn() == 0) {
            hold_vectors(i * 0x0101010101010101);
            _exit(0);
        }
    }
    for (int i = 0; i < CHILDREN; i++) {
        int status;
        CHECK(wait(&status) > 0);
        CHECK_EQ(status, 0);
    }
}
