/*
 * Random instruction sequences: made from a seed, written to memory, run, and digested: registers,
 * flags and the data they work on. Every way of running this kernel must print the same digests.
 * With `only=N` it prints the state after sequence N alone, and the sequence, to find the culprit.
 */
#include "tests/guests/ia32/lib/encode.h"
#include "tests/guests/ia32/lib/lib.h"

enum { ROOM = 8192, BATCH = 50 };

static uint8_t code[ROOM] __attribute__((aligned(4096)));
static uint32_t state[8];
static uint8_t *start_of_sequence;

static void arithmetic(void)
{
    unsigned size = choose_size(), op = any(8);
    struct operand o;

    switch (any(4)) {
    case 0:
    case 1:
        o = operand(size == 1);
        if (o.mod != 3 && op < 7 && !any(4))
            byte(0xf0);
        else
            op |= any(2) << 8; /* the other direction */
        opcode((op & 7) << 3 | (op >> 8) << 1 | (size > 1), size);
        modrm(data_reg(size), &o);
        break;
    case 2:
        o = operand(size == 1);
        bool short_form = size > 1 && any(2);
        opcode(short_form ? 0x83 : 0x80 | (size > 1), size);
        modrm(op, &o);
        number(word(), short_form ? 1 : size);
        break;
    case 3:
        opcode(op << 3 | 4 | (size > 1), size);
        number(word(), size);
        break;
    }
}

static void unary(void)
{
    unsigned size = choose_size(), kind = any(7);
    struct operand o = operand(size == 1);

    if (kind == 0) { /* INC, DEC */
        opcode(0xfe | (size > 1), size);
        modrm(any(2), &o);
    } else if (kind == 1) {
        opcode(0x40 + any(2) * 8 + reg(), size == 2 ? 2 : 4);
    } else if (kind == 2) { /* TEST */
        opcode(0xf6 | (size > 1), size);
        modrm(0, &o);
        number(word(), size);
    } else if (kind == 3) {
        opcode(0x84 | (size > 1), size);
        modrm(data_reg(size), &o);
    } else { /* NOT, NEG, MUL, IMUL */
        unsigned op = 2 + any(4);
        opcode(0xf6 | (size > 1), size);
        modrm(op, &o);
        settle(op >= 4 ? CARRY_DEFINED : ALL_DEFINED);
    }
}

static void divide(void)
{
    unsigned divisor = any(2) ? ECX : EBX, is_signed = any(2);

    load(divisor, (word() & 0x7fffffff) | 0x10000);
    load(EDX, any(0x8000));
    opcode(0xf7, 4);
    byte(0xf0 | is_signed << 3 | divisor);
    settle(NONE_DEFINED);
}

static void shifts(void)
{
    unsigned size = choose_size(), kind = any(5), op = any(8);
    struct operand o = operand(size == 1);

    if (kind < 2) {
        opcode(0xc0 | (size > 1), size);
        modrm(op, &o);
        number(any(size * 8), 1);
    } else if (kind == 2) {
        opcode(0xd0 | (size > 1), size);
        modrm(op, &o);
    } else if (kind == 3) {
        byte(0xb1); /* mov cl */
        byte(any(size * 8));
        o = (struct operand){.mod = 3, .rm = EDX};
        opcode(0xd2 | (size > 1), size);
        modrm(op, &o);
    } else { /* SHLD, SHRD */
        o = operand(false);
        opcode(0x1a4 | any(2) << 3, 4);
        modrm(reg(), &o);
        number(any(32), 1);
    }
    settle(CARRY_DEFINED);
}

static void moves(void)
{
    unsigned size = choose_size();
    struct operand o = operand(size == 1);

    switch (any(10)) {
    case 0:
    case 1:
        opcode(0x88 | any(2) << 1 | (size > 1), size);
        modrm(data_reg(size), &o);
        break;
    case 2:
        opcode(0xc6 | (size > 1), size);
        modrm(0, &o);
        number(word(), size);
        break;
    case 3:
        opcode(0xa0 | any(2) << 1 | (size > 1), size);
        number(place(), 4);
        break;
    case 4:
        opcode(0x86 | (size > 1), size);
        modrm(data_reg(size), &o);
        break;
    case 5:
        o = memory_operand();
        opcode(0x8d, any(2) ? 4 : 2);
        modrm(reg(), &o);
        break;
    case 6:
        o = operand(true);
        opcode(any(2) ? 0x1b6 : 0x1be, any(2) ? 4 : 2);
        modrm(reg(), &o);
        break;
    case 7:
        o = operand(false);
        opcode(any(2) ? 0x1b7 : 0x1bf, 4);
        modrm(reg(), &o);
        break;
    case 8:
        o = operand(false);
        opcode(0x140 | any(16), size == 2 ? 2 : 4);
        modrm(reg(), &o);
        break;
    case 9:
        o = operand(true);
        opcode(0x190 | any(16), 1);
        modrm(0, &o);
        break;
    }
}

static void small(void)
{
    static const uint8_t one_byte[] = {0x98, 0x99, 0x9e, 0x9f, 0xf5, 0xf8, 0xf9, 0x90};
    unsigned r = reg();

    switch (any(4)) {
    case 0:
        opcode(one_byte[any(6) + (any(4) == 0 ? 2 : 0)], 4);
        break;
    case 1:
        opcode(one_byte[any(2)], 2);
        break;
    case 2:
        opcode(0x1c8 | r, 4);
        break;
    case 3:
        opcode(0x90 | r, any(2) ? 4 : 2);
        break;
    }
}

static void bits(void)
{
    static const uint16_t by_register[] = {0x1a3, 0x1ab, 0x1b3, 0x1bb};
    unsigned kind = any(3), size = any(2) ? 4 : 2, r = EDX;
    struct operand o = operand(false);

    if (kind == 0) {
        opcode(0x1ba, size);
        modrm(4 + any(4), &o);
        number(any(256), 1);
        settle(CARRY_DEFINED);
    } else if (kind == 1) {
        while (o.mod != 3 && (r == o.base || r == o.index))
            r = reg();
        /* the index reaches beyond the operand, but not to what lies below the stack's */
        load(r, any(200) - (o.base == ESP || any(2) ? 0 : 200));
        opcode(by_register[any(4)], size);
        modrm(r, &o);
        settle(CARRY_DEFINED);
    } else { /* BSF, BSR of what is not zero */
        r = reg();
        opcode(0x81, 4);
        byte(0xc8 | r);
        number(0x8000, 4);
        opcode(0x1bc | any(2), size);
        byte(0xc0 | reg() << 3 | r);
        settle(ZERO_DEFINED);
    }
}

static void multiply_or_exchange(void)
{
    unsigned size = choose_size(), kind = any(5);
    struct operand o = operand(size == 1 && kind > 2);

    if (kind == 0) {
        opcode(0x1af, size == 2 ? 2 : 4);
        modrm(reg(), &o);
    } else if (kind < 3) {
        opcode(kind == 1 ? 0x69 : 0x6b, size == 2 ? 2 : 4);
        modrm(reg(), &o);
        number(word(), kind == 2 ? 1 : size == 2 ? 2 : 4);
    } else {
        if (o.mod != 3 && any(2))
            byte(0xf0);
        opcode((kind == 3 ? 0x1b0 : 0x1c0) | (size > 1), size);
        modrm(data_reg(size), &o);
        return;
    }
    settle(CARRY_DEFINED);
}

/* What is pushed is popped. */
static void stack(void)
{
    struct operand o;

    switch (any(6)) {
    case 0:
        opcode(0x50 | reg(), 4);
        break;
    case 1:
        opcode(0x68, 4);
        number(word(), 4);
        break;
    case 2:
        opcode(0x6a, 4);
        number(word(), 1);
        break;
    case 3:
        o = memory_operand();
        opcode(0xff, 4);
        modrm(6, &o);
        break;
    case 4: /* PUSHA, LEA ESP: the last pushed is left */
        opcode(0x60, 4);
        byte(0x8d), byte(0x64), byte(0x24), byte(28);
        break;
    case 5: /* PUSH EBP; MOV EBP, ESP; PUSH; LEAVE */
        byte(0x55), byte(0x89), byte(0xe5), byte(0x56), byte(0xc9);
        return;
    }
    if (any(2)) {
        opcode(0x58 | reg(), 4);
        return;
    }
    o = memory_operand();
    if (o.base == ESP)
        o = (struct operand){.mod = 3, .rm = EAX};
    opcode(0x8f, 4);
    modrm(0, &o);
}

static void strings(void)
{
    static const uint8_t ops[] = {0xa4, 0xa6, 0xaa, 0xac, 0xae};
    unsigned size = choose_size(), count = any(12);
    uint8_t op = ops[any(5)];

    byte(any(2) ? 0xfd : 0xfc);
    load(ESI, place());
    load(EDI, place());
    load(ECX, count);
    if (any(3))
        byte(any(2) ? 0xf3 : op == 0xa6 || op == 0xae ? 0xf2 : 0xf3);
    opcode(op | (size > 1), size);
    byte(0xfc);
}

/* Forward over an instruction, round a loop, or into a routine. */
static void transfers(void)
{
    unsigned r;

    switch (any(5)) {
    case 0: /* Jcc over MOV */
        byte(0x70 | any(16));
        byte(5);
        load(reg(), word());
        break;
    case 1:
        opcode(0x180 | any(16), 4);
        number(5, 4);
        load(reg(), word());
        break;
    case 2: /* LOOP, LOOPE, LOOPNE back over an addition */
        load(ECX, 1 + any(6));
        byte(0x81);
        do
            r = reg();
        while (r == ECX);
        byte(0xc0 | r);
        number(word(), 4);
        byte(0xe0 + any(3));
        byte(0x100 - 8);
        break;
    case 3: /* JECXZ */
        byte(0xe3);
        byte(5);
        load(reg(), word());
        break;
    case 4: /* CALL, and RET or an indirect JMP to what is behind them */
        byte(0xe8);
        number(0, 4);
        r = any(2) ? 5 : 7;
        byte(0x83), byte(0x04), byte(0x24), byte(r); /* addl $r, (%esp) */
        if (r == 5)
            byte(0xc3);
        else
            byte(0x58), byte(0xff), byte(0xe0); /* pop %eax; jmp *%eax */
        break;
    }
}

static void make_sequence(void)
{
    static void (*const kinds[])(void) = {arithmetic,
                                          arithmetic,
                                          unary,
                                          divide,
                                          shifts,
                                          moves,
                                          moves,
                                          small,
                                          bits,
                                          stack,
                                          strings,
                                          transfers,
                                          multiply_or_exchange};
    unsigned length = 4 + any(24);

    for (unsigned r = EAX; r <= EDI; r++)
        if (r != ESP)
            load(r, word());
    byte(0x68); /* push; popf */
    number((word() & 0x8d5) | 2, 4);
    byte(0x9d);
    while (length--)
        kinds[any(sizeof(kinds) / sizeof(kinds[0]))]();
}

static void finish_sequence(void)
{
    for (unsigned r = EAX; r <= EDI; r++) {
        if (r == ESP)
            continue;
        byte(0x89); /* mov r, state[r] */
        byte(r << 3 | 5);
        number((uint32_t)&state[r], 4);
    }
    byte(0x9c); /* pushf; pop state[ESP] */
    byte(0x8f);
    byte(0x05);
    number((uint32_t)&state[ESP], 4);
    byte(0xc3);
}

static uint32_t run_sequence(uint32_t n)
{
    uint32_t sum = n;

    seed = n * 2654435761u + 1;
    at = code + any(ROOM / 2);
    start_of_sequence = at;
    for (unsigned i = 0; i < DATA / 4; i++)
        data[i] = seed + i * 0x9e3779b9;
    make_sequence();
    finish_sequence();
    __asm__ volatile("pusha; mov $18, %%ecx; 1: push $0; loop 1b; call *%0; add $72, %%esp; popa"
                     :
                     : "a"(start_of_sequence)
                     : "memory", "cc");
    for (unsigned r = EAX; r <= EDI; r++)
        sum = mix(sum, state[r]);
    for (unsigned i = 0; i < DATA / 4; i++)
        sum = mix(sum, data[i]);
    return sum;
}

static void show(uint32_t n)
{
    static const char *const names[] = {"eax", "ecx", "edx", "ebx", "flags", "ebp", "esi", "edi"};

    print_value("sequence", n);
    for (unsigned r = EAX; r <= EDI; r++)
        print_value(names[r], state[r]);
    for (unsigned i = 0; i < DATA / 4; i++)
        print_value("data", data[i]);
    for (const uint8_t *p = start_of_sequence; p < at; p += 4)
        print_value("code", p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]);
}

int guest_main(void)
{
    uint32_t first = option("first", 1), batches = option("batches", 4), only = option("only", 0);

    if (only) {
        print_value("digest", run_sequence(only));
        show(only);
        return 0;
    }
    for (uint32_t batch = 0; batch < batches; batch++) {
        uint32_t sum = 0;
        for (uint32_t i = 0; i < BATCH; i++)
            sum = mix(sum, run_sequence(first + batch * BATCH + i));
        print_value("sequences", sum);
    }
    return 0;
}
