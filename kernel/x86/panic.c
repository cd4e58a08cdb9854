// Panic: the kernel's own bug. Says what happened and where, stops every CPU.
#include "kernel/x86/log.h"

#include "kernel/lib/printf.h"
#include "kernel/lib/string.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/paging.h"
#include "kernel/x86/percpu.h"
#include "kernel/x86/power.h"
#include "kernel/x86/smp.h"
#include "kernel/x86/trap.h"

#define BACKTRACE_DEPTH 32

// Kernel symbols, made by tools/symbols.py between the two links; in the first link the table is
// empty.
struct symbol {
    u32 address; // minus KERNEL_BASE
    u32 name;    // offset in symbol_names
};

extern const u32 symbol_count;
extern const struct symbol symbols[];
extern const char symbol_names[];
extern char kernel_text_start[], kernel_text_end[];

static bool panicking;
static bool power_off_after;

void panic_set_power_off(bool on)
{
    power_off_after = on;
}

const char *symbol_lookup(u64 addr, u64 *offset)
{
    u32 low = 0, high = symbol_count;

    if (addr < (u64)kernel_text_start || addr >= (u64)kernel_text_end)
        return NULL;
    while (low < high) { // the first symbol above addr
        u32 middle = (low + high) / 2;
        if (symbols[middle].address + KERNEL_BASE <= addr)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    *offset = addr - KERNEL_BASE - symbols[low - 1].address;
    return symbol_names + symbols[low - 1].name;
}

// A return address may lie behind the end of its function, after a call that does not return: the
// call is looked up.
static void print_address(u64 addr, bool is_return)
{
    u64 offset = 0;
    const char *name = symbol_lookup(addr - is_return, &offset);

    if (name)
        kprintf("  0x%016lx %s+0x%lx\n", addr, name, offset + is_return);
    else
        kprintf("  0x%016lx ?\n", addr);
}

// A frame pointer that can be followed: in the kernel's image or in the direct map of RAM, aligned.
static bool frame_is_sane(u64 rbp)
{
    return rbp % 8 == 0 &&
           (rbp >= KERNEL_BASE || (rbp >= DIRECT_MAP && rbp < DIRECT_MAP + direct_map_size()));
}

void backtrace(u64 rip, u64 rbp)
{
    print_address(rip, false);
    for (int i = 0; i < BACKTRACE_DEPTH && frame_is_sane(rbp); i++) {
        const u64 *frame = (const u64 *)rbp;
        if (!frame[1])
            return;
        print_address(frame[1], true);
        if (frame[0] <= rbp) // stacks grow down: callers lie above
            return;
        rbp = frame[0];
    }
}

static void __noreturn stop_machine(void)
{
    if (power_off_after)
        power_off(1);
    for (;;) {
        cli();
        asm volatile("hlt");
    }
}

// Takes the machine for the report. A panic within a panic ends at once.
static void panic_begin(void)
{
    cli();
    if (__atomic_exchange_n(&panicking, true, __ATOMIC_ACQ_REL)) {
        log_raw("panic in panic\n", 15);
        stop_machine();
    }
    smp_stop_others();
}

static void panic_report(const char *fmt, va_list ap)
{
    char text[256];

    int len = vsnprintf(text, sizeof(text), fmt, ap);
    if (len > 0 && len < (int)sizeof(text) && text[len - 1] == '\n')
        text[len - 1] = '\0';
    kprintf("panic on CPU %u: %s\n", this_cpu()->id, text);
}

void panic(const char *fmt, ...)
{
    va_list ap;

    panic_begin();
    va_start(ap, fmt);
    panic_report(fmt, ap);
    va_end(ap);
    const u64 *frame = __builtin_frame_address(0);
    backtrace(frame[1] - 1, frame[0]);
    stop_machine();
}

void panic_frame(struct trapframe *tf, const char *fmt, ...)
{
    va_list ap;

    panic_begin();
    va_start(ap, fmt);
    panic_report(fmt, ap);
    va_end(ap);
    kprintf("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", tf->rax, tf->rbx, tf->rcx, tf->rdx);
    kprintf("rsi %016lx rdi %016lx rbp %016lx rsp %016lx\n", tf->rsi, tf->rdi, tf->rbp, tf->rsp);
    kprintf("r8  %016lx r9  %016lx r10 %016lx r11 %016lx\n", tf->r8, tf->r9, tf->r10, tf->r11);
    kprintf("r12 %016lx r13 %016lx r14 %016lx r15 %016lx\n", tf->r12, tf->r13, tf->r14, tf->r15);
    kprintf("rip %016lx cs %04lx rflags %08lx ss %04lx cr3 %lx\n", tf->rip, tf->cs, tf->rflags,
            tf->ss, read_cr3());
    backtrace(tf->rip, tf->rbp);
    stop_machine();
}
