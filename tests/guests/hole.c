/* Memory that is not there: the VGA's hole and what lies above RAM. Reads give ones, writes do
 * nothing, and neighbours stay whole. */
#include "tests/guests/lib/guest.h"

static int wrong;

static void expect(const char *what, uint64_t address, uint64_t got, uint64_t expected)
{
    if (got == expected)
        return;
    print("%s at 0x%llx: 0x%llx, expected 0x%llx\n", what, (unsigned long long)address,
          (unsigned long long)got, (unsigned long long)expected);
    wrong++;
}

static void probe(uint64_t address)
{
    volatile uint8_t *b = (volatile uint8_t *)address;
    volatile uint16_t *w = (volatile uint16_t *)address;
    volatile uint32_t *l = (volatile uint32_t *)address;
    volatile uint64_t *q = (volatile uint64_t *)address;

    expect("byte", address, *b, 0xff);
    expect("word", address, *w, 0xffff);
    expect("long", address, *l, 0xffffffff);
    expect("quad", address, *q, UINT64_MAX);
    *b = 1;
    *w = 2;
    *l = 3;
    *q = 4;
    *l |= 5;
    (*q)++;
    expect("quad after writes", address, *q, UINT64_MAX);
    expect("signed byte", address, (uint64_t)(int64_t) * (volatile int8_t *)address, UINT64_MAX);
}

int guest_main(const char *command_line)
{
    uint64_t end = 0x100000 + (uint64_t)memory_kib() * 1024;
    volatile uint64_t *last = (volatile uint64_t *)(end - 8);

    *last = 0x0123456789abcdef;
    probe(0xa0000);
    probe(0xbfff8);
    probe(end);
    probe(end + 0x12345678);
    probe(0xfed00000);
    expect("last quad of memory", end - 8, *last, 0x0123456789abcdef);
    print("holes probed, %d wrong\n", wrong);
    return wrong != 0;
}
