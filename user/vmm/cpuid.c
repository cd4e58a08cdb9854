/* What the guest's CPUID answers: what KVM supports, less nesting, and with the machine's own
 * topology. */
#include "user/vmm/machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "user/vmm/say.h"

enum { CPUID_ENTRIES = 128 };
enum { EAX, EBX, ECX, EDX };

/* SDM 2A, CPUID; APM 3, appendix E. */
enum { ECX1_MONITOR = 1 << 3, ECX1_VMX = 1 << 5, ECX1_TSC_DEADLINE = 1 << 24, EDX1_HTT = 1 << 28 };
enum { ECX81_SVM = 1 << 2, TYPE_SMT = 1 << 8, TYPE_CORE = 2 << 8 };
#define ECX1_HYPERVISOR 0x80000000u
#define ECX1_OSXSAVE (1u << 27) /* this and the next follow CR4 */
#define ECX7_OSPKE (1u << 4)

/* The bits of an APIC id that number the vCPUs. */
static uint32_t id_bits(uint32_t cpus)
{
    uint32_t bits = 0;

    while (1u << bits < cpus)
        bits++;
    return bits;
}

static void set_features(const struct vcpu *v, struct kvm_cpuid_entry2 *e)
{
    uint32_t cpus = v->m->vcpu_count;

    e->ecx &= ~(uint32_t)(ECX1_MONITOR | ECX1_VMX);
    e->ecx |= ECX1_HYPERVISOR;
    if (ioctl(v->m->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0)
        e->ecx |= ECX1_TSC_DEADLINE;
    e->ebx = (e->ebx & 0xffff) | cpus << 16 | v->id << 24;
    e->edx = cpus > 1 ? e->edx | EDX1_HTT : e->edx & ~(uint32_t)EDX1_HTT;
}

/* One package of single-threaded cores. */
static void set_leaf(const struct vcpu *v, struct kvm_cpuid_entry2 *e)
{
    uint32_t cpus = v->m->vcpu_count;

    switch (e->function) {
    case 1:
        set_features(v, e);
        break;
    case 4:
        if (e->eax & 0x1f) /* a cache: whose it is in 25:14, and how many cores in 31:26 */
            e->eax = (e->eax & 0x3fff) | ((1u << id_bits(cpus)) - 1) << 26;
        break;
    case 0xb:
        e->eax = e->index == 1 ? id_bits(cpus) : 0;
        e->ebx = e->index == 0 ? 1 : e->index == 1 ? cpus : 0;
        e->ecx = e->index | (e->index == 0 ? TYPE_SMT : e->index == 1 ? TYPE_CORE : 0);
        e->edx = v->id;
        break;
    case 0x80000001:
        e->ecx &= ~(uint32_t)ECX81_SVM;
        break;
    case 0x80000008:
        e->ecx = id_bits(cpus) << 12 | (cpus - 1);
        break;
    }
}

/* The entry of a leaf without subleaves; made if it is not there and there is room. */
static struct kvm_cpuid_entry2 *leaf(struct kvm_cpuid2 *cpuid, uint32_t function)
{
    for (uint32_t i = 0; i < cpuid->nent; i++)
        if (cpuid->entries[i].function == function)
            return &cpuid->entries[i];
    if (cpuid->nent == CPUID_ENTRIES)
        die(STATUS_USAGE, "KVM_GET_SUPPORTED_CPUID: too many leaves");
    struct kvm_cpuid_entry2 *e = &cpuid->entries[cpuid->nent++];
    *e = (struct kvm_cpuid_entry2){.function = function};
    return e;
}

/* Where KVM gives the processor no name it gets one: leaves 0x80000002 to 4 are 48 letters. */
static void name_processor(struct kvm_cpuid2 *cpuid)
{
    static const char name[48] = "Virtual processor of vmm";
    const uint32_t first = 0x80000002;

    if (leaf(cpuid, first)->eax)
        return;
    for (uint32_t i = 0; i < 3; i++) {
        struct kvm_cpuid_entry2 *e = leaf(cpuid, first + i);
        uint32_t part[4];
        memcpy(part, name + i * sizeof(part), sizeof(part));
        e->eax = part[0];
        e->ebx = part[1];
        e->ecx = part[2];
        e->edx = part[3];
    }
}

void machine_set_cpuid(struct vcpu *v)
{
    struct kvm_cpuid2 *cpuid =
        calloc(1, sizeof(*cpuid) + CPUID_ENTRIES * sizeof(cpuid->entries[0]));

    if (!cpuid)
        die(STATUS_USAGE, "no memory");
    cpuid->nent = CPUID_ENTRIES;
    if (ioctl(v->m->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
        die_errno("KVM_GET_SUPPORTED_CPUID");
    for (uint32_t i = 0; i < cpuid->nent; i++)
        set_leaf(v, &cpuid->entries[i]);
    name_processor(cpuid);
    if (ioctl(v->fd, KVM_SET_CPUID2, cpuid) < 0)
        die_errno("KVM_SET_CPUID2: vCPU %u", v->id);
    free(cpuid);
}

static uint32_t bits_in(const struct kvm_cpuid2 *cpuid, uint32_t function, uint32_t index,
                        unsigned which)
{
    for (uint32_t i = 0; i < cpuid->nent; i++)
        if (cpuid->entries[i].function == function && cpuid->entries[i].index == index)
            return (&cpuid->entries[i].eax)[which];
    return 0;
}

bool machine_lacks(const struct vcpu *v, const struct kvm_cpuid2 *wanted, struct cpuid_lack *lack)
{
    static const struct {
        uint32_t function, index, which, ignored;
    } sets[] = {
        {1, 0, ECX, ECX1_OSXSAVE}, {1, 0, EDX, 0},          {7, 0, EBX, 0},
        {7, 0, ECX, ECX7_OSPKE},   {7, 0, EDX, 0},          {0xd, 0, EAX, 0},
        {0xd, 1, EAX, 0},          {0x80000001, 0, ECX, 0}, {0x80000001, 0, EDX, 0},
        {0x80000008, 0, EBX, 0},
    };
    static const char *const names[] = {"eax", "ebx", "ecx", "edx"};
    struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 room[CPUID_ENTRIES];
    } here = {.head.nent = CPUID_ENTRIES};

    if (ioctl(v->fd, KVM_GET_CPUID2, &here) < 0)
        die_errno("KVM_GET_CPUID2: vCPU %u", v->id);
    for (unsigned i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        uint32_t function = sets[i].function, index = sets[i].index;
        uint32_t bits = bits_in(wanted, function, index, sets[i].which) & ~sets[i].ignored &
                        ~bits_in(&here.head, function, index, sets[i].which);
        *lack = (struct cpuid_lack){function, index, bits, names[sets[i].which]};
        if (bits)
            return true;
    }
    return false;
}
