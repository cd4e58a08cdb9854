#pragma once
/*
 * What the tests of /dev/kvm share: a VM with one vCPU and memory from guest-physical 0, and the
 * four ways to start it. Guest code is assembled into the test program itself (GUEST_CODE) and
 * copied to CODE. Everything here is Linux's API, so a test runs on Linux as well.
 *
 * Guest memory below 64 KiB: GDT at 0x500, IDT at 0x6000, stack down from 0x6000, CODE; page tables
 * from 0x10000; free from FREE.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/guest/test.h"

enum {
    GDT = 0x500,
    IDT = 0x6000,
    STACK = 0x6000,
    CODE = 0x8000,
    TABLES = 0x10000,
    FREE = 0x20000,
    RAM = 0x200000, /* default size of memory */
};

/* name and name_end mark code in the test's own read-only data. bits is 16, 32 or 64. Inside, CODE
 * is where it will run. */
#define GUEST_CODE(name, bits, text)                                                               \
    extern const uint8_t name[], name##_end[];                                                     \
    __asm__(".pushsection .rodata.guest, \"a\"\n.code" #bits "\n" #name ":\n" text "\n" #name      \
            "_end:\n.popsection\n.code64\n")

struct vm {
    int kvm, vm, vcpu;
    struct kvm_run *run;
    uint8_t *mem;
    uint64_t size;
};

static inline int set_slot(int vm, uint32_t slot, uint64_t gpa, uint64_t size, const void *host,
                           uint32_t flags)
{
    struct kvm_userspace_memory_region r = {
        .slot = slot,
        .flags = flags,
        .guest_phys_addr = gpa,
        .memory_size = size,
        .userspace_addr = (uintptr_t)host,
    };
    return ioctl(vm, KVM_SET_USER_MEMORY_REGION, &r);
}

static inline void *anonymous(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED);
    return p;
}

enum {
    NO_CHIPS,
    PIC_ONLY,
    CHIPS
}; /* what the kernel has: nothing, interrupt chips, the 8254 too */

static inline struct vm vm_open_with(uint64_t size, int chips)
{
    struct vm v = {.size = size};
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};

    v.kvm = open("/dev/kvm", O_RDWR);
    CHECK(v.kvm >= 0);
    v.vm = ioctl(v.kvm, KVM_CREATE_VM, 0);
    CHECK(v.vm >= 0);
    v.mem = anonymous(size);
    CHECK(set_slot(v.vm, 0, 0, size, v.mem, 0) == 0);
    ioctl(v.vm, KVM_SET_TSS_ADDR, 0xfffbd000ul);
    if (chips >= PIC_ONLY)
        CHECK_OK(ioctl(v.vm, KVM_CREATE_IRQCHIP, 0));
    if (chips >= CHIPS)
        CHECK_OK(ioctl(v.vm, KVM_CREATE_PIT2, &pit));
    v.vcpu = ioctl(v.vm, KVM_CREATE_VCPU, 0);
    CHECK(v.vcpu >= 0);
    int run_size = ioctl(v.kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    CHECK(run_size >= (int)sizeof(*v.run));
    v.run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v.vcpu, 0);
    CHECK(v.run != MAP_FAILED);
    return v;
}

static inline struct vm vm_open(uint64_t size)
{
    return vm_open_with(size, NO_CHIPS);
}

static inline void vm_close(struct vm *v)
{
    munmap(v->run, (size_t)ioctl(v->kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
    close(v->vcpu);
    close(v->vm);
    close(v->kvm);
    munmap(v->mem, v->size);
}

static inline struct kvm_regs get_regs(struct vm *v)
{
    struct kvm_regs regs;

    CHECK(ioctl(v->vcpu, KVM_GET_REGS, &regs) == 0);
    return regs;
}

static inline void set_regs(struct vm *v, struct kvm_regs regs)
{
    CHECK(ioctl(v->vcpu, KVM_SET_REGS, &regs) == 0);
}

static inline struct kvm_sregs get_sregs(struct vm *v)
{
    struct kvm_sregs sregs;

    CHECK(ioctl(v->vcpu, KVM_GET_SREGS, &sregs) == 0);
    return sregs;
}

static inline void set_sregs(struct vm *v, struct kvm_sregs sregs)
{
    CHECK(ioctl(v->vcpu, KVM_SET_SREGS, &sregs) == 0);
}

static inline void start_at(struct vm *v, uint64_t rip)
{
    set_regs(v, (struct kvm_regs){.rip = rip, .rsp = STACK, .rflags = 2});
}

static inline void load(struct vm *v, const uint8_t *code, const uint8_t *end)
{
    CHECK((size_t)(end - code) <= TABLES - CODE);
    memcpy(v->mem + CODE, code, (size_t)(end - code));
}
#define LOAD(v, name) load(v, name, name##_end)

/* Real mode with all bases at 0. */
static inline void start_real(struct vm *v)
{
    struct kvm_sregs s = get_sregs(v);

    s.cs.base = s.ds.base = s.es.base = s.ss.base = 0;
    s.cs.selector = s.ds.selector = s.es.selector = s.ss.selector = 0;
    set_sregs(v, s);
    start_at(v, CODE);
}

static inline struct kvm_segment segment(unsigned selector, unsigned type, bool wide)
{
    return (struct kvm_segment){
        .limit = 0xffffffff,
        .selector = (uint16_t)selector,
        .type = (uint8_t)type,
        .present = 1,
        .s = 1,
        .g = 1,
        .db = !wide,
        .l = wide,
    };
}

/* Flat segments that fit the GDT at 0x500: 8 code, 0x10 data. */
static inline void set_flat(struct vm *v, struct kvm_sregs *s, bool wide)
{
    const uint64_t gdt[] = {0, wide ? 0x00af9b000000ffff : 0x00cf9b000000ffff, 0x00cf93000000ffff};

    memcpy(v->mem + GDT, gdt, sizeof(gdt));
    s->gdt.base = GDT;
    s->gdt.limit = sizeof(gdt) - 1;
    s->idt.base = IDT;
    s->idt.limit = 0xfff;
    s->cs = segment(8, 0xb, wide);
    s->ds = s->es = s->fs = s->gs = s->ss = segment(0x10, 3, false);
    s->cr0 |= 1;
}

static inline void start_32(struct vm *v)
{
    struct kvm_sregs s = get_sregs(v);

    set_flat(v, &s, false);
    set_sregs(v, s);
    start_at(v, CODE);
}

/* 32 bits with 4 MiB pages, all 4 GiB one to one. */
static inline void start_paged32(struct vm *v)
{
    struct kvm_sregs s = get_sregs(v);
    uint32_t *directory = (uint32_t *)(v->mem + TABLES);

    for (uint32_t i = 0; i < 1024; i++)
        directory[i] = i << 22 | 0x83;
    set_flat(v, &s, false);
    s.cr3 = TABLES;
    s.cr4 |= 0x10;
    s.cr0 |= 0x80000000;
    set_sregs(v, s);
    start_at(v, CODE);
}

/* 64 bits with 2 MiB pages, the first GiB one to one. SSE is on. */
static inline void start_64(struct vm *v)
{
    struct kvm_sregs s = get_sregs(v);
    uint64_t *pml4 = (uint64_t *)(v->mem + TABLES), *pdpt = pml4 + 512, *directory = pml4 + 1024;

    pml4[0] = TABLES + 0x1003;
    pdpt[0] = TABLES + 0x2003;
    for (uint64_t i = 0; i < 512; i++)
        directory[i] = i << 21 | 0x83;
    set_flat(v, &s, true);
    s.cr3 = TABLES;
    s.cr4 |= 0x620; /* PAE, OSFXSR, OSXMMEXCPT */
    s.efer = 0x500; /* LME, LMA */
    s.cr0 = 0x80010033;
    set_sregs(v, s);
    start_at(v, CODE);
}

/* A 64-bit interrupt gate in the IDT. */
static inline void set_gate64(struct vm *v, unsigned vector, uint64_t handler)
{
    uint64_t *gate = (uint64_t *)(v->mem + IDT) + 2 * vector;

    gate[0] = (handler & 0xffff) | 0x8ull << 16 | 0x8eull << 40 | (handler >> 16 & 0xffff) << 48;
    gate[1] = handler >> 32;
}

/* Runs up to the next exit; signals are not expected. */
static inline unsigned run(struct vm *v)
{
    CHECK(ioctl(v->vcpu, KVM_RUN, 0) == 0);
    return v->run->exit_reason;
}

/* Runs up to the next exit, which must be of this kind: a guest that went astray is not run on. */
static inline void run_to(struct vm *v, unsigned reason)
{
    CHECK_EQ(run(v), reason);
}

static inline void run_to_halt(struct vm *v)
{
    run_to(v, KVM_EXIT_HLT);
}

/* Runs up to one OUT and returns what was put out. */
static inline uint32_t run_to_out(struct vm *v, unsigned port)
{
    uint32_t value = 0;

    run_to(v, KVM_EXIT_IO);
    CHECK_EQ(v->run->io.direction, KVM_EXIT_IO_OUT);
    CHECK_EQ(v->run->io.port, port);
    memcpy(&value, (uint8_t *)v->run + v->run->io.data_offset, v->run->io.size);
    return value;
}

/* Gives the vCPU all that the host's KVM supports, but nesting. Without it a guest's processor has
 * no features to switch on. */
static inline void set_supported_cpuid(struct vm *v)
{
    enum { ENTRIES = 128 };
    struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + ENTRIES * sizeof(c->entries[0]));

    CHECK(c);
    c->nent = ENTRIES;
    CHECK(ioctl(v->kvm, KVM_GET_SUPPORTED_CPUID, c) == 0);
    for (uint32_t i = 0; i < c->nent; i++) {
        if (c->entries[i].function == 1)
            c->entries[i].ecx &= ~(1u << 5); /* VMX */
        if (c->entries[i].function == 0x80000001)
            c->entries[i].ecx &= ~(1u << 2); /* SVM */
    }
    CHECK(ioctl(v->vcpu, KVM_SET_CPUID2, c) == 0);
    free(c);
}
