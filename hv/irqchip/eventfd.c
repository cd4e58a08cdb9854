// Interrupts from eventfds (KVM_IRQFD) and eventfds from the guest's writes (KVM_IOEVENTFD), so
// that a device model and its guest signal each other without an exit to user space.

#include "hv/irqchip/irqchip.h"

#include "kernel/fs/eventfd.h"
#include "kernel/fs/fdtable.h"
#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"

#define MAX_EVENTFDS 512 // of each kind and VM

struct irqfd {
    struct list link; // in vm->irqfds
    struct vm *vm;
    struct file *event, *resample; // references; resample: NULL for an edge
    u32 gsi;
    struct wait_entry entry; // in the eventfd's queue
};

struct ioeventfd {
    struct list link; // in vm->ioeventfds
    struct file *event;
    u64 addr, datamatch;
    u8 length; // 0: any
    bool pio, any_data;
};

// A reference to the eventfd that a descriptor stands for, or ERR_PTR.
static struct file *eventfd_get(int fd)
{
    struct file *f = fd_get(fd);

    if (!f)
        return ERR_PTR(-EBADF);
    if (is_eventfd(f))
        return f;
    file_put(f);
    return ERR_PTR(-EINVAL);
}

// Something was written: an edge, or a level that stands until the guest's end of interrupt.
static void irqfd_woken(struct wait_entry *e)
{
    struct irqfd *i = container_of(e, struct irqfd, entry);

    if (!eventfd_take(i->event))
        return;
    irqchip_line(i->vm, i->resample ? SOURCE_RESAMPLE : SOURCE_USER, i->gsi, true);
    if (!i->resample)
        irqchip_line(i->vm, SOURCE_USER, i->gsi, false);
}

void irqfd_acked(struct vm *vm, u32 gsi)
{
    struct irqfd *i;

    list_for_each (i, &vm->irqfds, link) {
        if (i->gsi != gsi || !i->resample)
            continue;
        irqchip_line(vm, SOURCE_RESAMPLE, gsi, false);
        eventfd_add(i->resample, 1);
    }
}

static void irqfd_free(struct irqfd *i)
{
    if (i->resample) {
        irqchip_line(i->vm, SOURCE_RESAMPLE, i->gsi, false);
        file_put(i->resample);
    }
    file_put(i->event);
    kfree(i);
}

static void irqfd_remove(struct irqfd *i)
{
    list_remove(&i->link);
    wait_remove(&i->entry);
    irqfd_free(i);
}

static long irqfd_assign(struct vm *vm, struct file *event, const struct kvm_irqfd *arg)
{
    struct irqfd *i;
    u32 count = 0;

    list_for_each (i, &vm->irqfds, link) {
        if (i->event == event)
            return -EBUSY;
        count++;
    }
    if (count >= MAX_EVENTFDS)
        return -ENOSPC;
    struct file *resample =
        arg->flags & KVM_IRQFD_FLAG_RESAMPLE ? eventfd_get(arg->resamplefd) : NULL;
    if (IS_ERR(resample))
        return PTR_ERR(resample);
    i = kzalloc_charged(sizeof(*i));
    if (!i) {
        if (resample)
            file_put(resample);
        return -ENOMEM;
    }
    *i = (struct irqfd){.vm = vm, .event = file_get(event), .resample = resample, .gsi = arg->gsi};
    i->entry.wake = irqfd_woken;
    list_append(&vm->irqfds, &i->link);
    wait_add(eventfd_queue(event), &i->entry);
    irqfd_woken(&i->entry); // what was written before counts
    return 0;
}

static void irqfd_deassign(struct vm *vm, struct file *event, u32 gsi)
{
    struct irqfd *i, *next;

    list_for_each_safe (i, next, &vm->irqfds, link) {
        if (i->event == event && i->gsi == gsi)
            irqfd_remove(i);
    }
}

static long ioctl_irqfd(struct vm *vm, u64 user)
{
    struct kvm_irqfd arg;
    long err = 0;

    if (copy_from_user(&arg, (void __user *)user, sizeof(arg)))
        return -EFAULT;
    if (!vm->irqchip || arg.gsi >= HV_MAX_ROUTES ||
        (arg.flags & ~(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE)))
        return -EINVAL;
    struct file *event = eventfd_get(arg.fd);
    if (IS_ERR(event))
        return PTR_ERR(event);
    if (arg.flags & KVM_IRQFD_FLAG_DEASSIGN)
        irqfd_deassign(vm, event, arg.gsi);
    else
        err = irqfd_assign(vm, event, &arg);
    file_put(event);
    return err;
}

static bool same_place(const struct ioeventfd *i, const struct kvm_ioeventfd *arg)
{
    return i->addr == arg->addr && i->pio == !!(arg->flags & KVM_IOEVENTFD_FLAG_PIO);
}

static bool same_match(const struct ioeventfd *i, const struct kvm_ioeventfd *arg)
{
    return i->length == arg->len && i->any_data == !(arg->flags & KVM_IOEVENTFD_FLAG_DATAMATCH) &&
           (i->any_data || i->datamatch == arg->datamatch);
}

// Two that one write could mean.
static bool collides(const struct ioeventfd *i, const struct kvm_ioeventfd *arg)
{
    bool any_data = !(arg->flags & KVM_IOEVENTFD_FLAG_DATAMATCH);

    return same_place(i, arg) &&
           (!i->length || !arg->len ||
            (i->length == arg->len && (i->any_data || any_data || i->datamatch == arg->datamatch)));
}

static long ioeventfd_assign(struct vm *vm, struct file *event, const struct kvm_ioeventfd *arg)
{
    struct ioeventfd *i;
    u32 count = 0;

    list_for_each (i, &vm->ioeventfds, link) {
        if (collides(i, arg))
            return -EEXIST;
        count++;
    }
    if (count >= MAX_EVENTFDS)
        return -ENOSPC;
    i = kzalloc_charged(sizeof(*i));
    if (!i)
        return -ENOMEM;
    *i = (struct ioeventfd){.event = file_get(event),
                            .addr = arg->addr,
                            .datamatch = arg->datamatch,
                            .length = arg->len,
                            .pio = arg->flags & KVM_IOEVENTFD_FLAG_PIO,
                            .any_data = !(arg->flags & KVM_IOEVENTFD_FLAG_DATAMATCH)};
    list_append(&vm->ioeventfds, &i->link);
    return 0;
}

static void ioeventfd_remove(struct ioeventfd *i)
{
    list_remove(&i->link);
    file_put(i->event);
    kfree(i);
}

static long ioeventfd_deassign(struct vm *vm, const struct file *event,
                               const struct kvm_ioeventfd *arg)
{
    struct ioeventfd *i, *next;

    list_for_each_safe (i, next, &vm->ioeventfds, link) {
        if (i->event == event && same_place(i, arg) && same_match(i, arg)) {
            ioeventfd_remove(i);
            return 0;
        }
    }
    return -ENOENT;
}

static bool ioeventfd_valid(const struct kvm_ioeventfd *arg)
{
    bool length = arg->len == 0 || arg->len == 1 || arg->len == 2 || arg->len == 4 || arg->len == 8;

    return length && arg->addr + arg->len >= arg->addr &&
           !(arg->flags & ~(KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_PIO |
                            KVM_IOEVENTFD_FLAG_DEASSIGN)) &&
           (arg->len || !(arg->flags & KVM_IOEVENTFD_FLAG_DATAMATCH));
}

static long ioctl_ioeventfd(struct vm *vm, u64 user)
{
    struct kvm_ioeventfd arg;

    if (copy_from_user(&arg, (void __user *)user, sizeof(arg)))
        return -EFAULT;
    if (!ioeventfd_valid(&arg))
        return -EINVAL;
    struct file *event = eventfd_get(arg.fd);
    if (IS_ERR(event))
        return PTR_ERR(event);
    long err = arg.flags & KVM_IOEVENTFD_FLAG_DEASSIGN ? ioeventfd_deassign(vm, event, &arg)
                                                       : ioeventfd_assign(vm, event, &arg);
    file_put(event);
    return err;
}

bool ioeventfd_write(struct vm *vm, bool pio, u64 addr, u8 size, u64 value)
{
    struct ioeventfd *i;

    list_for_each (i, &vm->ioeventfds, link) {
        if (i->addr != addr || i->pio != pio || (i->length && i->length != size) ||
            (!i->any_data && i->datamatch != value))
            continue;
        eventfd_add(i->event, 1);
        return true;
    }
    return false;
}

void eventfds_destroy(struct vm *vm)
{
    struct ioeventfd *io, *next_io;
    struct irqfd *irq, *next_irq;

    list_for_each_safe (irq, next_irq, &vm->irqfds, link)
        irqfd_remove(irq);
    list_for_each_safe (io, next_io, &vm->ioeventfds, link)
        ioeventfd_remove(io);
}

long eventfd_vm_ioctl(struct vm *vm, u32 cmd, u64 arg)
{
    if (cmd == KVM_IRQFD)
        return ioctl_irqfd(vm, arg);
    return cmd == KVM_IOEVENTFD ? ioctl_ioeventfd(vm, arg) : -ENOTTY;
}
