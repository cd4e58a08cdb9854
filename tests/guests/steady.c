/* Counts on COM1 while it writes to `pages` pages; each round it checks that every page has what
 * the last round wrote, so memory that is lost or old shows. `count` rounds, `work` times a page.
 */
#include "tests/guests/lib/guest.h"

enum { PAGE = 4096, FIRST = 4 << 20 };

static volatile uint64_t *page_at(uint64_t i)
{
    return (volatile uint64_t *)(uintptr_t)(FIRST + i * PAGE);
}

int guest_main(const char *command_line)
{
    uint64_t count = option_number(command_line, "count", 100);
    uint64_t pages = option_number(command_line, "pages", 64);
    uint64_t work = option_number(command_line, "work", 100);
    unsigned wrong = 0;

    for (uint64_t round = 1; round <= count; round++) {
        for (uint64_t i = 0; i < pages; i++) {
            volatile uint64_t *p = page_at(i);
            if (*p != (round - 1) * (i + 1))
                wrong++;
            for (uint64_t n = 0; n < work; n++)
                p[n % 512] = n;
            *p = round * (i + 1);
        }
        print("count %llu\n", (unsigned long long)round);
    }
    print("wrong %u\n", wrong);
    return wrong != 0;
}
