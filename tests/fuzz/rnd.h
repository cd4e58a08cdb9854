#pragma once
/* Random numbers of the fuzzers: one stream for each thread, all from one seed. */
#include <stddef.h>
#include <stdint.h>

static __thread uint64_t rnd_state = 1;

static inline uint64_t rnd(void)
{
    rnd_state ^= rnd_state << 13;
    rnd_state ^= rnd_state >> 7;
    rnd_state ^= rnd_state << 17;
    return rnd_state;
}

static inline void rnd_seed(uint64_t seed, uint64_t salt)
{
    rnd_state = (seed + 1) * 0x9e3779b97f4a7c15ull ^ (salt + 1) * 0xbf58476d1ce4e5b9ull;
    rnd_state = rnd_state ? rnd_state : 1;
    for (int i = 0; i < 8; i++)
        rnd();
}

static inline int one_in(unsigned n)
{
    return rnd() % n == 0;
}

/* Values at which checks go wrong. */
static inline uint64_t odd_value(void)
{
    static const uint64_t some[] = {
        0,          1,          2,           0x1000,     0x6000,         0x8000,         0x10000,
        0x1ffffc,   0x200000,   0x10000000,  0xfee00000, 0xfec00000,     0xffffffff,     0xc0000080,
        0xc0000100, 0x80000000, 0x100000000, 1ull << 40, 0x7fffffffffff, 0x800000000000, UINT64_MAX,
    };

    switch (rnd() % 4) {
    case 0:
        return rnd();
    case 1:
        return 1ull << rnd() % 64;
    default:
        return some[rnd() % (sizeof(some) / sizeof(some[0]))];
    }
}
