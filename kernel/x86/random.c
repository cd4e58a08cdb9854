// A counter through splitmix64's finaliser: good statistics, no secrecy.

#include "kernel/x86/random.h"

#include "kernel/boot/boot_info.h"
#include "kernel/lib/string.h"
#include "kernel/x86/clock.h"

static u64 state;
static bool seeded;

static void seed(void)
{
    char text[24];

    state = clock_realtime_offset();
    if (boot_option("viv.seed", text, sizeof(text)))
        parse_u64(text, false, &state);
    seeded = true;
}

static u64 next(void)
{
    u64 z = state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void random_bytes(void *buf, size_t n)
{
    u8 *at = buf;

    if (!seeded)
        seed();
    for (size_t done = 0; done < n; done += 8) {
        u64 word = next();
        memcpy(at + done, &word, min(n - done, (size_t)8));
    }
}
