/* Touches memory: `touch` MiB above 4 MiB, a byte of each page, and checks that all of it kept its
 * value. */
#include "tests/guests/lib/guest.h"

enum { FROM = 4 << 20, PAGE = 4096 };

int guest_main(const char *command_line)
{
    uint64_t mib = option_number(command_line, "touch", 8), wrong = 0;
    volatile uint32_t *end = (volatile uint32_t *)(FROM + (mib << 20));

    for (volatile uint32_t *at = (volatile uint32_t *)(uint64_t)FROM; at < end; at += PAGE / 4)
        *at = (uint32_t)(uint64_t)at;
    for (volatile uint32_t *at = (volatile uint32_t *)(uint64_t)FROM; at < end; at += PAGE / 4)
        wrong += *at != (uint32_t)(uint64_t)at;
    print("touched %llu MiB, %llu pages wrong\n", (unsigned long long)mib,
          (unsigned long long)wrong);
    return wrong != 0;
}
