/*
 * A small 32-bit kernel for the three ways of running one: interpretation, translation, the CPU's
 * own guest mode. It prints one line for each thing tried; all three must print the same. With
 * `work=N` it computes only, with `calls=N` it only calls, with `sensitive=N` it only executes N
 * sensitive instructions, for the bench.
 */
#include "tests/guests/ia32/lib/lib.h"

enum { HZ = 200, TICKS = 5, INTERRUPT = 32 };

static volatile uint32_t ticks, vector_seen, error_seen, eip_seen, skip, steps, flags_inside;

/* Numbers and flags of what the compiler makes: sorting, division, 64-bit sums. */
static uint32_t compute(uint32_t rounds)
{
    static uint32_t numbers[256];
    uint32_t sum = 2166136261u, seed = 1;
    uint64_t wide = 0;

    for (uint32_t round = 0; round < rounds; round++) {
        for (int i = 0; i < 256; i++)
            numbers[i] = seed = seed * 1103515245 + 12345;
        for (int i = 1; i < 32; i++)
            for (int j = i; j && numbers[j - 1] > numbers[j]; j--) {
                uint32_t t = numbers[j];
                numbers[j] = numbers[j - 1];
                numbers[j - 1] = t;
            }
        for (int i = 0; i < 256; i++) {
            wide += (uint64_t)numbers[i] * (uint32_t)i;
            sum = mix(sum, numbers[i] / (uint32_t)(i + 3) ^ (uint32_t)((int32_t)numbers[i] % 1000));
        }
    }
    return mix(mix(sum, (uint32_t)wide), (uint32_t)(wide >> 32));
}

/* Calls, returns and calls by pointer. */
static __attribute__((noinline)) uint32_t fibonacci(uint32_t n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint32_t plus(uint32_t a)
{
    return a + 7;
}

static uint32_t times(uint32_t a)
{
    return a * 3;
}

static uint32_t call_by_pointer(uint32_t n)
{
    static uint32_t (*volatile table[])(uint32_t) = {plus, times};
    uint32_t value = 1;

    for (uint32_t i = 0; i < n; i++)
        value = table[i & 1](value);
    return value;
}

static uint32_t calls(uint32_t n)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < n; i++)
        sum += fibonacci(10) + call_by_pointer(20);
    return sum;
}

/* What a kernel does all the time: switches interrupts off and on again. */
static void sensitive(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        __asm__ volatile("pushf; cli; mov %%cr0, %%eax; popf" : : : "eax", "memory");
}

static void device(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        inb(0x21);
}

static void remember(struct trap *t)
{
    if (t->vector == INTERRUPT) {
        ticks++;
        timer_done();
        return;
    }
    steps += t->vector == 1;
    vector_seen = t->vector;
    error_seen = t->error;
    __asm__ volatile("pushf; pop %0" : "=r"(flags_inside));
    eip_seen = t->eip;
    t->eip += skip;
}

/* Executes `code`, whose last instruction is to raise an exception; `length` is that instruction's
 * if it must be skipped, 0 if the exception comes behind it. Prints vector, error and EIP's
 * distance. */
#define TRY(name, length, before, code)                                                            \
    do {                                                                                           \
        skip = length;                                                                             \
        eip_seen = 0;                                                                              \
        vector_seen = 99;                                                                          \
        error_seen = 0;                                                                            \
        uint32_t here;                                                                             \
        __asm__ volatile(before "\n\tmovl $1f, %0\n1:\t" code                                      \
                         : "=m"(here)                                                              \
                         :                                                                         \
                         : "eax", "ecx", "edx", "memory", "cc");                                   \
        report(name, here);                                                                        \
    } while (0)

static void report(const char *name, uint32_t here)
{
    uint32_t distance = eip_seen ? (eip_seen - here) & 0xfff : 0;
    print_value(name, vector_seen << 24 | (error_seen & 0xfff) << 12 | distance);
}

static void exceptions(void)
{
    TRY("divide by zero", 2, "xor %%ecx, %%ecx", "div %%ecx");
    TRY("quotient too large", 2, "mov $5, %%edx; mov $5, %%ecx", "div %%ecx");
    TRY("signed quotient too large", 2, "mov $0x80000000, %%eax; cltd; mov $-1, %%ecx",
        "idiv %%ecx");
    TRY("breakpoint", 0, "", "int3");
    TRY("interrupt 48", 0, "", "int $48");
    TRY("overflow", 0, "mov $0x7fffffff, %%eax; inc %%eax", "into");
    TRY("no overflow", 0, "xor %%eax, %%eax", "into");
    TRY("invalid opcode", 2, "", "ud2");
    TRY("LEA of a register", 2, "", ".byte 0x8d, 0xc0");
    TRY("LOCK of a register", 3, "", ".byte 0xf0, 0x01, 0xc8");
    TRY("interrupt without a gate", 2, "", "int $0x60");
    TRY("selector beyond the table", 2, "mov $0x48, %%eax", "mov %%eax, %%es");
    TRY("null stack segment", 2, "xor %%eax, %%eax", "mov %%eax, %%ss");
}

/* PUSHF; the flags are set; POPF: traps behind each instruction that begins with TF set. */
static void single_step(void)
{
    skip = 0;
    steps = 0;
    __asm__ volatile("pushf; orl $0x100, (%%esp); popf\n\t"
                     "nop; inc %%eax; call 1f; 1: pop %%eax\n\t"
                     "pushf; andl $~0x100, (%%esp); popf"
                     :
                     :
                     : "eax", "memory", "cc");
    print_value("single steps", steps);
}

/* Code that is written, run, written again. */
static void self_modifying(void)
{
    static uint8_t code[8192] __attribute__((aligned(4096)));
    uint32_t (*const run)(void) = (uint32_t(*)(void))(uint32_t)code;
    uint32_t sum = 0, value;

    for (uint32_t i = 0; i < 20; i++) { /* mov $i, %eax; ret */
        code[0] = 0xb8;
        *(volatile uint32_t *)(code + 1) = i * i;
        code[5] = 0xc3;
        sum = mix(sum, run());
    }
    print_value("written code", sum);
    for (uint32_t i = 0; i < 20; i++) { /* the same over the border of two pages */
        uint8_t *at = code + 4096 - 3;
        at[0] = 0xb8;
        *(volatile uint32_t *)(at + 1) = i * i;
        at[5] = 0xc3;
        sum = mix(sum, ((uint32_t(*)(void))(uint32_t)at)());
    }
    print_value("code over two pages", sum);
    /* it overwrites an immediate, and jumps there as SDM 3, 9.1.3 wants */
    __asm__ volatile("jmp 1f; .balign 4096\n"
                     "1:\tmov $5, %%ecx\n"
                     "2:\tmov %%ecx, 3f + 1\n\t"
                     "jmp 3f\n"
                     "3:\tmov $77, %%edx\n\t"
                     "imul $10, %%eax; add %%edx, %%eax\n\t"
                     "loop 2b"
                     : "=a"(value)
                     : "a"(0)
                     : "ecx", "edx", "memory", "cc");
    print_value("code that overwrites itself", value);
    static const uint8_t two[2][6] = {{0xb8, 1, 0, 0, 0, 0xc3}, {0xb8, 2, 0, 0, 0, 0xc3}};
    for (int i = 0; i < 4; i++) {
        const uint8_t *from = two[i & 1];
        uint8_t *to = code;
        uint32_t count = 6;
        __asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
        sum = mix(sum, run());
    }
    print_value("copied code", sum);
}

/* What a program in user mode could not do, or would do wrongly without a trap. */
static void sensitive_state(void)
{
    struct {
        uint16_t limit;
        uint32_t base;
    } __attribute__((packed)) t;
    uint32_t on, off, value;

    __asm__ volatile("sti; pushf; pop %0; cli; pushf; pop %1" : "=r"(on), "=r"(off));
    print_value("interrupt flag on", on & 0x200);
    print_value("interrupt flag off", off & 0x200);
    skip = 0;
    __asm__ volatile("sti; int $48; pushf; pop %0; cli" : "=r"(on));
    print_value("interrupt flag in a handler", flags_inside & 0x200);
    print_value("interrupt flag behind it", on & 0x200);
    __asm__ volatile(
        "mov %%esp, %1; lea -40(%%esp), %%eax; push %%eax; pop %%esp; mov %%esp, %0; mov %1, %%esp"
        : "=&r"(on), "=&r"(off)
        :
        : "eax", "memory");
    print_value("POP of ESP", off - on);
    __asm__ volatile("mov %%esp, %1; push %%esp; pop %0" : "=r"(on), "=&r"(off));
    print_value("PUSH of ESP", off - on);
    __asm__ volatile("push $0xed7; popf; pushf; pop %0; cld; push $2; popf" : "=r"(value) : : "cc");
    print_value("all flags", value);
    __asm__ volatile("push $0x2; popf; pushf; pop %0" : "=r"(value) : : "cc");
    print_value("no flags", value);
    __asm__ volatile("sgdt %0" : "=m"(t));
    print_value("limit of the GDT", t.limit);
    __asm__ volatile("sidt %0" : "=m"(t));
    print_value("limit of the IDT", t.limit);
    __asm__ volatile("smsw %0" : "=r"(value));
    print_value("protected mode", value & 1);
    __asm__ volatile("mov %%cr0, %0; or $8, %0; mov %0, %%cr0; clts; mov %%cr0, %0" : "=r"(value));
    print_value("task switched", value & 9);
    __asm__ volatile("mov %%cs, %0" : "=r"(value));
    print_value("code segment", value & 0xffff);
    __asm__ volatile("push %%ds; pop %%fs; mov %%fs, %0" : "=r"(value));
    print_value("data segment", value & 0xffff);
}

static void memory(void)
{
    volatile uint32_t *nowhere = (volatile uint32_t *)0xe0000000;
    uint32_t value = 0x12345678;

    *nowhere = 5;
    print_value("memory that is not there", *nowhere);
    __asm__ volatile("mov %1, %%fs:%0; mov %%gs:%0, %1; addl $1, %%es:%0"
                     : "+m"(vector_seen), "+r"(value));
    print_value("through other segments", vector_seen);
}

static void timer(void)
{
    timer_start(HZ);
    __asm__ volatile("sti");
    while (ticks < TICKS)
        __asm__ volatile("hlt");
    print("ticks while halted\n");
    for (uint32_t until = ticks + TICKS; ticks < until;)
        ;
    print("ticks while spinning\n");
    for (uint32_t until = ticks + TICKS; ticks < until;)
        fibonacci(5);
    print("ticks while computing\n");
    __asm__ volatile("cli");
    outb(0x21, 0xff);
}

/* Ends that a monitor must report: each names what went wrong and where. */
static void end_badly(uint32_t how)
{
    static uint16_t none[3];

    if (how == 1)
        ((void (*)(void))0x7f000000)();
    if (how == 6)
        ((void (*)(void))0xffbc0010)();
    if (how == 2)
        __asm__ volatile("fldpi");
    if (how == 3)
        __asm__ volatile("lidt %0; ud2" : : "m"(none));
    if (how == 4)
        __asm__ volatile("cli; hlt");
    if (how == 5)
        __asm__ volatile("mov %%cr0, %%eax; or $0x80000000, %%eax; mov %%eax, %%cr0" : : : "eax");
}

int guest_main(void)
{
    uint32_t only_work = option("work", 0), only_calls = option("calls", 0);
    uint32_t only_sensitive = option("sensitive", 0), only_device = option("device", 0);

    on_trap = remember;
    if (only_work)
        print_value("work", compute(only_work));
    if (only_calls)
        print_value("calls", calls(only_calls));
    end_badly(option("end", 0));
    sensitive(only_sensitive);
    device(only_device);
    if (only_work || only_calls || only_sensitive || only_device || option("nothing", 0))
        return 0;
    print_value("computed", compute(3));
    print_value("called", calls(3));
    exceptions();
    single_step();
    self_modifying();
    sensitive_state();
    memory();
    timer();
    print("done\n");
    return 0;
}
