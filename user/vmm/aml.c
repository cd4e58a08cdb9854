/* Writing ACPI's machine language, as much of it as the DSDT needs. */
#include "user/vmm/aml.h"

#include <assert.h>
#include <string.h>

#include "user/vmm/bus.h"

enum { OP_NAME = 0x08, OP_DWORD = 0x0c, OP_SCOPE = 0x10, OP_BUFFER = 0x11, OP_PACKAGE = 0x12 };
enum { OP_EXTENDED = 0x5b, OP_DEVICE = 0x82 };

static void put(struct aml *a, const void *bytes, size_t n)
{
    assert(n <= sizeof(a->data) - a->size);
    memcpy(a->data + a->size, bytes, n);
    a->size += n;
}

static void put_byte(struct aml *a, uint8_t byte)
{
    put(a, &byte, 1);
}

static void put_number(struct aml *a, uint32_t value)
{
    put_byte(a, OP_DWORD);
    put(a, &value, sizeof(value));
}

static void put_name(struct aml *a, const char *name)
{
    put_byte(a, OP_NAME);
    put(a, name, 4);
}

/* A construct with a length: what begin returns is for end. Lengths have two bytes, the first with
 * the low four bits (ACPI 20.2.4). */
static size_t begin(struct aml *a, uint8_t op)
{
    put_byte(a, op);
    a->size += 2;
    return a->size - 2;
}

static void end(struct aml *a, size_t at)
{
    size_t length = a->size - at;

    a->data[at] = (uint8_t)(0x40 | (length & 15));
    a->data[at + 1] = (uint8_t)(length >> 4);
}

static void put_soft_off(struct aml *a)
{
    put_name(a, "_S5_");
    size_t package = begin(a, OP_PACKAGE);
    put_byte(a, 4);
    for (int i = 0; i < 4; i++)
        put_number(a, i < 2 ? 5 : 0); /* the sleep types for the two control registers */
    end(a, package);
}

/* _CRS, what the bus takes and hands on (ACPI 6.4: 6.4.2.5, 6.4.3.5): bus 0, the configuration
 * ports, and the devices' memory. */
static void put_windows(struct aml *a)
{
    const uint8_t fixed = 0x0c, read_write = 1;
    const uint8_t buses[] = {0x88, 13, 0, 2, fixed, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0};
    const uint8_t ports[] = {0x47, 1, 0xf8, 0x0c, 0xf8, 0x0c, 1, 8};
    const uint8_t memory[] = {0x87, 23, 0, 0, fixed, read_write};
    const uint32_t range[] = {0, BUS_MEMORY, BUS_MEMORY_END - 1, 0, BUS_MEMORY_END - BUS_MEMORY};
    const uint8_t end_tag[] = {0x79, 0};

    put_name(a, "_CRS");
    size_t buffer = begin(a, OP_BUFFER);
    put_number(a, sizeof(buses) + sizeof(ports) + sizeof(memory) + sizeof(range) + sizeof(end_tag));
    put(a, buses, sizeof(buses));
    put(a, ports, sizeof(ports));
    put(a, memory, sizeof(memory));
    put(a, range, sizeof(range));
    put(a, end_tag, sizeof(end_tag));
    end(a, buffer);
}

/* _PRT: the interrupt line of each slot's pin A. */
static void put_lines(struct aml *a)
{
    put_name(a, "_PRT");
    size_t table = begin(a, OP_PACKAGE);
    put_byte(a, BUS_DEVICES);
    for (uint32_t slot = 1; slot <= BUS_DEVICES; slot++) {
        size_t line = begin(a, OP_PACKAGE);
        put_byte(a, 4);
        put_number(a, slot << 16 | 0xffff);
        put_number(a, 0);
        put_number(a, 0);
        put_number(a, bus_irq(slot));
        end(a, line);
    }
    end(a, table);
}

void aml_machine(struct aml *a, bool pci)
{
    const uint32_t pci_root = 0x030ad041; /* the EISA id PNP0A03 */

    put_soft_off(a);
    if (!pci)
        return;
    size_t scope = begin(a, OP_SCOPE);
    put(a, "\\_SB_", 5);
    put_byte(a, OP_EXTENDED);
    size_t device = begin(a, OP_DEVICE);
    put(a, "PCI0", 4);
    put_name(a, "_HID");
    put_number(a, pci_root);
    put_windows(a);
    put_lines(a);
    end(a, device);
    end(a, scope);
}
