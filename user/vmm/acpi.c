/* The ACPI tables. The field names are the specification's. */
#include "user/vmm/acpi.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

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
enum { BOOT_NO_VGA = 1 << 2, BOOT_NO_MSI = 1 << 3, BOOT_NO_ASPM = 1 << 4 };

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

/* \_S5, the soft-off state: the sleep types for the two control registers (ACPI 7.4.2, and 20.2 for
 * the code: Name, Package of four, numbers). */
static const uint8_t dsdt_code[] = {0x08, '_',  'S',  '5',  '_',  0x12, 0x08,
                                    0x04, 0x0a, 0x05, 0x0a, 0x05, 0x00, 0x00};

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

static uint32_t put_fadt(struct guest_memory guest, uint32_t *next)
{
    struct {
        struct acpi_header header;
        uint8_t code[sizeof(dsdt_code)];
    } PACKED dsdt;

    memcpy(dsdt.code, dsdt_code, sizeof(dsdt_code));
    struct acpi_fadt fadt = {
        .dsdt = put_table(guest, next, "DSDT", 2, &dsdt, sizeof(dsdt)),
        .sci_int = SCI_IRQ,
        .pm1a_evt_blk = ACPI_PM1A_EVENT,
        .pm1a_cnt_blk = ACPI_PM1A_CONTROL,
        .pm1_evt_len = 4,
        .pm1_cnt_len = 2,
        .p_lvl2_lat = NO_C_STATE,
        .p_lvl3_lat = NO_C_STATE,
        .century = CMOS_CENTURY,
        .iapc_boot_arch = BOOT_NO_VGA | BOOT_NO_MSI | BOOT_NO_ASPM,
        .flags =
            FADT_WBINVD | FADT_POWER_BUTTON | FADT_SLEEP_BUTTON | FADT_FIX_RTC | FADT_RESET_REG,
        .reset_reg = {.space = SPACE_IO, .bits = 8, .access = 1, .address = ACPI_RESET},
        .reset_value = ACPI_RESET_VALUE,
    };
    return put_table(guest, next, "FACP", 3, &fadt, sizeof(fadt));
}

void acpi_put_tables(struct guest_memory guest)
{
    uint32_t next = ACPI_RSDP + 64;
    struct {
        struct acpi_header header;
        uint32_t entry[1];
    } PACKED rsdt;

    rsdt.entry[0] = put_fadt(guest, &next);
    struct acpi_rsdp rsdp = {
        .signature = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '},
        .oem_id = "VIVAR",
        .rsdt_address = put_table(guest, &next, "RSDT", 1, &rsdt, sizeof(rsdt)),
    };
    rsdp.checksum = checksum(&rsdp, sizeof(rsdp));
    memcpy(guest.ram + ACPI_RSDP, &rsdp, sizeof(rsdp));
}
