/* What the bench programs share: the cycle counter, which counts instructions under `-icount
 * shift=0`, and the line that
 * ./viv bench reads. */
#pragma once
#include <stdio.h>

static inline unsigned long long ticks(void)
{
    unsigned low, high;
    __asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high)::"memory");
    return (unsigned long long)high << 32 | low;
}

static inline void report(const char *what, unsigned long long value)
{
    printf("bench %llu %s\n", value, what);
    fflush(stdout);
}

/* The smallest of `rounds` measurements of `body`, each divided by `times`. */
#define MEASURE(what, rounds, times, body)                                                         \
    do {                                                                                           \
        unsigned long long best_ = ~0ULL;                                                          \
        for (int round_ = 0; round_ < (rounds); round_++) {                                        \
            unsigned long long start_ = ticks();                                                   \
            for (int i_ = 0; i_ < (times); i_++) {                                                 \
                body;                                                                              \
            }                                                                                      \
            unsigned long long took_ = (ticks() - start_) / (times);                               \
            best_ = took_ < best_ ? took_ : best_;                                                 \
        }                                                                                          \
        report(what, best_);                                                                       \
    } while (0)
