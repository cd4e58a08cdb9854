// /dev/tty, the caller's controlling terminal; /dev/console; and the way to new pseudoterminals,
// /dev/ptmx.

#include "kernel/dev/tty.h"

#include "kernel/lib/err.h"
#include "kernel/task/pid.h"
#include "kernel/task/task.h"

#define TTY_MINOR 0
#define CONSOLE_MINOR 1
#define PTMX_MINOR 2

static int aux_open(struct inode *inode, struct file *f)
{
    struct tty *tty = NULL;

    switch (dev_minor(inode->rdev)) {
    case TTY_MINOR:
        tty = current()->process->pgrp->session->tty;
        f->flags |= O_NOCTTY;
        break;
    case CONSOLE_MINOR:
        tty = console_tty();
        f->flags |= O_NOCTTY;
        break;
    case PTMX_MINOR:
        return ptmx_open(f);
    }
    return tty ? tty_open(tty, f) : -ENXIO;
}

static const struct file_ops aux_fops = {.open = aux_open};

void tty_init(void)
{
    chrdev_register(TTYAUX_MAJOR, "tty", &aux_fops);
    devfs_node("tty", S_IFCHR | 0666, dev_make(TTYAUX_MAJOR, TTY_MINOR));
    devfs_node("console", S_IFCHR | 0600, dev_make(TTYAUX_MAJOR, CONSOLE_MINOR));
    devfs_node("ptmx", S_IFCHR | 0666, dev_make(TTYAUX_MAJOR, PTMX_MINOR));
}
