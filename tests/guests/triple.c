/* Ends itself by a triple fault: an exception with no descriptor table to find its handler in. */
#include "tests/guests/lib/guest.h"

int guest_main(const char *command_line)
{
    const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) none = {0, 0};

    print("about to fault three times\n");
    __asm__ volatile("lidt %0; ud2" : : "m"(none));
    return 3;
}
