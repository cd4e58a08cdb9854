#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * bt: a 32-bit guest kernel without any help of the CPU, by binary translation.
 *
 * The guest sees a 486-class CPU in ring 0 with flat segments and without paging, and a PC's serial
 * port, interrupt controller and timer. Guest address A is host address GUEST_BASE + A, in a hole
 * of 4 GiB of its own, and GS has that base. While translated code runs, the guest's eight
 * registers are the host's eight registers and its arithmetic flags are the host's, so the greater
 * part of its code is copied as it is. decode.c reads instructions, interpret.c carries one out,
 * translate.c writes host code, cache.c keeps, finds and drops it, run.c goes round, and system.c
 * does what only a kernel may. SDM is Intel's Software Developer's Manual.
 */

enum { EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI };
enum { CF = 1, ZF = 0x40, TF = 0x100, IF = 0x200, DF = 0x400, OF = 0x800 };
enum { FLAGS_IN_HOST = 0xcd5 }; /* CF PF AF ZF SF DF OF are in the host's RFLAGS; enter.S */
enum { VECTOR_DE = 0, VECTOR_DB = 1, VECTOR_BP = 3, VECTOR_OF = 4, VECTOR_UD = 6, VECTOR_GP = 13 };
enum { NO_ERROR = -1, PAGE = 4096, MIB = 1 << 20, RAM_SIZE = 16 * MIB };
enum { SEGMENTS = 6, CS = 1, SS = 2 };

#define GUEST_BASE ((uint8_t *)0x100000000000)
#define GUEST_SPACE (1ull << 32)

/* Why translated code came back. Anything else is the offset in the cache of the jump that left, to
 * be chained to the block that it wants. */
enum { LEFT_UNCHAINED, LEFT_TO_EMULATE, LEFT_BY_SIGNAL, LEFT_BY_JUMP = 16 };

/* Where the block at an address begins; the low 16 bits of the address choose the entry. An empty
 * one stands for 0xffffffff, where no code can be. */
struct jump {
    uint32_t not_eip;
    uint8_t *code;
};

/* The guest's CPU. enter.S and translated code know the offsets down to jumps. */
struct cpu {
    uint32_t regs[8], eip;
    uint32_t eflags; /* all but IF */
    uint32_t why;
    uint32_t interrupts; /* IF */
    uint32_t operand[2]; /* of an instruction in a thunk: r/m and register */
    void (*leave)(void), (*lookup)(void);
    uint64_t host_rsp;
    struct jump *jumps;

    uint32_t at;         /* where the instruction that is carried out begins */
    int fault;           /* LEFT_BY_SIGNAL: the exception to give to the guest, or -1 */
    bool polled;         /* LEFT_BY_SIGNAL at the start of a block: look at the alarm */
    bool shadow;         /* the next instruction comes before any interrupt: SDM 3, 6.8.3 */
    bool translating;    /* false: the interpreter alone */
    volatile bool alarm; /* a timer signal came */
    uint32_t cr[8], table_base[2];                                 /* GDTR, IDTR */
    uint16_t table_limit[2], segment[SEGMENTS], system_segment[2]; /* LDTR, TR */
    uint64_t interpreted, blocks, dropped, entries;
};

/* decode.c: one instruction. op is 0x100 + the second byte for those that begin with 0x0f. */
struct insn {
    uint32_t eip, disp, imm;
    uint16_t op, selector;  /* selector: of a far jump; of RET, what it adds to ESP */
    char form;              /* what the tables of decode.c say */
    bool lock, word, group; /* word: prefix 0x66; group: reg is a part of the opcode */
    uint8_t size, rm_size;  /* of the register operand and of the other: 1, 2, 4 */
    uint8_t rep;            /* 0xf2, 0xf3 or 0 */
    uint8_t mod, reg, rm;   /* fields of ModRM; mod is 3 if there is none */
    int8_t base, index;     /* registers of the address, -1: none */
    uint8_t scale, length, rest_size, imm_at;
    uint8_t rest[16]; /* what follows opcode and ModRM; the immediate begins at imm_at */
};

/* Whether the instruction is innocuous: the same bytes do the same for the guest in 64-bit mode,
 * once its memory operand is moved to the guest's memory. */
#define COPYABLE(i) ((i)->form >= 'a')
#define HAS_MODRM(i) (((i)->form | 0x20) >= 'g' && ((i)->form | 0x20) <= 'm')

/* Reads the instruction at eip. False: none that we know. The guest ends if eip is not in its
 * memory. */
bool decode(uint32_t eip, struct insn *i);

/* interpret.c: the instruction at EIP. Does not return when it raises an exception. */
void interpret(struct cpu *c);
/* Memory that is not there reads as ones and takes no writes. A write drops translations. */
uint32_t memory_read(uint32_t address, unsigned size);
void memory_write(struct cpu *c, uint32_t address, unsigned size, uint32_t value);
uint32_t reg_get(const struct cpu *c, unsigned n, unsigned size);
void reg_set(struct cpu *c, unsigned n, unsigned size, uint32_t value);
uint32_t rm_address(const struct cpu *c, const struct insn *i);
uint32_t rm_get(struct cpu *c, const struct insn *i, unsigned size);
void rm_set(struct cpu *c, const struct insn *i, unsigned size, uint32_t value);
void push(struct cpu *c, uint32_t value);
uint32_t pop(struct cpu *c);

/* system.c: who carries out what a kernel executes. False: invalid opcode. */
typedef bool handler(struct cpu *c, const struct insn *i);
handler segments, flags, software, ports, jump_far, halt, cli_sti, tables, control, identify;
/* Gives an exception or interrupt to the guest's handler. The guest ends if it has none. */
void deliver(struct cpu *c, unsigned vector, uint32_t return_eip, int64_t error);
/* An exception of the instruction at c->at: goes back to the loop in run.c. */
void raise_exception(struct cpu *c, unsigned vector, int64_t error) __attribute__((noreturn));

/* translate.c: writes the block that begins at eip, EXIT_SIZE bytes of a way back to the monitor
 * first, to code, at an offset in the cache; marks gets the places of its instructions: in the
 * block << 16 | in the guest's code. Returns the bytes written, 0: it must be interpreted. */
enum { MAX_BLOCK = 32, MAX_CODE = 1536, EXIT_SIZE = 20, THUNK_SIZE = 64 };
size_t translate(uint32_t eip, uint8_t *code, uint32_t offset, uint32_t *marks, unsigned *count);
/* Writes an innocuous instruction alone, with r/m and register operand in c->operand. */
void translate_thunk(uint8_t *code, const struct insn *i);

/* cache.c */
void cache_init(struct cpu *c);
/* The host code for EIP, translated if need be; NULL: interpret. why says which jump to chain to
 * it. */
uint8_t *cache_find(struct cpu *c, uint32_t why);
/* Drops all blocks of the pages of [address, address + size). */
void cache_drop(struct cpu *c, uint32_t address, uint32_t size);
/* The guest's EIP at a host address in the cache; false: it is in no code of ours. */
bool cache_locate(struct cpu *c, const uint8_t *host, uint32_t *eip);
/* The thunk of an instruction. */
uint8_t *cache_thunk(const struct insn *i);

/* run.c */
struct cpu *cpu_create(void);
int run(struct cpu *c); /* until the guest ends; its status */

/* enter.S */
uint32_t enter(struct cpu *c, uint8_t *code);
void enter_leave(void), enter_return(void), enter_lookup(void);

/* devices.c */
uint32_t port_read(uint16_t port);
void port_write(uint16_t port, unsigned size, uint32_t value);
/* The vector of an interrupt that is due, when it is allowed, or -1. tick: SIGALRM came. */
int devices_interrupt(bool tick, bool allowed);
/* Sleeps until the next interrupt, which SIGALRM tells by setting alarm; false: there will be none.
 */
bool devices_wait(const volatile bool *alarm);

/* main.c. Messages are one line on standard error. */
enum { STATUS_OK, STATUS_CRASHED, STATUS_USAGE };
void guest_ends(int status) __attribute__((noreturn));
void die(int status, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
/* The guest cannot go on at the instruction: names EIP and its bytes. */
void die_at(uint32_t eip, const char *what) __attribute__((noreturn));
