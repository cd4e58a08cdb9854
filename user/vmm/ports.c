/* Who answers at which I/O port. */
#include "user/vmm/machine.h"

#include <string.h>

#include "user/vmm/acpi.h"
#include "user/vmm/bios.h"
#include "user/vmm/say.h"

enum {
    PORT_RESET_KEYBOARD = 0x64,
    PORT_FAST_A20 = 0x92,
    PORT_DEBUG_EXIT = 0xf4,
    PORT_BOCHS_SHUTDOWN = 0x8900,
};

static struct uart *uart_at(struct machine *m, uint16_t port)
{
    if (port >= 0x3f8 && port <= 0x3ff)
        return &m->com[0];
    if (port >= 0x2f8 && port <= 0x2ff)
        return &m->com[1];
    return NULL;
}

static uint8_t read_byte(struct machine *m, uint16_t port)
{
    struct uart *uart = uart_at(m, port);

    if (uart)
        return uart_read(uart, port & 7);
    if (port == 0x70 || port == 0x71)
        return cmos_read(&m->cmos, port);
    if (port == 0x60 || port == PORT_RESET_KEYBOARD)
        return 0; /* no key, and the controller is ready for commands */
    if (port == PORT_FAST_A20)
        return 2;
    if (port == ACPI_PM1A_ENABLE || port == ACPI_PM1A_ENABLE + 1)
        return m->pm1_enable[port & 1];
    if (port >= ACPI_PM1A_EVENT && port < ACPI_PM1A_CONTROL + 2)
        return port == ACPI_PM1A_CONTROL ? ACPI_SCI_ENABLED : 0;
    m->counts.ports_nowhere++;
    return 0xff;
}

/* Bochs's power-off: the word "Shutdown", a byte at a time. */
static void match_shutdown(struct machine *m, uint8_t letter)
{
    static const char word[] = "Shutdown";

    if (letter == (uint8_t)word[m->shutdown_matched])
        m->shutdown_matched++;
    else
        m->shutdown_matched = letter == 'S';
    if (m->shutdown_matched == strlen(word))
        machine_stop(m, STATUS_OK);
}

static void reset(struct machine *m)
{
    say("%s: the guest asked for a reset", m->name);
    machine_stop(m, STATUS_OK);
}

static void write_byte(struct vcpu *v, uint16_t port, uint8_t value)
{
    struct machine *m = v->m;
    struct uart *uart = uart_at(m, port);

    if (uart)
        uart_write(uart, port & 7, value);
    else if (port == 0x70 || port == 0x71)
        cmos_write(&m->cmos, port, value);
    else if (port == 0xe9)
        uart_write(&m->com[0], 0, value); /* Bochs's debug port: onto the console */
    else if (port == PORT_DEBUG_EXIT)
        machine_stop(m, value);
    else if (port == ACPI_PM1A_CONTROL + 1 && value & ACPI_SLEEP_ENABLE >> 8)
        machine_stop(m, STATUS_OK);
    else if (port == ACPI_PM1A_ENABLE || port == ACPI_PM1A_ENABLE + 1)
        m->pm1_enable[port & 1] = value;
    else if (port == BIOS_PORT)
        bios_call(v);
    else if (port == PORT_BOCHS_SHUTDOWN)
        match_shutdown(m, value);
    else if ((port == PORT_RESET_KEYBOARD && value == 0xfe) || (port == ACPI_RESET && value & 4))
        reset(m);
    else
        m->counts.ports_nowhere++;
}

/* A wide access to a byte-wide device goes to neighbouring ports. The one to the exit port is a
 * single value, and the one to PCI's address port does not reach the reset port inside it. */
void ports_access(struct vcpu *v, uint16_t port, bool out, uint8_t *data, unsigned size)
{
    struct machine *m = v->m;

    if (bus_port(&m->bus, port, out, data, size))
        return;
    if (out && port == PORT_DEBUG_EXIT)
        size = 1;
    for (unsigned i = 0; i < size && !m->stopped; i++) {
        uint16_t at = (uint16_t)(port + i);
        if (out)
            write_byte(v, at, data[i]);
        else
            data[i] = read_byte(m, at);
    }
}
