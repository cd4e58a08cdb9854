// Text files made on the fly (procfs, cgroupfs): the whole text is made at each read from position
// 0 and kept with the open file.
#pragma once
#include "kernel/fs/vfs.h"
#include "kernel/lib/types.h"

struct seqtext {
    char *buf;
    size_t len, size;
    bool failed; // out of memory
};

void seq_printf(struct seqtext *s, const char *fmt, ...) __printf(2, 3);
void seq_write(struct seqtext *s, const char *text, size_t len);
void seq_puts(struct seqtext *s, const char *text);
// As seq_puts with blanks, tabs, newlines and backslashes as \040 and such: names in /proc/mounts.
void seq_puts_escaped(struct seqtext *s, const char *text);

// file_ops.read of such a file: show(s, arg) writes the text (0 or -errno). Uses f->private.
long seq_read(struct file *f, struct uio *u, u64 *pos, int (*show)(struct seqtext *s, void *arg),
              void *arg);
// file_ops.release of such a file.
void seq_release(struct file *f);
// For file_ops.write: copies what is written, up to size - 1 bytes, as a string without the
// newline at its end. Length or -errno (-EINVAL if it is longer).
long seq_written(struct uio *u, char *buf, size_t size);
