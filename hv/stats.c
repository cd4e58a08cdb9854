// KVM_GET_STATS_FD: what a VM or a vCPU has counted, as a file that describes itself (api.rst,
// 4.134): a header, an id, a descriptor for each count, and the counts.

#include "hv/hv.h"

#include <linux/fcntl.h>

#include "kernel/fs/uio.h"
#include "kernel/fs/vfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/printf.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"

#define NAME_SIZE 48

enum {
    VCPU_COUNTS = HV_EXIT_UNKNOWN + 2, // the exits of each kind, and all of them
    VM_COUNTS = sizeof(struct vm_stats) / sizeof(u64),
    MOST_COUNTS = VCPU_COUNTS,
};

// A count of a vCPU, by enum hv_exit_kind.
static const char *exits_name(enum hv_exit_kind kind)
{
    switch (kind) {
    case HV_EXIT_HOST_EVENT:
        return "irq_exits";
    case HV_EXIT_IO:
        return "io_exits";
    case HV_EXIT_CPUID:
        return "cpuid_exits";
    case HV_EXIT_RDMSR:
        return "rdmsr_exits";
    case HV_EXIT_WRMSR:
        return "wrmsr_exits";
    case HV_EXIT_HLT:
        return "halt_exits";
    case HV_EXIT_NESTED_FAULT:
        return "pf_taken";
    case HV_EXIT_IRQ_WINDOW:
        return "irq_window_exits";
    case HV_EXIT_SKIP:
        return "skipped";
    case HV_EXIT_UNDEFINED:
        return "undefined";
    case HV_EXIT_MWAIT:
        return "mwait_exits";
    case HV_EXIT_XSETBV:
        return "xsetbv_exits";
    case HV_EXIT_HYPERCALL:
        return "hypercalls";
    case HV_EXIT_DEBUG:
        return "debug_exits";
    case HV_EXIT_SHUTDOWN:
        return "shutdowns";
    case HV_EXIT_FAIL_ENTRY:
        return "fail_entries";
    case HV_EXIT_HANDLED:
        return "vendor_exits";
    case HV_EXIT_UNKNOWN:
        return "unknown_exits";
    }
    return "exits";
}

// A count of struct vm_stats.
static const char *vm_count_name(u32 i)
{
    static const char *const names[] = {"remote_tlb_flush", "pages_4k", "pages_2m"};

    static_assert(ARRAY_SIZE(names) == VM_COUNTS, "a name for each");
    return names[i];
}

struct stats {
    struct vm *vm; // a reference
    int vcpu;      // its id; -1: the VM's own
};

struct descriptor {
    struct kvm_stats_desc head;
    char name[NAME_SIZE];
};

struct layout {
    struct kvm_stats_header header;
    char id[NAME_SIZE];
    struct descriptor descriptor[MOST_COUNTS];
    u64 value[MOST_COUNTS];
};
static_assert(VM_COUNTS <= MOST_COUNTS, "one layout for both");

static void describe(struct descriptor *d, u32 i, const char *name, u32 type)
{
    d->head = (struct kvm_stats_desc){.flags = type | KVM_STATS_UNIT_NONE | KVM_STATS_BASE_POW10,
                                      .size = 1,
                                      .offset = i * sizeof(u64)};
    strlcpy(d->name, name, NAME_SIZE);
}

static void fill_vm(struct layout *l, const struct vm *vm)
{
    l->header.num_desc = VM_COUNTS;
    strlcpy(l->id, "kvm", NAME_SIZE);
    for (u32 i = 0; i < VM_COUNTS; i++)
        describe(&l->descriptor[i], i, vm_count_name(i),
                 i ? KVM_STATS_TYPE_INSTANT : KVM_STATS_TYPE_CUMULATIVE);
    memcpy(l->value, &vm->stats, sizeof(vm->stats));
}

static void fill_vcpu(struct layout *l, const struct vm *vm, int id)
{
    const struct vcpu *v = vm->vcpu[id];

    l->header.num_desc = VCPU_COUNTS;
    snprintf(l->id, NAME_SIZE, "kvm/vcpu-%d", id);
    for (u32 i = 0; i < VCPU_COUNTS; i++)
        describe(&l->descriptor[i], i, exits_name(i), KVM_STATS_TYPE_CUMULATIVE);
    if (!v) // closed since: zeros
        return;
    memcpy(l->value, v->exits, sizeof(v->exits));
    l->value[VCPU_COUNTS - 1] = vcpu_exits(v);
}

static void fill(struct layout *l, const struct stats *s)
{
    l->header = (struct kvm_stats_header){.name_size = NAME_SIZE,
                                          .id_offset = offsetof(struct layout, id),
                                          .desc_offset = offsetof(struct layout, descriptor),
                                          .data_offset = offsetof(struct layout, value)};
    if (s->vcpu < 0)
        fill_vm(l, s->vm);
    else
        fill_vcpu(l, s->vm, s->vcpu);
}

static long stats_read(struct file *f, struct uio *u, u64 *pos)
{
    if (*pos >= sizeof(struct layout))
        return 0;
    struct layout *l = kzalloc(sizeof(*l));
    if (!l)
        return -ENOMEM;
    fill(l, f->private);
    long done = uio_write(u, (char *)l + *pos, min(u->resid, sizeof(*l) - *pos));
    kfree(l);
    if (done > 0)
        *pos += done;
    return done;
}

// The position stays, as KVM has it: who wants another place uses pread(2).
static long stats_lseek(struct file *f, s64 offset, int whence)
{
    return f->pos;
}

static void stats_release(struct file *f)
{
    struct stats *s = f->private;

    vm_put(s->vm);
    kfree(s);
}

static const struct file_ops stats_fops = {
    .read = stats_read, .lseek = stats_lseek, .release = stats_release};

int stats_open(struct vm *vm, int vcpu)
{
    struct stats *s = kzalloc_charged(sizeof(*s));

    if (!s)
        return -ENOMEM;
    *s = (struct stats){.vm = vm_get(vm), .vcpu = vcpu};
    int fd = anon_file_install(vcpu < 0 ? "kvm-vm-stats" : "kvm-vcpu-stats", &stats_fops, s,
                               O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        vm_put(vm);
        kfree(s);
    }
    return fd;
}
