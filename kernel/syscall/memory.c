// System calls about address spaces: mmap(2) and its kin.

#include <linux/mman.h>
#include <linux/mount.h>
#include "kernel/fs/fdtable.h"
#include "kernel/fs/mount.h"
#include "kernel/lib/err.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/pagetable.h"
#include "kernel/mm/usercopy.h"
#include "kernel/mm/vmobject.h"
#include "kernel/syscall/syscall.h"
#include "kernel/task/sched.h"
#include "kernel/task/task.h"

#define PROT_KNOWN (PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM)
#define RELAX_PAGES 1024
#define PROT_RIGHTS (PROT_READ | PROT_WRITE | PROT_EXEC)

static struct aspace *current_aspace(void)
{
    return current()->aspace;
}

// The object and offset that f gives for a mapping (no new reference), and flags that are to be
// added. 0 or -errno: EACCES, EPERM, ENODEV, mmap(2).
static int object_of_file(struct file *f, u64 offset, u64 len, u32 prot, u32 *flags,
                          struct vmobject **obj, u64 *page_offset)
{
    bool shared = (*flags & MAP_TYPE) != MAP_PRIVATE;

    if (!(f->kind & FILE_READ))
        return -EACCES;
    if (shared && !(f->kind & FILE_WRITE)) {
        if (prot & PROT_WRITE)
            return -EACCES;
        *flags |= AREA_DENY_WRITE;
    }
    if (prot & PROT_EXEC && f->path.mount && f->path.mount->flags & MS_NOEXEC)
        return -EPERM;
    *page_offset = offset >> PAGE_SHIFT;
    if (f->ops->mmap)
        return f->ops->mmap(f, offset, len, prot, *flags, obj, page_offset);
    *obj = f->inode && S_ISREG(f->inode->mode) ? f->inode->mapping : NULL;
    return *obj ? 0 : -ENODEV;
}

static long map_file(u64 addr, u64 length, u32 prot, u32 flags, int fd, u64 offset)
{
    struct file *f = fd_get(fd);
    struct vmobject *obj = NULL;
    u64 page_offset;

    if (!f)
        return -EBADF;
    long result = object_of_file(f, offset, length, prot, &flags, &obj, &page_offset);
    if (!result)
        result = aspace_map(current_aspace(), addr, length, prot, flags, obj, page_offset, f, NULL);
    file_put(f);
    return result;
}

static long map_shared_anonymous(u64 addr, u64 length, u32 prot, u32 flags)
{
    struct vmobject *obj = anon_object_create(ALIGN_UP(length, PAGE_SIZE) >> PAGE_SHIFT);

    if (IS_ERR(obj))
        return PTR_ERR(obj);
    long result =
        aspace_map(current_aspace(), addr, length, prot, flags, obj, 0, NULL, "/dev/zero");
    vmobject_put(obj);
    return result;
}

long sys_mmap(u64 addr, u64 length, int prot, int flags, int fd, u64 offset)
{
    u32 type = flags & MAP_TYPE, rights = prot & PROT_RIGHTS, map_flags = flags;

    map_flags &= ~(u32)AREA_FLAGS;
    if (type == MAP_SHARED_VALIDATE)
        map_flags = (map_flags & ~(u32)MAP_TYPE) | MAP_SHARED;
    else if (type != MAP_SHARED && type != MAP_PRIVATE)
        return -EINVAL;
    if (offset & ~PAGE_MASK || length == 0)
        return -EINVAL;
    if (!(flags & MAP_ANONYMOUS))
        return map_file(addr, length, rights, map_flags, fd, offset);
    if (type != MAP_PRIVATE)
        return map_shared_anonymous(addr, length, rights, map_flags);
    return aspace_map(current_aspace(), addr, length, rights, map_flags, NULL, 0, NULL, NULL);
}

long sys_munmap(u64 addr, u64 length)
{
    return aspace_unmap(current_aspace(), addr, length);
}

long sys_mprotect(u64 addr, u64 length, int prot)
{
    if (prot & ~(PROT_KNOWN | PROT_GROWSDOWN | PROT_GROWSUP))
        return -EINVAL;
    struct aspace *as = current_aspace();
    struct area *a = prot & PROT_GROWSDOWN ? aspace_find(as, addr) : NULL;
    if (a && a->flags & MAP_GROWSDOWN) {
        length += addr - a->start;
        addr = a->start;
    }
    return aspace_protect(as, addr, length, prot & PROT_RIGHTS);
}

long sys_brk(u64 addr)
{
    return aspace_brk(current_aspace(), addr);
}

long sys_mremap(u64 old_addr, u64 old_size, u64 new_size, int flags, u64 new_addr)
{
    return aspace_remap(current_aspace(), old_addr, old_size, new_size, flags, new_addr);
}

long sys_madvise(u64 addr, u64 length, int advice)
{
    return aspace_advise(current_aspace(), addr, length, advice);
}

// 0 if areas cover all of [start, start + len), else -ENOMEM; -EINVAL if start is not aligned.
static int range_mapped(u64 start, u64 len)
{
    u64 end = start + ALIGN_UP(len, PAGE_SIZE);

    if (start & ~PAGE_MASK)
        return -EINVAL;
    if (end < start || end > USER_END)
        return -ENOMEM;
    for (struct area *a; start < end; start = a->end)
        if (!(a = aspace_find(current_aspace(), start)))
            return -ENOMEM;
    return 0;
}

long sys_msync(u64 addr, u64 length, int flags)
{
    if (flags & ~(MS_ASYNC | MS_SYNC | MS_INVALIDATE) || (flags & MS_ASYNC && flags & MS_SYNC))
        return -EINVAL;
    return range_mapped(addr, length);
}

long sys_mincore(u64 addr, u64 length, u8 *vec)
{
    struct aspace *as = current_aspace();
    int err = range_mapped(addr, length);

    for (u64 i = 0; !err && i * PAGE_SIZE < length; i++) {
        pte_t *pte = pagetable_walk(as->pml4, addr + i * PAGE_SIZE, false, NULL);
        u8 resident = pte && *pte;
        err = put_user(resident, (u8 __user *)vec + i);
        if (i % RELAX_PAGES == 0)
            cond_resched();
        if (fatal_signal_pending())
            return -EINTR;
    }
    return err;
}

// Nothing is ever paged out: memory is locked once it is there.
long sys_mlock(u64 addr, u64 length)
{
    length += addr & ~PAGE_MASK;
    addr &= PAGE_MASK;
    int err = range_mapped(addr, length);
    if (!err && aspace_populate(current_aspace(), addr, length, false) != 0)
        err = -ENOMEM;
    return err;
}

long sys_munlock(u64 addr, u64 length)
{
    return range_mapped(addr & PAGE_MASK, length + (addr & ~PAGE_MASK));
}

long sys_mlockall(int flags)
{
    return flags && !(flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) ? 0 : -EINVAL;
}

long sys_munlockall(void)
{
    return 0;
}
