// x87, SSE and AVX state. The kernel uses none of these registers, so they hold the current task's
// values all the time.
#include "kernel/x86/fpu.h"

#include "kernel/lib/string.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/log.h"
#include "kernel/x86/trap.h"

#define XCR0_X87 1UL
#define XCR0_X87_SSE 3UL
#define XCR0_AVX 4UL
#define XCR0_AVX512 0xe0UL
#define CPUID1_ECX_XSAVE BIT(26)

#define LEGACY_SIZE 512
#define FCW_RESET 0x37f
#define MXCSR_RESET 0x1f80
#define MXCSR_MASK_DEFAULT 0xffbf // SDM 1, 11.6.6

// The FXSAVE area and the XSAVE header behind it (SDM 1, tables 10-2 and 13.4.2).
struct xsave_area {
    u16 fcw, fsw;
    u32 tag_and_opcode;
    u64 rip, rdp;
    u32 mxcsr, mxcsr_mask;
    u64 x87[16], sse[32], unused[12]; // ST0-7, XMM0-15
    u64 xstate_bv, xcomp_bv, reserved[6];
};
static_assert(offsetof(struct xsave_area, mxcsr) == 24 &&
                  offsetof(struct xsave_area, xstate_bv) == LEGACY_SIZE,
              "SDM 1, 13.4");

static u64 xcr0;
static size_t state_size = LEGACY_SIZE;
static u32 mxcsr_mask = MXCSR_MASK_DEFAULT;

static u64 choose_xcr0(void)
{
    struct cpuid c = cpuid(0xd, 0);
    u64 supported = (u64)c.edx << 32 | c.eax, chosen = supported & (XCR0_X87_SSE | XCR0_AVX);

    if ((chosen & XCR0_AVX) && (supported & XCR0_AVX512) == XCR0_AVX512)
        chosen |= XCR0_AVX512;
    return chosen;
}

static u32 read_mxcsr_mask(void)
{
    static struct fpu_state scratch;
    struct xsave_area *area = (void *)&scratch;

    asm volatile("fxsave64 %0" : "=m"(scratch));
    return area->mxcsr_mask ? area->mxcsr_mask : MXCSR_MASK_DEFAULT;
}

void fpu_init_cpu(void)
{
    static struct fpu_state reset;

    write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
    if (cpuid(1, 0).ecx & CPUID1_ECX_XSAVE) {
        write_cr4(read_cr4() | CR4_OSXSAVE);
        xcr0 = choose_xcr0();
        xsetbv(0, xcr0);
        state_size = cpuid(0xd, 0).ebx;
        if (state_size > FPU_STATE_MAX)
            panic("fpu: state of %zu bytes is too large\n", state_size);
    }
    mxcsr_mask = read_mxcsr_mask();
    fpu_state_init(&reset);
    fpu_restore(&reset);
}

void fpu_state_init(struct fpu_state *s)
{
    struct xsave_area *area = (void *)s;

    memset(s, 0, state_size);
    area->fcw = FCW_RESET;
    area->mxcsr = MXCSR_RESET;
}

// Whether the x87 part of an area is as FNINIT leaves it (SDM 1, 13.6). Emulators call every
// component in use, always.
static bool x87_is_initial(const struct xsave_area *area)
{
    u64 used = (area->fcw ^ FCW_RESET) | area->fsw | area->tag_and_opcode | area->rip | area->rdp;

#pragma GCC unroll 16
    for (unsigned i = 0; i < ARRAY_SIZE(area->x87); i++)
        used |= area->x87[i];
    return !used;
}

void fpu_save(struct fpu_state *s)
{
    struct xsave_area *area = (void *)s;

    if (!xcr0) {
        asm volatile("fxsave64 %0" : "+m"(*s) : : "memory");
        return;
    }
    asm volatile("xsave64 %0" : "+m"(*s) : "a"((u32)xcr0), "d"((u32)(xcr0 >> 32)) : "memory");
    // XRSTOR of x87 state that is in use makes QEMU's TCG change the first CPU's private flags from
    // whichever CPU it is on (cpu_clear_ignne): a world switch there can lose its own change.
    if (x87_is_initial(area))
        area->xstate_bv &= ~XCR0_X87;
}

void fpu_restore(const struct fpu_state *s)
{
    if (xcr0)
        asm volatile("xrstor64 %0" : : "m"(*s), "a"((u32)xcr0), "d"((u32)(xcr0 >> 32)) : "memory");
    else
        asm volatile("fxrstor64 %0" : : "m"(*s) : "memory");
}

size_t fpu_state_size(void)
{
    return state_size;
}

bool fpu_validate(struct fpu_state *s)
{
    struct xsave_area *area = (void *)s;

    if (area->mxcsr & ~mxcsr_mask)
        return false;
    if (!xcr0)
        return true;
    for (unsigned i = 0; i < ARRAY_SIZE(area->reserved); i++)
        if (area->reserved[i])
            return false;
    return area->xcomp_bv == 0 && (area->xstate_bv & ~xcr0) == 0;
}

u64 fpu_xcr0(void)
{
    return xcr0;
}

u32 fpu_raised(u8 vector)
{
    u16 status, control;
    u32 mxcsr;

    if (vector == VEC_XM) {
        asm volatile("stmxcsr %0" : "=m"(mxcsr));
        return mxcsr & ~(mxcsr >> 7) & 0x3f;
    }
    asm volatile("fnstsw %0; fnstcw %1" : "=m"(status), "=m"(control));
    return status & ~control & 0x3f;
}
