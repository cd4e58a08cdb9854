// Text files made on the fly. See seqtext.h.
#include "kernel/fs/seqtext.h"
#include "kernel/fs/uio.h"
#include "kernel/lib/err.h"
#include "kernel/lib/printf.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"

#define FIRST_SIZE 512

static bool make_room(struct seqtext *s, size_t more)
{
    size_t size = s->size ? s->size : FIRST_SIZE;

    if (s->failed)
        return false;
    while (size < s->len + more)
        size *= 2;
    if (size == s->size)
        return true;
    char *buf = krealloc(s->buf, size);
    if (!buf) {
        s->failed = true;
        return false;
    }
    s->buf = buf;
    s->size = size;
    return true;
}

void seq_write(struct seqtext *s, const char *text, size_t len)
{
    if (!make_room(s, len))
        return;
    memcpy(s->buf + s->len, text, len);
    s->len += len;
}

void seq_puts(struct seqtext *s, const char *text)
{
    seq_write(s, text, strlen(text));
}

void seq_puts_escaped(struct seqtext *s, const char *text)
{
    for (; *text; text++) {
        if (strchr(" \t\n\\", *text))
            seq_printf(s, "\\%03o", *text);
        else
            seq_write(s, text, 1);
    }
}

void seq_printf(struct seqtext *s, const char *fmt, ...)
{
    va_list ap;

    if (!make_room(s, 128))
        return;
    va_start(ap, fmt);
    size_t n = vsnprintf(s->buf + s->len, s->size - s->len, fmt, ap);
    va_end(ap);
    if (n >= s->size - s->len) {
        if (!make_room(s, n + 1))
            return;
        va_start(ap, fmt);
        vsnprintf(s->buf + s->len, s->size - s->len, fmt, ap);
        va_end(ap);
    }
    s->len += n;
}

static int make_text(struct seqtext *s, int (*show)(struct seqtext *s, void *arg), void *arg)
{
    s->len = 0;
    s->failed = false;
    int err = show(s, arg);
    return err ? err : s->failed ? -ENOMEM : 0;
}

long seq_read(struct file *f, struct uio *u, u64 *pos, int (*show)(struct seqtext *s, void *arg),
              void *arg)
{
    struct seqtext *s = f->private;

    if (!s) {
        s = f->private = kzalloc(sizeof(*s));
        if (!s)
            return -ENOMEM;
    }
    if (*pos == 0 || !s->buf) {
        int err = make_text(s, show, arg);
        if (err)
            return err;
    }
    if (*pos >= s->len)
        return 0;
    long n = uio_write(u, s->buf + *pos, s->len - *pos);
    if (n > 0)
        *pos += n;
    return n;
}

void seq_release(struct file *f)
{
    struct seqtext *s = f->private;

    if (s)
        kfree(s->buf);
    kfree(s);
}

long seq_written(struct uio *u, char *buf, size_t size)
{
    if (u->resid >= size)
        return -EINVAL;
    long n = uio_read(u, buf, u->resid);
    if (n < 0)
        return n;
    buf[n] = 0;
    if (n && buf[n - 1] == '\n')
        buf[n - 1] = 0;
    return n;
}
