#pragma once
/* The dice of the KVM fuzzer: what a random guest, a random ioctl and random memory are. */
#define OWN_MAIN
#include <asm/unistd.h>

#include "tests/guest/kvm_lib.h"

#include "tests/fuzz/rnd.h"

enum { MAX_CPUS = 3, MAX_FDS = 8, BUFFER = 8192, HOLE = 0x800000 };
#define NOWHERE 0xffff800000000000ull /* from here on are addresses that are not user space's */

/* How a round ends that went wrong. */
enum { BAD_FAULT = 3, BAD_REGISTERS, BAD_FPU };

struct totals {
    uint64_t guest_us, runs, ioctls;
};

/* What a round is about. mem is guest memory from 0; more descriptors come from random ioctls. */
struct target {
    int kvm, vm, vcpu[MAX_CPUS], vcpus;
    int more[MAX_FDS];
    struct kvm_run *run[MAX_CPUS];
    uint8_t *mem;
};

GUEST_CODE(good, 64, "mov $0x42, %al; out %al, $0x10; hlt");

/* ioctl, around which the registers that user mode owns are filled, and looked at afterwards. */
static int checked_ioctl(int fd, unsigned long request, uintptr_t arg)
{
    static __thread uint8_t before[512] __attribute__((aligned(16))),
        after[512] __attribute__((aligned(16)));
    long result = __NR_ioctl, b = (long)rnd();
    register long r12 __asm__("r12") = (long)rnd();
    register long r13 __asm__("r13") = ~r12;
    uint64_t b_after = (uint64_t)b;
    long r12_before = r12, r13_before = r13;

    __asm__ volatile("movq %[b], %%xmm0; movq %[b], %%xmm7; movq %[b], %%xmm15\n"
                     "fxsave64 %[before]\nsyscall\nfxsave64 %[after]"
                     : "+a"(result), "+b"(b_after), "+r"(r12),
                       "+r"(r13), [before] "=m"(before), [after] "=m"(after)
                     : "D"((long)fd), "S"(request), "d"(arg), [b] "r"(b)
                     : "rcx", "r11", "memory", "xmm0", "xmm7", "xmm15");
    if (b_after != (uint64_t)b || r12 != r12_before || r13 != r13_before)
        _exit(BAD_REGISTERS);
    if (memcmp(before, after, 416) != 0)
        _exit(BAD_FPU);
    if (result < 0) {
        errno = (int)-result;
        return -1;
    }
    return (int)result;
}

static void target_open(struct target *t)
{
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
    uint8_t *hole = mmap(NULL, RAM + 2 * HOLE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct vm v = vm_open_with(RAM, (int)(rnd() % 3));

    CHECK(hole != MAP_FAILED);
    munmap(v.mem, RAM);
    v.mem = mmap(hole + HOLE, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                 -1, 0);
    CHECK(v.mem == hole + HOLE);
    CHECK_OK(set_slot(v.vm, 0, 0, 0, NULL, 0));
    CHECK_OK(set_slot(v.vm, 0, 0, RAM, v.mem, 0));
    *t = (struct target){.kvm = v.kvm, .vm = v.vm, .vcpus = 1, .mem = v.mem};
    memset(t->more, -1, sizeof(t->more));
    t->vcpu[0] = v.vcpu;
    t->run[0] = v.run;
    set_supported_cpuid(&v);
    for (int want = 1 + (int)(rnd() % MAX_CPUS); t->vcpus < want; t->vcpus++) {
        v.vcpu = t->vcpu[t->vcpus] = ioctl(t->vm, KVM_CREATE_VCPU, t->vcpus);
        CHECK(v.vcpu >= 0);
        t->run[t->vcpus] = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, v.vcpu, 0);
        CHECK(t->run[t->vcpus] != MAP_FAILED);
        set_supported_cpuid(&v);
    }
    if (one_in(4))
        ioctl(t->vm, KVM_CREATE_PIT2, &pit);
}

/* -- guests -------------------------------------------------------------------------------------*/

/* Instructions that pure chance would find late. Not MOV to DR7: QEMU (7.2) ends by an assertion
 * when the delivery of an interrupt touches a data breakpoint. */
static const char *const spices[] = {
    "\x0f\x01\xd8", "\x0f\x01\xda",
    "\x0f\x01\xdd", "\x0f\x01\xdf", /* vmrun vmload clgi invlpga */
    "\x0f\x22\xc0", "\x0f\x22\xd8",
    "\x0f\x22\xe0", "\x44\x0f\x22\xc0", /* mov to cr0 cr3 cr4 cr8 */
    "\x0f\x23\xc0", "\x0f\x23\xf0",
    "\x0f\x21\xf8", "\x0f\x30", /* mov dr0 dr6, from dr7, wrmsr */
    "\x0f\x32",     "\x0f\xa2",
    "\x0f\x05",     "\x0f\x07", /* rdmsr cpuid syscall sysret */
    "\xf3\x6e",     "\xf3\x6c",
    "\xf3\xa4",     "\xf3\xaa", /* rep outsb insb movsb stosb */
    "\x0f\x01\xc1", "\x0f\x01\xd9",
    "\x0f\x01\xd1", "\xcf", /* vmcall vmmcall xsetbv iret */
    "\xfb\xf4",     "\xcc",
    "\x8e\xd0",     "\x0f\x00\xd8", /* sti hlt, int3, mov ss, ltr */
    "\x86\x03",     "\x01\x03",
    "\xc6\x03\x11", "\x0f\xb6\x03", /* on [rbx], which may be nowhere */
    "\xe6\x20",     "\xe6\x40",
    "\xe4\x61",     "\xe6\x43", /* 8259, 8254 */
    "\xa5",         "\xab",
    "\xee",         "\xec",
    "\xef",         "\xed", /* movs stos, out, in */
    "\x0f\xae\x03", "\x0f\xae\x0b",
    "\xdb\xe3",     "\x0f\x09", /* fxsave, fxrstor, fninit, wbinvd */
    "\x0f\xc7\xf0", "\x0f\x31",
    "\x0f\x01\x13", "\x0f\x01\x1b", /* rdrand rdtsc lgdt lidt */
};

/* Instructions after which code goes on: a guest of these runs long. */
static const char *const mild[] = {
    "\x01\xd8", "\x29\xc8", "\x31\xd2", "\xff\xc0", "\xd1\xe0", "\x0f\xaf\xc3",
    "\x89\xc1", "\x39\xd8", "\x85\xc0", "\x90",     "\xf7\xd8", "\x87\xca",
    "\x0f\xa2", "\xe6\x80", "\xe4\x80", "\x0f\x31",
};

static void put_code(uint8_t *at, size_t size)
{
    bool runs_long = one_in(2);

    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)rnd();
    for (size_t i = 0; i + 8 < size;) {
        const char *code = runs_long ? mild[rnd() % (sizeof(mild) / sizeof(mild[0]))]
                                     : spices[rnd() % (sizeof(spices) / sizeof(spices[0]))];
        memcpy(at + i, code, strlen(code));
        i += runs_long ? strlen(code) : strlen(code) + rnd() % 12;
    }
    at[size - 3] = 0xe9; /* back to the start: a 16-bit displacement, or one of 32 that is -size */
    int32_t back = -(int32_t)size - (one_in(2) ? 0 : 2);
    memcpy(at + size - 2, &back, 4);
}

/* PAE or 64-bit entries that lead to low memory, mostly. */
static void random_tables(uint8_t *mem)
{
    uint64_t *entry = (uint64_t *)(mem + TABLES);

    for (unsigned i = 0; i < 3 * 512; i++) {
        if (!one_in(4))
            continue;
        entry[i] = (rnd() % 0x40 << 12) | (rnd() & 0xff) | (one_in(2) ? 7 : 0);
        if (one_in(8))
            entry[i] |= odd_value();
    }
}

/* 4 MiB or 2 MiB pages, all of low memory one to one. */
static void straight_tables(uint8_t *mem, bool wide, bool pae)
{
    uint64_t *top = (uint64_t *)(mem + TABLES), *directory = top + 1024;

    for (uint32_t i = 0; i < 1024 && !pae; i++)
        ((uint32_t *)top)[i] = i << 22 | 0x83;
    if (!pae)
        return;
    for (unsigned i = 0; i < 4; i++)
        top[i] = (TABLES + (wide ? 0x1000 : 0x2000)) | (wide ? 3 : 1);
    top[512] = TABLES + 0x2003;
    for (uint64_t i = 0; i < 512; i++)
        directory[i] = i << 21 | 0x83;
}

/* Real mode, 32 bits, 32 bits paged, PAE or 64 bits. The vCPU may refuse: other threads have it,
 * too. */
static void start_random(struct vm *v)
{
    struct kvm_sregs s;
    unsigned mode = rnd() % 6;
    bool wide = mode >= 4, pae = mode >= 3;

    if (ioctl(v->vcpu, KVM_GET_SREGS, &s) < 0)
        return;
    s.cr0 = 0x10;
    s.cr4 = s.efer = s.cr8 = 0;
    s.cs.base = s.ds.base = s.es.base = s.ss.base = 0;
    s.cs.selector = s.ds.selector = s.es.selector = s.ss.selector = 0;
    memset(s.interrupt_bitmap, 0, sizeof(s.interrupt_bitmap));
    if (mode)
        set_flat(v, &s, wide);
    if (mode >= 2) {
        straight_tables(v->mem, wide, pae);
        s.cr3 = TABLES;
        s.cr4 = pae ? 0x620 : 0x10;
        s.efer = wide ? 0x500 : 0;
        s.cr0 = 0x80010033;
    }
    if (one_in(8))
        ((uint64_t *)&s)[rnd() % (sizeof(s) / 8)] = odd_value();
    ioctl(v->vcpu, KVM_SET_SREGS, &s);
}

static void random_guest(struct target *t, int cpu)
{
    struct vm v = {.vcpu = t->vcpu[cpu], .mem = t->mem};
    struct kvm_mp_state runnable = {.mp_state = KVM_MP_STATE_RUNNABLE};
    struct kvm_regs r = {.rip = CODE, .rflags = 2 | (rnd() & 0x200)};
    __u64 *const fields[] = {&r.rax, &r.rbx, &r.rcx, &r.rdx, &r.rsi, &r.rdi, &r.rbp, &r.r8, &r.r15};

    if (!one_in(4))
        ioctl(t->vcpu[cpu], KVM_SET_MP_STATE, &runnable);
    start_random(&v);
    for (unsigned vector = 0; vector < 32; vector++)
        set_gate64(&v, vector, CODE + rnd() % 256);
    put_code(t->mem + CODE, 1024);
    if (one_in(3))
        random_tables(t->mem);
    for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        *fields[i] = odd_value();
    r.rsp = one_in(4) ? odd_value() : STACK;
    ioctl(t->vcpu[cpu], KVM_SET_REGS, &r);
}

/* What a monitor answers to an exit; it may hand back anything. */
static void random_answer(struct kvm_run *run)
{
    if (run->exit_reason == KVM_EXIT_MMIO)
        for (unsigned i = 0; i < 8; i++)
            run->mmio.data[i] = (uint8_t)rnd();
    if (run->exit_reason == KVM_EXIT_IO)
        for (unsigned i = 0; i < 64; i++)
            ((uint64_t *)run)[512 + rnd() % 512] = rnd();
    run->request_interrupt_window = one_in(8);
    run->cr8 = one_in(8) ? rnd() : 0;
}
