// CPUID for guests: what the host can offer (KVM_GET_SUPPORTED_CPUID) and what this guest was given
// (KVM_SET_CPUID2).

#include "hv/hv.h"

#include <linux/kvm_para.h>

#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/mm/usercopy.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/fpu.h"
#include "kernel/x86/percpu.h"

#define AMD_ECX 0x444d4163 // "cAMD": how the name of the vendor in leaf 0 ends
// Leaf 1.
#define ECX1_MONITOR BIT(3)
#define ECX1_VMX BIT(5)
#define ECX1_SMX BIT(6)
#define ECX1_EIST BIT(7)
#define ECX1_TM2 BIT(8)
#define ECX1_CMPXCHG16B BIT(13)
#define ECX1_PDCM BIT(15)
#define ECX1_PCID BIT(17)
#define ECX1_X2APIC BIT(21)
#define ECX1_TSC_DEADLINE BIT(24)
#define ECX1_OSXSAVE BIT(27)
#define ECX1_HYPERVISOR BIT(31)
#define EDX1_MCE BIT(7)
#define EDX1_APIC BIT(9)
#define EDX1_MTRR BIT(12)
#define EDX1_MCA BIT(14)
#define EDX1_DS BIT(21)
#define EDX1_ACPI BIT(22)
// Leaf 6.
#define EAX6_ARAT BIT(2)
// Leaf 7.
#define EBX7_TSC_ADJUST BIT(1)
#define EBX7_INVPCID BIT(10)
#define EBX7_PQM BIT(12)
#define EBX7_MPX BIT(14)
#define EBX7_RDTA BIT(15)
#define EBX7_INTEL_PT BIT(25)
// What leaf 7 may say in ECX: UMIP, and instructions that need neither a bit of CR4 nor an MSR.
#define ECX7_GUEST (BIT(1) | BIT(2) | BIT(6) | 0x5f00 | BIT(25) | BIT(27) | BIT(28))
// Leaf 8000_0001.
#define ECX81_SVM BIT(2)
#define ECX81_SKINIT BIT(12)
#define EDX81_RDTSCP BIT(27)

// CMPXCHG16B changes ZF and no other flag. QEMU before version 8 takes the others from where it has
// not stored them yet, and the RFLAGS of a guest that exits then has reserved bits, VM or TF set.
static bool cmpxchg16b_spoils_flags(void)
{
    static u64 pair[2] __aligned(16);
    u64 low = 1, high = 0, sum = 0, flags;

    asm volatile("pushf; popf; add %[ones], %[sum]; cmpxchg16b %[pair]; pushf; pop %[flags]"
                 : [flags] "=&r"(flags), [sum] "+&r"(sum), [pair] "+m"(pair), "+a"(low), "+d"(high)
                 : [ones] "r"(~0UL), "b"(0UL), "c"(0UL)
                 : "cc", "memory");
    return flags & RFLAGS_RESERVED;
}

// Takes out of a leaf of the host what a guest cannot have.
static void restrict_leaf(struct kvm_cpuid_entry2 *e)
{
    switch (e->function) {
    case 1:
        e->ecx &= ~(u32)(ECX1_MONITOR | ECX1_VMX | ECX1_SMX | ECX1_EIST | ECX1_TM2 | ECX1_PDCM |
                         ECX1_PCID | ECX1_TSC_DEADLINE | ECX1_OSXSAVE);
        e->ecx |= ECX1_HYPERVISOR | ECX1_X2APIC;
        if (cmpxchg16b_spoils_flags())
            e->ecx &= ~(u32)ECX1_CMPXCHG16B;
        e->edx |= EDX1_APIC;
        e->edx &= ~(u32)(EDX1_MCE | EDX1_MTRR | EDX1_MCA | EDX1_DS | EDX1_ACPI);
        e->ebx &= 0x0000ffff; // the APIC id is the vCPU's
        break;
    case 6: // temperature and power belong to the host; the APIC's timer always runs
        e->eax = EAX6_ARAT;
        e->ebx = e->ecx = e->edx = 0;
        break;
    case 7:
        e->ebx &= ~(u32)(EBX7_INVPCID | EBX7_PQM | EBX7_MPX | EBX7_RDTA | EBX7_INTEL_PT);
        e->ebx |= EBX7_TSC_ADJUST;
        e->ecx &= ECX7_GUEST;
        e->edx = 0;
        break;
    case 0xa: // performance monitoring
        e->eax = e->ebx = e->ecx = e->edx = 0;
        break;
    case 0xd:
        if (e->index == 0) {
            e->eax &= fpu_xcr0();
            e->edx &= fpu_xcr0() >> 32;
        } else if (e->index == 1) {
            e->eax &= 1; // XSAVEOPT; no XSAVES
            e->ebx = e->ecx = e->edx = 0;
        } else if (!(fpu_xcr0() & BIT(e->index))) {
            e->eax = e->ebx = e->ecx = e->edx = 0;
        }
        break;
    case 0x80000001:
        e->ecx &= ~(u32)(ECX81_SVM | ECX81_SKINIT);
        e->edx &= ~(u32)EDX81_RDTSCP;
        break;
    case 0x8000000a:
        e->eax = e->ebx = e->ecx = e->edx = 0;
        break;
    }
}

static unsigned add_leaf(struct kvm_cpuid_entry2 *e, unsigned n, unsigned max, u32 function,
                         u32 index, u32 flags)
{
    if (n >= max)
        return n;
    struct cpuid c = cpuid(function, index);
    e[n] = (struct kvm_cpuid_entry2){.function = function,
                                     .index = index,
                                     .flags = flags,
                                     .eax = c.eax,
                                     .ebx = c.ebx,
                                     .ecx = c.ecx,
                                     .edx = c.edx};
    restrict_leaf(&e[n]);
    return n + 1;
}

static unsigned subleaves(u32 function)
{
    switch (function) {
    case 4:
    case 0xb:
        return 4;
    case 0xd: // where each component of XSAVE's area is
        return fpu_xcr0() ? 64 - __builtin_clzl(fpu_xcr0()) : 2;
    default:
        return 1;
    }
}

static unsigned add_range(struct kvm_cpuid_entry2 *e, unsigned n, unsigned max, u32 base)
{
    u32 last = cpuid(base, 0).eax;

    for (u32 f = base; f <= last && f <= base + 0x1f; f++) {
        bool indexed = f == 4 || f == 7 || f == 0xb || f == 0xd;
        for (u32 index = 0; index < subleaves(f); index++)
            n = add_leaf(e, n, max, f, index, indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0);
    }
    return n;
}

unsigned cpuid_supported(struct kvm_cpuid_entry2 *e, unsigned max)
{
    unsigned n = add_range(e, 0, max, 0);

    if (n + 2 <= max) {
        e[n] =
            (struct kvm_cpuid_entry2){.function = KVM_CPUID_SIGNATURE, .eax = KVM_CPUID_FEATURES};
        memcpy(&e[n].ebx, KVM_SIGNATURE, 4);
        memcpy(&e[n].ecx, KVM_SIGNATURE + 4, 4);
        memcpy(&e[n].edx, KVM_SIGNATURE + 8, 4);
        e[n + 1] = (struct kvm_cpuid_entry2){
            .function = KVM_CPUID_FEATURES,
            .eax = BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_NOP_IO_DELAY) |
                   BIT(KVM_FEATURE_CLOCKSOURCE2) | BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT)};
        n += 2;
    }
    return add_range(e, n, max, 0x80000000);
}

const struct kvm_cpuid_entry2 *cpuid_find(const struct vcpu *v, u32 function, u32 index)
{
    for (u32 i = 0; i < v->cpuid_count; i++) {
        const struct kvm_cpuid_entry2 *e = &v->cpuid[i];
        if (e->function == function &&
            (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == index))
            return e;
    }
    return NULL;
}

// The BIOS's switch in IA32_MISC_ENABLE counts where the VMM wants it to.
bool cpuid_has_mwait(const struct vcpu *v)
{
    const struct kvm_cpuid_entry2 *e = cpuid_find(v, 1, 0);

    if (v->vm->quirks_off & KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT)
        return v->misc_enable & MISC_ENABLE_MWAIT;
    return e && (e->ecx & ECX1_MONITOR);
}

static bool same_cpuid(const struct vcpu *v, const struct kvm_cpuid_entry2 *e, u32 n)
{
    bool same = n == v->cpuid_count;

    for (u32 i = 0; same && i < n; i++)
        same = !memcmp(&e[i], &v->cpuid[i], offsetof(struct kvm_cpuid_entry2, padding));
    return same;
}

long cpuid_set(struct vcpu *v, u64 arg)
{
    struct kvm_cpuid2 __user *user = (void *)arg;
    struct kvm_cpuid2 head;
    long err = 0;

    if (copy_from_user(&head, user, sizeof(head)))
        return -EFAULT;
    if (head.nent > HV_MAX_CPUID)
        return -E2BIG;
    size_t size = head.nent * sizeof(v->cpuid[0]);
    struct kvm_cpuid_entry2 *e = kmalloc(max(size, sizeof(*e)));
    if (!e)
        return -ENOMEM;
    if (copy_from_user(e, user->entries, size)) {
        err = -EFAULT;
    } else if (v->cpu != MAX_CPUS) { // it has run
        err = same_cpuid(v, e, head.nent) ? 0 : -EINVAL;
    } else {
        memcpy(v->cpuid, e, size);
        v->cpuid_count = head.nent;
    }
    kfree(e);
    return err;
}

// What a processor that is not AMD's gives for a leaf above the highest of its range: the highest
// basic leaf (SDM 2, CPUID). Leaves within a range that are not there are zeros.
static const struct kvm_cpuid_entry2 *above_range(const struct vcpu *v, u32 function, u32 index)
{
    const struct kvm_cpuid_entry2 *basic = cpuid_find(v, 0, 0), *range;
    u32 first = function & 0x80000000;

    if (!basic || basic->ecx == AMD_ECX)
        return NULL;
    if (function >> 28 == 4)
        first = function & 0xffffff00;
    else if (function >= 0xc0000000)
        first = 0xc0000000;
    range = cpuid_find(v, first, 0);
    return range && function <= range->eax ? NULL : cpuid_find(v, basic->eax, index);
}

// The CPUID instruction: the entry that user space set.
void cpuid_emulate(struct vcpu *v)
{
    u32 function = v->reg[RAX], index = v->reg[RCX];
    const struct kvm_cpuid_entry2 *e = cpuid_find(v, function, index), none = {0};
    struct hv_mode mode;

    if (!e)
        e = above_range(v, function, index) ?: &none;
    u32 ebx = e->ebx, ecx = e->ecx, edx = e->edx;
    if (function == 1) {
        hv_ops->get_mode(v, &mode);
        ecx = (ecx & ~(u32)ECX1_OSXSAVE) | (mode.cr4 & CR4_OSXSAVE ? ECX1_OSXSAVE : 0);
        if (v->vm->quirks_off & KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT)
            ecx = (ecx & ~(u32)ECX1_MONITOR) | (cpuid_has_mwait(v) ? ECX1_MONITOR : 0);
        if (!(v->apic_base & APIC_BASE_ENABLED))
            edx &= ~(u32)EDX1_APIC;
    }
    v->reg[RAX] = e->eax;
    v->reg[RBX] = ebx;
    v->reg[RCX] = ecx;
    v->reg[RDX] = edx;
}
