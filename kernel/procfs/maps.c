// /proc/PID/maps: the areas of an address space.
#include <linux/mman.h>

#include "kernel/fs/fdtable.h"
#include "kernel/lib/err.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/slab.h"
#include "kernel/procfs/procfs.h"
#include "kernel/task/task.h"

static void show_area(struct seqtext *s, const struct area *a, char *page)
{
    const struct file *f = a->file;
    u64 dev = f && f->inode && f->inode->super ? f->inode->super->dev : 0;

    seq_printf(s, "%lx-%lx %c%c%c%c %08lx %02x:%02x %-10lu", a->start, a->end,
               a->prot & PROT_READ ? 'r' : '-', a->prot & PROT_WRITE ? 'w' : '-',
               a->prot & PROT_EXEC ? 'x' : '-', a->flags & MAP_SHARED ? 's' : 'p',
               a->object ? a->offset * PAGE_SIZE : 0, dev_major(dev), dev_minor(dev),
               f && f->inode ? f->inode->ino : 0);
    if (f && f->path.dentry) {
        const char *text = path_text(&f->path, &fs_current()->root, page, PATH_MAX_K);
        seq_printf(s, " %s", IS_ERR(text) ? "" : text);
    } else if (a->name[0]) {
        seq_printf(s, " %s", a->name);
    }
    seq_puts(s, "\n");
}

int proc_show_maps(struct seqtext *s, const struct proc_node *n)
{
    struct aspace *as = n->task->aspace;
    struct area *a;

    if (!as)
        return 0;
    char *page = kmalloc(PATH_MAX_K);
    if (!page)
        return -ENOMEM;
    list_for_each (a, &as->areas, link)
        show_area(s, a, page);
    kfree(page);
    return 0;
}
