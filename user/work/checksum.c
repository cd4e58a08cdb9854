/* Sieve of primes and a hash over it, again and again with another seed. */
#include "user/work/checksum.h"

/* The guest kernel has no vector registers; the others must not have the advantage. */
#pragma GCC target("general-regs-only")

enum { NUMBERS = 65536, MIXES = 200000 };

static uint8_t composite[NUMBERS];

static uint64_t mix(uint64_t h, uint64_t value)
{
    h = (h ^ value) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 29;
}

static uint32_t sieve(uint32_t from)
{
    uint32_t primes = 0;

    for (uint32_t i = 0; i < NUMBERS; i++)
        composite[i] = 0;
    for (uint32_t i = 2; i < NUMBERS; i++) {
        if (composite[i])
            continue;
        primes += i >= from;
        for (uint32_t j = 2 * i; j < NUMBERS; j += i)
            composite[j] = 1;
    }
    return primes;
}

uint64_t work_checksum(uint32_t rounds)
{
    uint64_t h = rounds;

    for (uint32_t r = 0; r < rounds; r++) {
        h = mix(h, sieve(r));
        for (uint32_t i = 0; i < MIXES; i++)
            h = mix(h, composite[(h + i) % NUMBERS]);
    }
    return h;
}
