// Basic types and macros. Compiled on the host too.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef u64 paddr_t; // a host-physical address
typedef u64 vaddr_t; // a virtual address of a process

// Marks a pointer that comes from user space: only usercopy.h may follow it.
#define __user

#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(x, a) (((x) + ((a)-1)) & ~((typeof(x))(a)-1))
#define ALIGN_DOWN(x, a) ((x) & ~((typeof(x))(a)-1))
#define BIT(n) (1UL << (n))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define min(a, b)                                                                                  \
    ({                                                                                             \
        typeof(a) a_ = (a);                                                                        \
        typeof(b) b_ = (b);                                                                        \
        a_ < b_ ? a_ : b_;                                                                         \
    })
#define max(a, b)                                                                                  \
    ({                                                                                             \
        typeof(a) a_ = (a);                                                                        \
        typeof(b) b_ = (b);                                                                        \
        a_ > b_ ? a_ : b_;                                                                         \
    })
#define static_assert _Static_assert
#define __packed __attribute__((packed))
#define __aligned(n) __attribute__((aligned(n)))
#define __noreturn __attribute__((noreturn))
#define __unused __attribute__((unused))
#define __printf(f, a) __attribute__((format(printf, f, a)))
