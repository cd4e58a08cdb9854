// Guest-virtual addresses, through the page tables that the guest made for itself: SDM 3A, 4.3-4.5.
// For instruction fetch, string I/O and MMIO operands; the CPU does all other translation.

#include "hv/hv.h"

#include "kernel/lib/err.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/paging.h"
#include "kernel/x86/trap.h"

struct walk {
    struct vcpu *v;
    u64 gva, cr3, cr4, efer;
    bool write, fetch, user, write_protect;
};

static bool allowed(const struct walk *w, u64 rights, bool nx)
{
    if (w->user && !(rights & PTE_U))
        return false;
    if (w->write && !(rights & PTE_W) && (w->user || w->write_protect))
        return false;
    return !(w->fetch && nx && (w->efer & EFER_NXE));
}

static int finish(const struct walk *w, u64 rights, bool nx, u64 base, u64 page_size, u64 *gpa,
                  u32 *error)
{
    *error = PF_PRESENT | (w->write ? PF_WRITE : 0) | (w->user ? PF_USER : 0) |
             (w->fetch ? PF_FETCH : 0);
    if (!allowed(w, rights, nx))
        return -EFAULT;
    *gpa = (base & ~(page_size - 1)) | (w->gva & (page_size - 1));
    return 0;
}

static int not_present(const struct walk *w, u32 *error)
{
    *error = (w->write ? PF_WRITE : 0) | (w->user ? PF_USER : 0) | (w->fetch ? PF_FETCH : 0);
    return -EFAULT;
}

// 32-bit paging: two levels of 4-byte entries, 4 MiB pages with CR4.PSE.
static int walk32(const struct walk *w, u64 *gpa, u32 *error)
{
    u32 pde, pte;

    if (guest_read(w->v->vm, (w->cr3 & ~0xfffUL) + ((w->gva >> 22) & 1023) * 4, &pde, 4) ||
        !(pde & PTE_P))
        return not_present(w, error);
    if ((pde & PTE_PS) && (w->cr4 & CR4_PSE))
        return finish(w, pde, false, (pde & 0xffc00000) | (u64)(pde >> 13 & 0xff) << 32, 1UL << 22,
                      gpa, error);
    if (guest_read(w->v->vm, (pde & ~0xfffU) + ((w->gva >> 12) & 1023) * 4, &pte, 4) ||
        !(pte & PTE_P))
        return not_present(w, error);
    return finish(w, pde & pte, false, pte & ~0xfffU, PAGE_SIZE, gpa, error);
}

// PAE and 4-level paging: 8-byte entries; the PDPT of PAE carries no rights.
static int walk64(const struct walk *w, u64 *gpa, u32 *error)
{
    bool longmode = w->efer & EFER_LMA, nx = false;
    u64 rights = PTE_U | PTE_W, table = longmode ? w->cr3 & PTE_ADDR : w->cr3 & 0xffffffe0;

    for (int level = longmode ? 4 : 3;; level--) {
        u64 entry;
        unsigned index = !longmode && level == 3 ? (w->gva >> 30) & 3 : pt_index(w->gva, level);
        if (guest_read(w->v->vm, table + index * 8, &entry, 8) || !(entry & PTE_P))
            return not_present(w, error);
        if (longmode || level < 3) {
            rights &= entry;
            nx |= (entry & PTE_NX) != 0;
        }
        bool large = (entry & PTE_PS) && (level == 2 || (level == 3 && longmode));
        if (level == 1 || large)
            return finish(w, rights, nx, entry & PTE_ADDR, 1UL << (12 + 9 * (level - 1)), gpa,
                          error);
        table = entry & PTE_ADDR;
    }
}

static int translate(struct vcpu *v, const struct hv_mode *m, u64 gva, bool write, bool fetch,
                     u64 *gpa, u32 *error)
{
    if (!(m->cr0 & CR0_PG)) {
        *gpa = gva & 0xffffffff;
        return 0;
    }
    struct walk w = {
        .v = v,
        .gva = gva,
        .cr3 = m->cr3,
        .cr4 = m->cr4,
        .efer = m->efer,
        .write = write,
        .fetch = fetch,
        .user = m->cpl == 3,
        .write_protect = (m->cr0 & CR0_WP) != 0,
    };
    return m->cr4 & CR4_PAE ? walk64(&w, gpa, error) : walk32(&w, gpa, error);
}

int gva_translate(struct vcpu *v, u64 gva, bool write, bool fetch, u64 *gpa, u32 *error)
{
    struct hv_mode m;

    hv_ops->get_mode(v, &m);
    return translate(v, &m, gva, write, fetch, gpa, error);
}

static int access(struct vcpu *v, const struct hv_mode *m, u64 gva, char *buf, size_t n, bool write,
                  bool fetch)
{
    while (n) {
        u64 gpa;
        u32 error;
        size_t chunk = min(n, (size_t)(PAGE_SIZE - (gva & ~PAGE_MASK)));
        int err = translate(v, m, gva, write, fetch, &gpa, &error);
        if (!err)
            err = write ? guest_write(v->vm, gpa, buf, chunk) : guest_read(v->vm, gpa, buf, chunk);
        if (err)
            return err;
        gva += chunk;
        buf += chunk;
        n -= chunk;
    }
    return 0;
}

int gva_read(struct vcpu *v, u64 gva, void *buf, size_t n, bool fetch)
{
    struct hv_mode m;

    hv_ops->get_mode(v, &m);
    return access(v, &m, gva, buf, n, false, fetch);
}

int gva_fetch(struct vcpu *v, const struct hv_mode *m, u64 gva, void *buf, size_t n)
{
    return access(v, m, gva, buf, n, false, true);
}

const u8 *gva_peek(struct vcpu *v, const struct hv_mode *m, u64 gva, size_t n)
{
    u64 gpa;
    u32 error;

    if ((gva & ~PAGE_MASK) + n > PAGE_SIZE || translate(v, m, gva, false, true, &gpa, &error))
        return NULL;
    return nested_peek(v->vm, gpa);
}

int gva_write(struct vcpu *v, u64 gva, const void *buf, size_t n)
{
    struct hv_mode m;

    hv_ops->get_mode(v, &m);
    return access(v, &m, gva, (char *)buf, n, true, false);
}
