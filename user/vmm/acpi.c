/* The ACPI tables. The field names are the specification's. */
#include "user/vmm/acpi.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "user/vmm/aml.h"
#include "user/vmm/machine.h"

#define PACKED __attribute__((packed))

struct acpi_header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem_id[6], oem_table_id[8];
    uint32_t oem_revision;
    char creator_id[4];
    uint32_t creator_revision;
} PACKED;
static_assert(sizeof(struct acpi_header) == 36, "ACPI 5.2.6");

struct acpi_rsdp {
    char signature[8];
    uint8_t checksum;
    char oem_id[6];
    uint8_t revision;
    uint32_t rsdt_address;
} PACKED;
static_assert(sizeof(struct acpi_rsdp) == 20, "ACPI 5.2.5.3, revision 0");

struct acpi_address {
    uint8_t space, bits, offset, access;
    uint64_t address;
} PACKED;

enum { SPACE_IO = 1 };
enum {
    FADT_WBINVD = 1 << 0,
    FADT_POWER_BUTTON = 1 << 4, /* this and the next: there is none of the fixed kind */
    FADT_SLEEP_BUTTON = 1 << 5,
    FADT_FIX_RTC = 1 << 6,
    FADT_RESET_REG = 1 << 10
};
enum { BOOT_NO_VGA = 1 << 2, BOOT_NO_ASPM = 1 << 4 };

struct acpi_fadt {
    struct acpi_header header;
    uint32_t firmware_ctrl, dsdt;
    uint8_t reserved1, preferred_pm_profile;
    uint16_t sci_int;
    uint32_t smi_cmd;
    uint8_t acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
    uint32_t pm1a_evt_blk, pm1b_evt_blk, pm1a_cnt_blk, pm1b_cnt_blk, pm2_cnt_blk, pm_tmr_blk;
    uint32_t gpe0_blk, gpe1_blk;
    uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len, gpe0_blk_len, gpe1_blk_len;
    uint8_t gpe1_base, cst_cnt;
    uint16_t p_lvl2_lat, p_lvl3_lat, flush_size, flush_stride;
    uint8_t duty_offset, duty_width, day_alrm, mon_alrm, century;
    uint16_t iapc_boot_arch;
    uint8_t reserved2;
    uint32_t flags;
    struct acpi_address reset_reg;
    uint8_t reset_value, reserved3[3];
    uint64_t x_firmware_ctrl, x_dsdt;
    struct acpi_address x_blocks[8];
} PACKED;
static_assert(sizeof(struct acpi_fadt) == 244, "ACPI 5.2.9, revision 3");

enum { SCI_IRQ = 9, NO_C_STATE = 0xfff, CMOS_CENTURY = 0x32 };

/* ACPI 5.2.12: the interrupt chips where KVM has them. Source 0, the timer, is at the I/O APIC's
 * input 2. */
struct madt_cpu {
    uint8_t type, length, acpi_id, apic_id;
    uint32_t flags;
} PACKED;

struct acpi_madt {
    struct acpi_header header;
    uint32_t local_apic, flags;
    struct {
        uint8_t type, length, id, reserved;
        uint32_t address, gsi_base;
    } PACKED ioapic;
    struct {
        uint8_t type, length, bus, source;
        uint32_t gsi;
        uint16_t flags;
    } PACKED timer;
    struct madt_cpu cpu[MAX_VCPUS];
} PACKED;
static_assert(offsetof(struct acpi_madt, cpu) == 66, "ACPI 5.2.12");

enum { MADT_CPU = 0, MADT_IOAPIC = 1, MADT_SOURCE = 2, MADT_ENABLED = 1, MADT_PC_CHIPS = 1 };
#define LOCAL_APIC 0xfee00000u
#define IOAPIC 0xfec00000u

static uint8_t checksum(const void *data, size_t size)
{
    const uint8_t *byte = data;
    uint8_t sum = 0;

    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + byte[i]);
    return (uint8_t)-sum;
}

/* Fills in the header of the table that begins with it, and copies it, with what comes behind it,
 * to *next. Returns its address. */
static uint32_t put_table(struct guest_memory guest, uint32_t *next, const char *signature,
                          uint8_t revision, void *table, size_t size)
{
    struct acpi_header *h = table;
    uint32_t at = *next;

    *h = (struct acpi_header){.length = (uint32_t)size,
                              .revision = revision,
                              .oem_id = "VIVAR",
                              .oem_table_id = "VMM",
                              .oem_revision = 1,
                              .creator_id = {'V', 'M', 'M', ' '},
                              .creator_revision = 1};
    memcpy(h->signature, signature, sizeof(h->signature));
    h->checksum = checksum(table, size);
    memcpy(guest.ram + at, table, size);
    *next = (uint32_t)((at + size + 15) & ~15ull);
    return at;
}

static uint32_t put_dsdt(struct guest_memory guest, uint32_t *next, bool pci)
{
    struct aml aml = {.size = 0};
    struct {
        struct acpi_header header;
        uint8_t code[sizeof(aml.data)];
    } PACKED dsdt;

    aml_machine(&aml, pci);
    memcpy(dsdt.code, aml.data, aml.size);
    return put_table(guest, next, "DSDT", 2, &dsdt, sizeof(dsdt.header) + aml.size);
}

static uint32_t put_fadt(struct guest_memory guest, uint32_t *next, bool pci)
{
    struct acpi_fadt fadt = {
        .dsdt = put_dsdt(guest, next, pci),
        .sci_int = SCI_IRQ,
        .pm1a_evt_blk = ACPI_PM1A_EVENT,
        .pm1a_cnt_blk = ACPI_PM1A_CONTROL,
        .pm1_evt_len = 4,
        .pm1_cnt_len = 2,
        .p_lvl2_lat = NO_C_STATE,
        .p_lvl3_lat = NO_C_STATE,
        .century = CMOS_CENTURY,
        .iapc_boot_arch = BOOT_NO_VGA | BOOT_NO_ASPM,
        .flags =
            FADT_WBINVD | FADT_POWER_BUTTON | FADT_SLEEP_BUTTON | FADT_FIX_RTC | FADT_RESET_REG,
        .reset_reg = {.space = SPACE_IO, .bits = 8, .access = 1, .address = ACPI_RESET},
        .reset_value = ACPI_RESET_VALUE,
    };
    return put_table(guest, next, "FACP", 3, &fadt, sizeof(fadt));
}

static uint32_t put_madt(struct guest_memory guest, uint32_t *next, unsigned cpus)
{
    struct acpi_madt madt = {
        .local_apic = LOCAL_APIC,
        .flags = MADT_PC_CHIPS,
        .ioapic = {MADT_IOAPIC, sizeof(madt.ioapic), .address = IOAPIC},
        .timer = {MADT_SOURCE, sizeof(madt.timer), .source = 0, .gsi = 2},
    };

    for (unsigned i = 0; i < cpus; i++)
        madt.cpu[i] =
            (struct madt_cpu){MADT_CPU, sizeof(madt.cpu[i]), (uint8_t)i, (uint8_t)i, MADT_ENABLED};
    return put_table(guest, next, "APIC", 3, &madt,
                     offsetof(struct acpi_madt, cpu) + cpus * sizeof(madt.cpu[0]));
}

void acpi_put_tables(struct guest_memory guest, unsigned cpus, bool pci)
{
    uint32_t next = ACPI_RSDP + 64;
    struct {
        struct acpi_header header;
        uint32_t entry[2];
    } PACKED rsdt;

    rsdt.entry[0] = put_fadt(guest, &next, pci);
    rsdt.entry[1] = put_madt(guest, &next, cpus);
    struct acpi_rsdp rsdp = {
        .signature = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '},
        .oem_id = "VIVAR",
        .rsdt_address = put_table(guest, &next, "RSDT", 1, &rsdt, sizeof(rsdt)),
    };
    rsdp.checksum = checksum(&rsdp, sizeof(rsdp));
    memcpy(guest.ram + ACPI_RSDP, &rsdp, sizeof(rsdp));
}
