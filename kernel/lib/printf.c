// Formatted print into a buffer. Compiled on the host too.
#include "kernel/lib/printf.h"

#include "kernel/lib/string.h"

struct out {
    char *buf;
    size_t size, len; // len may pass size: the text is counted on
};

struct spec {
    bool left, zero, plus, space, alternate, upper;
    int width, precision; // precision -1: none
    int longs;            // 0 int, 1 long or size_t, 2 long long, -1 short, -2 char
};

static void put(struct out *o, char c)
{
    if (o->len + 1 < o->size)
        o->buf[o->len] = c;
    o->len++;
}

static void put_many(struct out *o, char c, int n)
{
    while (n-- > 0)
        put(o, c);
}

static void put_field(struct out *o, const struct spec *sp, const char *s, int n)
{
    if (!sp->left)
        put_many(o, ' ', sp->width - n);
    for (int i = 0; i < n; i++)
        put(o, s[i]);
    if (sp->left)
        put_many(o, ' ', sp->width - n);
}

static void put_text(struct out *o, const struct spec *sp, const char *s)
{
    if (!s)
        s = "(null)";
    put_field(o, sp, s, sp->precision >= 0 ? (int)strnlen(s, sp->precision) : (int)strlen(s));
}

static void put_number(struct out *o, const struct spec *sp, u64 v, unsigned base, char sign)
{
    const char *digits = sp->upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char buf[24];
    int n = 0;
    bool prefix = sp->alternate && v && base != 10;

    for (u64 rest = v; rest; rest /= base)
        buf[n++] = digits[rest % base];
    if (!n && sp->precision)
        buf[n++] = '0';
    int zeros = sp->precision > n ? sp->precision - n : 0;
    if (prefix && base == 8 && !zeros)
        zeros = 1;
    int all = n + zeros + (sign ? 1 : 0) + (prefix && base == 16 ? 2 : 0);
    if (sp->zero && !sp->left && sp->precision < 0 && sp->width > all) {
        zeros += sp->width - all;
        all = sp->width;
    }
    if (!sp->left)
        put_many(o, ' ', sp->width - all);
    if (sign)
        put(o, sign);
    if (prefix && base == 16) {
        put(o, '0');
        put(o, sp->upper ? 'X' : 'x');
    }
    put_many(o, '0', zeros);
    while (n)
        put(o, buf[--n]);
    if (sp->left)
        put_many(o, ' ', sp->width - all);
}

static int read_int(const char **fmt)
{
    int n = 0;

    while (**fmt >= '0' && **fmt <= '9')
        n = n * 10 + *(*fmt)++ - '0';
    return n;
}

static void read_flags_of(const char **fmt, struct spec *sp)
{
    for (;; (*fmt)++) {
        switch (**fmt) {
        case '-':
            sp->left = true;
            break;
        case '0':
            sp->zero = true;
            break;
        case '+':
            sp->plus = true;
            break;
        case ' ':
            sp->space = true;
            break;
        case '#':
            sp->alternate = true;
            break;
        default:
            return;
        }
    }
}

// Reads width or precision: digits, or '*' for a parameter.
#define READ_NUMBER(fmt, ap) (*(fmt) == '*' ? ((fmt)++, va_arg(ap, int)) : read_int(&(fmt)))

static s64 take_signed(va_list *ap, int longs)
{
    if (longs > 0)
        return va_arg(*ap, long);
    int v = va_arg(*ap, int);
    return longs == -1 ? (short)v : longs == -2 ? (signed char)v : v;
}

static u64 take_unsigned(va_list *ap, int longs)
{
    if (longs > 0)
        return va_arg(*ap, unsigned long);
    unsigned v = va_arg(*ap, unsigned);
    return longs == -1 ? (u16)v : longs == -2 ? (u8)v : v;
}

static void convert(struct out *o, struct spec *sp, char c, va_list *ap)
{
    char one;
    s64 v;

    switch (c) {
    case 'd':
    case 'i':
        v = take_signed(ap, sp->longs);
        put_number(o, sp, v < 0 ? -(u64)v : (u64)v, 10,
                   v < 0       ? '-'
                   : sp->plus  ? '+'
                   : sp->space ? ' '
                               : 0);
        break;
    case 'u':
        put_number(o, sp, take_unsigned(ap, sp->longs), 10, 0);
        break;
    case 'o':
        put_number(o, sp, take_unsigned(ap, sp->longs), 8, 0);
        break;
    case 'X':
        sp->upper = true;
        // fall through
    case 'x':
        put_number(o, sp, take_unsigned(ap, sp->longs), 16, 0);
        break;
    case 'p':
        sp->alternate = true;
        put_number(o, sp, (u64)va_arg(*ap, void *), 16, 0);
        break;
    case 'c':
        one = (char)va_arg(*ap, int);
        put_field(o, sp, &one, 1);
        break;
    case 's':
        put_text(o, sp, va_arg(*ap, const char *));
        break;
    default:
        put(o, '%');
        if (c != '%')
            put(o, c);
        break;
    }
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
    struct out o = {buf, size, 0};
    va_list args;

    va_copy(args, ap);
    while (*fmt) {
        if (*fmt != '%') {
            put(&o, *fmt++);
            continue;
        }
        struct spec sp = {.precision = -1};
        fmt++;
        read_flags_of(&fmt, &sp);
        sp.width = READ_NUMBER(fmt, args);
        if (sp.width < 0) {
            sp.left = true;
            sp.width = -sp.width;
        }
        if (*fmt == '.') {
            fmt++;
            sp.precision = READ_NUMBER(fmt, args);
        }
        for (; *fmt == 'l' || *fmt == 'h' || *fmt == 'z'; fmt++)
            sp.longs += *fmt == 'h' ? -1 : 1;
        if (*fmt)
            convert(&o, &sp, *fmt++, &args);
    }
    va_end(args);
    if (size)
        buf[min(o.len, size - 1)] = '\0';
    return (int)o.len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(buf, size, fmt, ap);
    va_end(ap);
    return n;
}
