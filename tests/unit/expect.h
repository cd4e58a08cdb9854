// How unit tests report: what differs is printed with expected and actual, and counted; main
// returns failures != 0.
#pragma once
#include <stdio.h>

__attribute__((unused)) static int failures;

// Compares two integers.
#define expect(actual, expected)                                                                   \
    do {                                                                                           \
        long long a_ = (long long)(actual), e_ = (long long)(expected);                            \
        if (a_ != e_) {                                                                            \
            printf("%s:%d: %s: expected %lld, actual %lld\n", __FILE__, __LINE__, #actual, e_,     \
                   a_);                                                                            \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)
