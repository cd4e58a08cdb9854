// Finding and reading ACPI's MADT. The tables are the firmware's: every length is checked before it
// is used.
#include "kernel/x86/acpi.h"

#include "kernel/lib/string.h"
#include "kernel/x86/log.h"
#include "kernel/x86/paging.h"

#define EBDA_SEGMENT 0x40e // BIOS data area: segment of the EBDA
#define EBDA_SEARCH 1024
#define BIOS_START 0xe0000
#define BIOS_END 0x100000
#define RSDP_LENGTH 20 // of ACPI 1.0: what the first checksum covers
#define MAX_TABLE 65536

struct rsdp {
    char signature[8];
    u8 checksum;
    char oem[6];
    u8 revision;
    u32 rsdt;
    u32 length;
    u64 xsdt;
} __packed;
static_assert(sizeof(struct rsdp) == 32, "ACPI 6.5, table 5.3");

struct table {
    char signature[4];
    u32 length;
    u8 revision, checksum;
    char oem[6], oem_table[8];
    u32 oem_revision, creator, creator_revision;
} __packed;
static_assert(sizeof(struct table) == 36, "ACPI 6.5, table 5.4");

struct madt_table {
    struct table header;
    u32 lapic, flags;
    u8 entries[];
} __packed;

enum {
    MADT_LAPIC = 0,
    MADT_IOAPIC = 1,
    MADT_OVERRIDE = 2,
    MADT_LAPIC_ADDRESS = 5,
    MADT_X2APIC = 9
};

#define LAPIC_ENABLED 1
#define POLARITY_LOW 3
#define TRIGGER_LEVEL 3

union madt_entry {
    struct {
        u8 type, length;
    };
    struct {
        u8 head[2], processor, apic_id;
        u32 flags;
    } __packed lapic;
    struct {
        u8 head[2], id, reserved;
        u32 address, gsi_base;
    } __packed ioapic;
    struct {
        u8 head[2], bus, source;
        u32 gsi;
        u16 flags;
    } __packed override;
    struct {
        u8 head[2];
        u16 reserved;
        u64 address;
    } __packed lapic_address;
    struct {
        u8 head[2];
        u16 reserved;
        u32 apic_id, flags;
    } __packed x2apic;
};

struct madt madt;

static bool checksum_ok(const void *p, size_t n)
{
    u8 sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += ((const u8 *)p)[i];
    return sum == 0;
}

static const struct rsdp *search(paddr_t start, paddr_t end)
{
    for (paddr_t at = start; at + sizeof(struct rsdp) <= end; at += 16) {
        const struct rsdp *r = phys_to_virt(at);
        if (memcmp(r->signature, "RSD PTR ", 8) == 0 && checksum_ok(r, RSDP_LENGTH))
            return r;
    }
    return NULL;
}

static const struct rsdp *find_rsdp(void)
{
    paddr_t ebda = (paddr_t) * (const u16 *)phys_to_virt(EBDA_SEGMENT) << 4;
    const struct rsdp *r = NULL;

    if (ebda >= 0x80000 && ebda < 0xa0000)
        r = search(ebda, ebda + EBDA_SEARCH);
    return r ? r : search(BIOS_START, BIOS_END);
}

// The table at pa if it can be read and is whole.
static const struct table *table_at(paddr_t pa)
{
    if (!pa || pa + MAX_TABLE > direct_map_size())
        return NULL;
    const struct table *t = phys_to_virt(pa);
    if (t->length < sizeof(*t) || t->length > MAX_TABLE || !checksum_ok(t, t->length))
        return NULL;
    return t;
}

static const struct table *find_table(const struct rsdp *r, const char *signature)
{
    bool wide = r->revision >= 2 && r->xsdt;
    size_t step = wide ? 8 : 4;
    const struct table *root = table_at(wide ? r->xsdt : r->rsdt);

    if (!root)
        return NULL;
    for (size_t at = sizeof(*root); at + step <= root->length; at += step) {
        u64 pa = 0;
        memcpy(&pa, (const u8 *)root + at, step);
        const struct table *t = table_at(pa);
        if (t && memcmp(t->signature, signature, 4) == 0)
            return t;
    }
    return NULL;
}

static void add_cpu(u32 apic_id, u32 flags)
{
    if (!(flags & LAPIC_ENABLED))
        return;
    if (madt.cpu_count == MAX_CPUS) {
        kprintf("acpi: CPU with APIC id %u is not used: %d are the most\n", apic_id, MAX_CPUS);
        return;
    }
    madt.apic_id[madt.cpu_count++] = apic_id;
}

static void read_entry(const union madt_entry *e)
{
    switch (e->type) {
    case MADT_LAPIC:
        if (e->length >= sizeof(e->lapic))
            add_cpu(e->lapic.apic_id, e->lapic.flags);
        break;
    case MADT_X2APIC:
        if (e->length >= sizeof(e->x2apic))
            add_cpu(e->x2apic.apic_id, e->x2apic.flags);
        break;
    case MADT_IOAPIC:
        if (e->length >= sizeof(e->ioapic) && (!madt.has_ioapic || e->ioapic.gsi_base == 0)) {
            madt.has_ioapic = true;
            madt.ioapic = e->ioapic.address;
            madt.gsi_base = e->ioapic.gsi_base;
        }
        break;
    case MADT_OVERRIDE:
        if (e->length >= sizeof(e->override) && e->override.source < ISA_IRQS) {
            madt.isa[e->override.source].gsi = e->override.gsi;
            madt.isa[e->override.source].low = (e->override.flags & 3) == POLARITY_LOW;
            madt.isa[e->override.source].level = (e->override.flags >> 2 & 3) == TRIGGER_LEVEL;
        }
        break;
    case MADT_LAPIC_ADDRESS:
        if (e->length >= sizeof(e->lapic_address))
            madt.lapic = e->lapic_address.address;
        break;
    }
}

void acpi_init(void)
{
    const struct rsdp *r = find_rsdp();
    const struct madt_table *t = r ? (const void *)find_table(r, "APIC") : NULL;

    if (!t || t->header.length < sizeof(*t))
        return;
    madt.lapic = t->lapic;
    for (u32 i = 0; i < ISA_IRQS; i++)
        madt.isa[i].gsi = i;
    const u8 *p = t->entries, *end = (const u8 *)t + t->header.length;
    while (p + 2 <= end && p[1] >= 2 && p + p[1] <= end) {
        read_entry((const void *)p);
        p += p[1];
    }
}
