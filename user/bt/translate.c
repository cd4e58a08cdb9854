/*
 * From guest code to host code, a block at a time. A block starts with a load from the poll page,
 * which a timer signal makes unreadable, so that an interrupt is seen at the next block; it ends at
 * the first transfer of control, at an instruction that the monitor must carry out, or at the end
 * of the page. An instruction changes no register before its last access to memory: a fault finds
 * the guest's state as it was before.
 */
#include "user/bt/bt.h"

#include <assert.h>
#include <string.h>

enum { AT_EIP = 32, AT_WHY = 40, AT_IF = 44, AT_OPERAND = 48, AT_LEAVE = 56, AT_LOOKUP = 64 };
#define IS_AT(field, offset) (offsetof(struct cpu, field) == (offset))
static_assert(IS_AT(eip, AT_EIP) && IS_AT(why, AT_WHY) && IS_AT(interrupts, AT_IF) &&
                  IS_AT(operand, AT_OPERAND) && IS_AT(leave, AT_LEAVE) && IS_AT(lookup, AT_LOOKUP),
              "the code below");
static_assert(IS_AT(eflags, 36) && IS_AT(host_rsp, 72) && IS_AT(jumps, 80), "enter.S");

enum { ADDRESS_32 = 0x67, IN_GUEST = 0x65, WORD = 0x66, REX = 0x40, REX_R = 0x44, REX_B = 0x41 };

struct writer {
    uint8_t *start, *at;
    uint32_t offset; /* of start in the cache */
};

static void put(struct writer *w, const void *bytes, size_t count)
{
    memcpy(w->at, bytes, count);
    w->at += count;
}

/* Bytes in the order in which they are read. */
#define EMIT(w, ...) put(w, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* mov dword ptr [r15 + field], value */
static void emit_store(struct writer *w, uint8_t field, uint32_t value)
{
    EMIT(w, 0x41, 0xc7, 0x47, field);
    put(w, &value, 4);
}

/* Back to the monitor, which finds why and EIP in struct cpu. */
static void emit_leave(struct writer *w, uint32_t eip, uint32_t why)
{
    emit_store(w, AT_EIP, eip);
    emit_store(w, AT_WHY, why);
    EMIT(w, 0x41, 0xff, 0x67, AT_LEAVE);
}

/* A direct jump: to the monitor at first, which overwrites its distance when the target is known.
 */
static void emit_jump(struct writer *w, uint32_t target)
{
    EMIT(w, 0xe9, 0, 0, 0, 0);
    emit_leave(w, target, w->offset + (uint32_t)(w->at - w->start) - 4);
}

/* The guest's instruction with its memory operand moved to the guest's memory, and another opcode
 * and register. An absolute address takes the longer form: the short one is relative to RIP. */
static void emit_insn(struct writer *w, const struct insn *i, uint8_t rex, unsigned op,
                      unsigned reg)
{
    bool absolute = i->mod == 0 && i->rm == 5;

    if (i->mod != 3)
        EMIT(w, ADDRESS_32, IN_GUEST);
    if (i->word)
        EMIT(w, WORD);
    if (i->lock)
        EMIT(w, 0xf0);
    if (rex)
        EMIT(w, rex);
    if (op >= 0x100)
        EMIT(w, 0x0f);
    EMIT(w, (uint8_t)op);
    if (HAS_MODRM(i))
        EMIT(w, (uint8_t)(i->mod << 6 | reg << 3 | (absolute ? 4 : i->rm)));
    if (absolute)
        EMIT(w, 0x25);
    put(w, i->rest, i->rest_size);
}

/* An instruction on a register and the long at ESP + distance, in the guest's memory. */
static void emit_at_esp(struct writer *w, uint8_t rex, uint8_t op, unsigned reg, int8_t distance)
{
    EMIT(w, ADDRESS_32, IN_GUEST, rex, op, (uint8_t)(0x44 | reg << 3), 0x24, (uint8_t)distance);
}

/* lea esp, [rsp + distance] */
static void emit_move_esp(struct writer *w, uint32_t distance)
{
    EMIT(w, 0x8d, 0xa4, 0x24);
    put(w, &distance, 4);
}

static void emit_push_value(struct writer *w, uint32_t value)
{
    emit_at_esp(w, REX, 0xc7, 0, -4);
    put(w, &value, 4);
    emit_move_esp(w, -4u);
}

/* What needs care and stays in the block. False: it does not. */
static bool emit_special(struct writer *w, const struct insn *i)
{
    unsigned op = i->op;

    if (op == 0xff && i->reg == 6) {
        if (i->mod != 3)
            emit_insn(w, i, REX_R, 0x8b, 6);
        emit_at_esp(w, i->mod == 3 ? REX : REX_R, 0x89, i->mod == 3 ? i->rm : 6, -4);
        emit_move_esp(w, -4u);
    } else if (op == 0x8f && i->mod == 3) {
        emit_at_esp(w, REX, 0x8b, i->rm, 0);
        if (i->rm != ESP)
            emit_move_esp(w, 4);
    } else if (op == 0x68) {
        emit_push_value(w, i->imm);
    } else if (op >= 0xa4 && op < 0xb0) { /* strings */
        /* ES:EDI takes no other segment in 64-bit mode, so the registers become host addresses;
         * GUEST_BASE is a multiple of 4 GiB, so their low halves are the guest's afterwards, and at
         * a fault. */
        EMIT(w, 0x4a, 0x8d, 0x34, 0x26, 0x4a, 0x8d, 0x3c, 0x27); /* lea r, [r + r12] */
        if (i->word)
            EMIT(w, WORD);
        if (i->rep)
            EMIT(w, i->rep);
        EMIT(w, (uint8_t)op, 0x89, 0xf6, 0x89, 0xff); /* mov esi, esi; mov edi, edi */
    } else if (op == 0xfa) {
        emit_store(w, AT_IF, 0);
    } else {
        return false;
    }
    return true;
}

/* What ends the block: a transfer of control, or else the monitor's work. */
static void emit_end(struct writer *w, const struct insn *i)
{
    uint32_t next = i->eip + i->length, target = next + i->imm;
    unsigned op = i->op;

    if (op == 0xe8)
        emit_push_value(w, next);
    if ((op >= 0x70 && op < 0x80) || (op >= 0xe0 && op < 0xe4)) {
        EMIT(w, ADDRESS_32, (uint8_t)op, 0); /* LOOP and JECXZ count in ECX */
        uint8_t *from = w->at;
        emit_jump(w, next);
        from[-1] = (uint8_t)(w->at - from);
        emit_jump(w, target);
    } else if (op == 0xe8 || op == 0xe9) {
        emit_jump(w, target);
    } else if (op == 0xc2) {
        emit_at_esp(w, REX_R, 0x8b, 6, 0);
        emit_move_esp(w, i->selector + 4u);
        EMIT(w, 0x41, 0xff, 0x67, AT_LOOKUP);
    } else if (op == 0xff && (i->reg == 2 || i->reg == 4)) {
        emit_insn(w, i, REX_R, 0x8b, 6);
        if (i->reg == 2)
            emit_push_value(w, next);
        EMIT(w, 0x41, 0xff, 0x67, AT_LOOKUP);
    } else {
        emit_leave(w, i->eip, LEFT_TO_EMULATE);
    }
}

void translate_thunk(uint8_t *code, const struct insn *i)
{
    struct insn alone = *i; /* on r8 and r9 */
    struct writer w = {code, code, 0};

    alone.mod = 3;
    alone.rm = alone.lock = 0;
    alone.rest_size = (uint8_t)(i->rest_size - i->imm_at);
    memcpy(alone.rest, i->rest + i->imm_at, alone.rest_size);
    EMIT(&w, 0x45, 0x8b, 0x47, AT_OPERAND, 0x45, 0x8b, 0x4f, AT_OPERAND + 4); /* mov r8d, r9d */
    uint8_t rex = HAS_MODRM(i) ? REX_B | (i->group ? 0 : REX_R) : 0;
    emit_insn(&w, &alone, rex, i->op, i->group ? i->reg : 1);
    EMIT(&w, 0x45, 0x89, 0x47, AT_OPERAND, 0x45, 0x89, 0x4f, AT_OPERAND + 4);
    EMIT(&w, 0x41, 0xff, 0x67, AT_LEAVE);
    assert(w.at - code <= THUNK_SIZE);
}

size_t translate(uint32_t eip, uint8_t *code, uint32_t offset, uint32_t *marks, unsigned *count)
{
    struct writer w = {code, code, offset};
    uint32_t at = eip;
    struct insn i;

    emit_leave(&w, eip, offset + EXIT_SIZE + 1);
    assert(w.at - code == EXIT_SIZE);
    EMIT(&w, 0x45, 0x8b, 0xb7, 0x00, 0xf0, 0xff, 0xff); /* mov r14d, [r15 - PAGE]: the poll page */
    for (*count = 0; *count < MAX_BLOCK && at / PAGE == eip / PAGE; at += i.length) {
        if (!decode(at, &i) || (at + i.length - 1) / PAGE != eip / PAGE)
            break;
        marks[(*count)++] = (uint32_t)(w.at - code) << 16 | (at - eip);
        if (COPYABLE(&i)) {
            emit_insn(&w, &i, 0, i.op, i.reg);
        } else if (!emit_special(&w, &i)) {
            emit_end(&w, &i);
            return (size_t)(w.at - code);
        }
    }
    emit_jump(&w, at);
    return *count ? (size_t)(w.at - code) : 0;
}
