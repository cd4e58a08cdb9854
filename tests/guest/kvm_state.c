/* Invariant 2: after an exit the host's processor state is the host's, and none of it leaks to the
 * guest. */
#include "tests/guest/kvm_lib.h"

#include <asm/prctl.h>
#include <sys/syscall.h>

static long arch_prctl_call(int code, unsigned long address)
{
    return syscall(SYS_arch_prctl, code, address);
}

static uint64_t base_of(int code)
{
    uint64_t base = 0;

    CHECK(arch_prctl_call(code, (unsigned long)&base) == 0);
    return base;
}

GUEST_CODE(bases, 64,
           "mov $0xc0000100, %ecx; mov $0x11110000, %eax; mov $0x7fff, %edx; wrmsr\n" /* FS base */
           "mov $0xc0000101, %ecx; mov $0x22220000, %eax; wrmsr\n"                    /* GS base */
           "mov $0xc0000102, %ecx; mov $0x33330000, %eax; wrmsr\n" /* kernel GS base */
           "out %al, $0x10; swapgs; out %al, $0x10\n"
           "mov $0xc0000101, %ecx; rdmsr; mov %eax, %ebx; hlt");

TEST(segment_bases_are_the_hosts_after_every_exit)
{
    static uint64_t mark = 0x600d;
    struct vm v = vm_open(RAM);
    uint64_t fs = base_of(ARCH_GET_FS), gs;

    set_supported_cpuid(&v);
    LOAD(&v, bases);
    start_64(&v);
    CHECK(arch_prctl_call(ARCH_SET_GS, (unsigned long)&mark) == 0);
    for (int i = 0; i < 3; i++) {
        run(&v);
        uint64_t seen;
        __asm__ volatile("mov %%gs:0, %0" : "=r"(seen));
        CHECK_EQ(seen, mark);
        gs = base_of(ARCH_GET_GS);
        CHECK_EQ(gs, &mark);
        CHECK_EQ(base_of(ARCH_GET_FS), fs);
    }
    CHECK_EQ(v.run->exit_reason, KVM_EXIT_HLT);
    CHECK_EQ(get_regs(&v).rbx, 0x33330000);
    CHECK_EQ(get_sregs(&v).fs.base, 0x7fff11110000);
    arch_prctl_call(ARCH_SET_GS, 0);
    vm_close(&v);
}

GUEST_CODE(syscall_msrs, 64,
           "mov $0xc0000081, %ecx; mov $0x00130008, %edx; xor %eax, %eax; wrmsr\n" /* STAR */
           "mov $0xc0000082, %ecx; xor %edx, %edx; mov $0x9000, %eax; wrmsr\n"     /* LSTAR */
           "mov $0xc0000083, %ecx; wrmsr\n"                                        /* CSTAR */
           "mov $0xc0000084, %ecx; mov $0x700, %eax; wrmsr\n"                      /* SFMASK */
           "mov $0x174, %ecx; mov $8, %eax; wrmsr\n" /* SYSENTER_CS, ESP, EIP */
           "mov $0x175, %ecx; mov $0x5000, %eax; wrmsr\n"
           "mov $0x176, %ecx; mov $0x9000, %eax; wrmsr\n"
           "out %al, $0x10; mov $0xc0000082, %ecx; rdmsr; hlt");

TEST(system_calls_still_reach_the_hosts_kernel)
{
    struct vm v = vm_open(RAM);
    pid_t pid = getpid();

    set_supported_cpuid(&v);
    LOAD(&v, syscall_msrs);
    start_64(&v);
    run_to_out(&v, 0x10);
    CHECK_EQ(syscall(SYS_getpid), pid);
    run_to_halt(&v);
    CHECK_EQ(get_regs(&v).rax, 0x9000); /* and the guest kept its own */
    vm_close(&v);
}

/* The whole x87/SSE state around one KVM_RUN, with nothing between but the system call. */
struct fpu_image {
    uint8_t bytes[512];
} __attribute__((aligned(16)));

static void run_with_fpu(struct vm *v, struct fpu_image *set, struct fpu_image *got)
{
    register long result __asm__("rax") = SYS_ioctl;
    register long fd __asm__("rdi") = v->vcpu;
    register long request __asm__("rsi") = KVM_RUN;
    register long argument __asm__("rdx") = 0;
    struct fpu_image saved;

    __asm__ volatile("fxsave64 %4\n fxrstor64 %5\n syscall\n fxsave64 %6\n fxrstor64 %4\n"
                     : "+r"(result), "+r"(fd), "+r"(request), "+r"(argument), "+m"(saved)
                     : "m"(*set), "m"(*got)
                     : "rcx", "r11", "memory");
    long returned = result; /* before a call takes the register */
    CHECK_EQ(returned, 0);
}

GUEST_CODE(clobber_fpu, 64,
           "movdqu %xmm0, 0x20000; movdqu %xmm15, 0x20010; stmxcsr 0x20020; fnstcw 0x20030\n"
           "mov $-1, %rax; movq %rax, %xmm0; movq %rax, %xmm15; movq %rax, %xmm7\n"
           "movl $0x1f00, 0x20040; ldmxcsr 0x20040\n"
           "fninit; fldpi; fldpi; movw $0x27f, 0x20050; fldcw 0x20050\n"
           "out %al, $0x10\n"
           "movdqu %xmm15, 0x20060; stmxcsr 0x20070; fnstcw 0x20080; hlt");

TEST(vector_and_x87_state_are_kept_apart)
{
    struct vm v = vm_open(RAM);
    struct fpu_image host, after;

    set_supported_cpuid(&v);
    LOAD(&v, clobber_fpu);
    start_64(&v);
    memset(&host, 0, sizeof(host));
    *(uint16_t *)(host.bytes + 0) = 0x037f;  /* FCW */
    *(uint32_t *)(host.bytes + 24) = 0x1fa0; /* MXCSR, inexact seen */
    memset(host.bytes + 160, 0xc7, 256);     /* XMM0-15 */
    memset(host.bytes + 32, 0x3d, 10);       /* ST0 */
    host.bytes[4] = 0x80;                    /* and it is in use */
    for (int i = 0; i < 2; i++) {
        memset(&after, 0, sizeof(after));
        run_with_fpu(&v, &host, &after);
        CHECK_EQ(*(uint16_t *)after.bytes, 0x037f);
        CHECK_EQ(*(uint32_t *)(after.bytes + 24), 0x1fa0);
        CHECK(!memcmp(after.bytes + 160, host.bytes + 160, 256));
        CHECK(!memcmp(after.bytes + 32, host.bytes + 32, 10));
    }
    CHECK_EQ(v.run->exit_reason, KVM_EXIT_HLT);
    for (int i = 0; i < 0x20; i++)
        CHECK_EQ(v.mem[0x20000 + i], 0); /* nothing of the host's 0xc7 */
    CHECK_EQ(*(uint32_t *)(v.mem + 0x20020), 0x1f80);
    CHECK_EQ(*(uint64_t *)(v.mem + 0x20060), UINT64_MAX); /* the guest's own survived the exit */
    CHECK_EQ(*(uint32_t *)(v.mem + 0x20070), 0x1f00);
    CHECK_EQ(*(uint16_t *)(v.mem + 0x20080), 0x27f);
    vm_close(&v);
}

GUEST_CODE(arm_debug, 64,
           "mov %dr7, %rcx\n"
           "mov %rbx, %dr0; mov %rbx, %dr1; mov %rbx, %dr2; mov %rbx, %dr3\n"
           "mov $0x4ff, %eax; mov %rax, %dr7; out %al, $0x10\n" /* break on execution, all four */
           "mov %dr0, %rdx; mov %dr7, %rsi; hlt");

static volatile int bait_taken;
static __attribute__((noinline)) void bait(void)
{
    bait_taken++;
}

TEST(a_guests_breakpoints_do_not_fire_in_the_host)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, arm_debug);
    start_64(&v);
    struct kvm_regs r = get_regs(&v);
    r.rbx = (uintptr_t)bait;
    set_regs(&v, r);
    run_to_out(&v, 0x10);
    bait(); /* SIGTRAP would end the test */
    run_to_halt(&v);
    bait();
    CHECK_EQ(bait_taken, 2);
    r = get_regs(&v);
    CHECK_EQ(r.rcx, 0x400);
    CHECK_EQ(r.rdx, (uintptr_t)bait);
    CHECK_EQ(r.rsi & 0xff, 0xff);
    vm_close(&v);
}

static uint64_t xcr0(void)
{
    uint32_t a = 1, b, c = 0, d;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(c & 1u << 27)) /* OSXSAVE */
        return 0;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (uint64_t)d << 32 | a;
}

GUEST_CODE(set_xcr0, 64,
           "mov $1, %eax; xor %ecx, %ecx; cpuid; test $0x4000000, %ecx; jz 1f\n"
           "mov %cr4, %rax; or $0x40000, %rax; mov %rax, %cr4\n"
           "xor %ecx, %ecx; xor %edx, %edx; mov $1, %eax; xsetbv\n"
           "1: out %al, $0x10; hlt");

TEST(xcr0_is_the_hosts_after_an_exit)
{
    struct vm v = vm_open(RAM);
    uint64_t before = xcr0();

    set_supported_cpuid(&v);
    LOAD(&v, set_xcr0);
    start_64(&v);
    run_to_out(&v, 0x10);
    CHECK_EQ(xcr0(), before);
    run_to_halt(&v);
    CHECK_EQ(xcr0(), before);
    vm_close(&v);
}

GUEST_CODE(
    all_registers, 64,
    "mov $-1, %rax; mov %rax, %rbx; mov %rax, %rcx; mov %rax, %rdx; mov %rax, %rsi; mov %rax, "
    "%rdi\n"
    "mov %rax, %rbp; mov %rax, %r8; mov %rax, %r9; mov %rax, %r10; mov %rax, %r11; mov %rax, %r12\n"
    "mov %rax, %r13; mov %rax, %r14; mov %rax, %r15; std; out %al, $0x10; hlt");

TEST(general_registers_and_flags_are_the_hosts)
{
    struct vm v = vm_open(RAM);
    uint64_t got[7], flags;

    LOAD(&v, all_registers);
    start_64(&v);
    __asm__ volatile(
        "push %%rbp; push %%rbx; sub $128, %%rsp\n"
        "mov $0x1b, %%rbx; mov $0x1c, %%rbp; mov $0x1d, %%r12; mov $0x1e, %%r13; mov $0x1f, %%r14\n"
        "mov $0x20, %%r15; syscall\n"
        "mov %%rbx, %%r8; mov %%rbp, %%r9; add $128, %%rsp; pop %%rbx; pop %%rbp\n"
        "mov %%r8, 0(%[got]); mov %%r9, 8(%[got]); mov %%r12, 16(%[got]); mov %%r13, 24(%[got])\n"
        "mov %%r14, 32(%[got]); mov %%r15, 40(%[got]); pushf; pop %%r8; mov %%r8, 48(%[got])\n"
        : "=a"(flags)
        : "a"((long)SYS_ioctl), "D"((long)v.vcpu), "S"((long)KVM_RUN), "d"(0l), [got] "r"(got)
        : "rcx", "r8", "r9", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
    for (unsigned i = 0; i < 6; i++)
        CHECK_EQ(got[i], 0x1b + i);
    CHECK_EQ(got[6] & 0x400, 0); /* the direction flag */
    CHECK_EQ(v.run->exit_reason, KVM_EXIT_IO);
    struct kvm_regs r = get_regs(&v);
    CHECK_EQ(r.r15, UINT64_MAX);
    CHECK_EQ(r.rflags & 0x400, 0x400);
    vm_close(&v);
}

/* CMPXCHG8B changes ZF alone; ADD has set SF and PF. The exit comes while the flags are young. */
GUEST_CODE(young_flags, 64,
           "pushf; popf; mov $-1, %rdi; xor %esi, %esi; mov %rsp, %rbp; push $0; push $0\n"
           "popf; add %rdi, %rsi; cmpxchg8b -16(%rbp); out %al, $0x10; hlt");

TEST(an_exit_finds_rflags_without_reserved_bits)
{
    struct vm v = vm_open(RAM);

    set_supported_cpuid(&v);
    LOAD(&v, young_flags);
    start_64(&v);
    for (int exit = 0; exit < 2; exit++) {
        run_to(&v, exit ? KVM_EXIT_HLT : KVM_EXIT_IO);
        CHECK_EQ(get_regs(&v).rflags & 0xffffffffffc0802a, 2);
        CHECK_EQ(get_regs(&v).rflags & 0x24500, 0); /* VM, NT, DF, TF */
    }
    vm_close(&v);
}
