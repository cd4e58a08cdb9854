// with: hv/decode.c
// The instruction decoder: lengths and meanings of what guests use on devices, and refusal of what
// is cut short.
#include "hv/decode.h"

#include <stdio.h>
#include <string.h>

static int failures;

static void expect(const char *what, const char *field, u64 actual, u64 expected)
{
    if (actual == expected)
        return;
    failures++;
    printf("%s: %s: expected %lu, actual %lu\n", what, field, expected, actual);
}

struct sample {
    const char *text; // as an assembler writes it
    const char *bytes;
    unsigned n, mode;
    enum decoded_op op;
    unsigned size, reg;
};

#define SAMPLE(text, bytes, ...)                                                                   \
    {                                                                                              \
        text, bytes, sizeof(bytes) - 1, __VA_ARGS__                                                \
    }
static const struct sample samples[] = {
    SAMPLE("mov %eax, 0x1000", "\xa3\x00\x10\x00\x00", 32, OP_STORE, 4, 0),
    SAMPLE("mov (%rdi), %eax", "\x8b\x07", 64, OP_LOAD, 4, 0),
    SAMPLE("mov %r9, 8(%r12)", "\x4d\x89\x4c\x24\x08", 64, OP_STORE, 8, 9),
    SAMPLE("movb $7, (%rbx)", "\xc6\x03\x07", 64, OP_STORE, 1, 0),
    SAMPLE("movl $1, 0x300(%rip)", "\xc7\x05\x00\x03\x00\x00\x01\x00\x00\x00", 64, OP_STORE, 4, 0),
    SAMPLE("movzbl (%rcx), %edx", "\x0f\xb6\x11", 64, OP_LOAD, 1, 2),
    SAMPLE("movswq (%rcx), %r8", "\x4c\x0f\xbf\x01", 64, OP_LOAD, 2, 8),
    SAMPLE("rep stosl", "\xf3\xab", 64, OP_STOS, 4, 0),
    SAMPLE("movabs 0x1122334455667788, %al", "\xa0\x88\x77\x66\x55\x44\x33\x22\x11", 64, OP_LOAD, 1,
           0),
    SAMPLE("or %ecx, (%rax,%rbx,4)", "\x09\x0c\x98", 64, OP_ALU_MEM, 4, 1),
    SAMPLE("cmpw $5, 2(%bx)", "\x83\x7f\x02\x05", 16, OP_CMP, 2, 0),
    SAMPLE("mov %ah, (%rdi)", "\x88\x27", 64, OP_STORE, 1, 0),
    SAMPLE("incl (%rax)", "\xff\x00", 64, OP_INC, 4, 0),
    SAMPLE("testb $1, (%si)", "\xf6\x04\x01", 16, OP_TEST, 1, 0),
    SAMPLE("xchg %ecx, (%rax)", "\x87\x08", 64, OP_XCHG, 4, 1),
    SAMPLE("lodsw", "\x66\xad", 64, OP_LODS, 2, 0),
    SAMPLE("addr32 mov %eax, (%ebx)", "\x67\x66\x89\x03", 16, OP_STORE, 4, 0),
};

static void decodes(const struct sample *s)
{
    struct decoded d;

    expect(s->text, "known", decode((const u8 *)s->bytes, s->n, s->mode, &d), true);
    expect(s->text, "length", d.length, s->n);
    expect(s->text, "op", d.op, s->op);
    expect(s->text, "size", d.size, s->size);
    expect(s->text, "reg", d.reg, s->reg);
    for (unsigned n = 0; n < s->n; n++)
        expect(s->text, "known though cut short", decode((const u8 *)s->bytes, n, s->mode, &d),
               false);
}

static void register_forms_are_refused(void)
{
    struct decoded d;

    expect("mov %eax, %ebx", "known", decode((const u8 *)"\x89\xc3", 2, 64, &d), false);
}

static void high_byte_is_seen(void)
{
    struct decoded d;

    decode((const u8 *)"\x88\x27", 2, 64, &d); // mov %ah, (%rdi)
    expect("mov %ah", "high_byte", d.high_byte, true);
    decode((const u8 *)"\x40\x88\x27", 3, 64, &d); // with REX: mov %spl, (%rdi)
    expect("mov %spl", "high_byte", d.high_byte, false);
    expect("mov %spl", "reg", d.reg, 4);
}

int main(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(samples); i++)
        decodes(&samples[i]);
    register_forms_are_refused();
    high_byte_is_seen();
    return failures != 0;
}
