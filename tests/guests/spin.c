/* Never leaves the guest by itself. With `if=1` interrupts are on. */
#include "tests/guests/lib/guest.h"

int guest_main(const char *command_line)
{
    print("spinning\n");
    if (option_number(command_line, "if", 0))
        __asm__ volatile("sti");
    for (;;)
        __asm__ volatile("jmp .");
}
