// The initial stack of a program: strings, auxv, envp, argv, argc, as the System V ABI
// (x86-64, 3.4.1) and Linux have it.
#include "kernel/task/exec_stack.h"

#include <linux/auxvec.h>
#include <linux/mman.h>

#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/slab.h"
#include "kernel/task/task.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/random.h"

#define STACK_TOP USER_END
#define FIRST_STACK (128UL * 1024) // mapped at once beside the strings; more by page faults
#define AUXV_MAX 24
#define CLOCK_TICKS 100

struct auxv {
    u64 entry[AUXV_MAX][2];
    unsigned n;
};

static void aux(struct auxv *a, u64 type, u64 value)
{
    a->entry[a->n][0] = type;
    a->entry[a->n++][1] = value;
}

static void fill_auxv(struct auxv *a, const struct stack_request *r, u64 random, u64 platform,
                      u64 path)
{
    const struct cred *c = current()->cred;
    const struct user_ns *ns = c->user_ns;

    aux(a, AT_HWCAP, cpuid(1, 0).edx);
    aux(a, AT_PAGESZ, PAGE_SIZE);
    aux(a, AT_CLKTCK, CLOCK_TICKS);
    aux(a, AT_PHDR, r->program->headers);
    aux(a, AT_PHENT, sizeof(Elf64_Phdr));
    aux(a, AT_PHNUM, r->program->header.e_phnum);
    aux(a, AT_BASE, r->interpreter ? r->interpreter->bias : 0);
    aux(a, AT_FLAGS, 0);
    aux(a, AT_ENTRY, r->program->bias + r->program->header.e_entry);
    aux(a, AT_UID, map_id_out(ns, false, c->uid));
    aux(a, AT_EUID, map_id_out(ns, false, r->euid));
    aux(a, AT_GID, map_id_out(ns, true, c->gid));
    aux(a, AT_EGID, map_id_out(ns, true, r->egid));
    aux(a, AT_SECURE, r->euid != c->uid || r->egid != c->gid);
    aux(a, AT_RANDOM, random);
    aux(a, AT_PLATFORM, platform);
    aux(a, AT_EXECFN, path);
    aux(a, AT_NULL, 0);
}

// Puts n bytes below *sp.
static int push(struct aspace *as, u64 *sp, const void *data, size_t n)
{
    *sp -= n;
    return aspace_write(as, *sp, data, n) == n ? 0 : -ENOMEM;
}

// Writes `count` pointers to the strings that follow one another from `strings` on, and a NULL
// behind them.
static u64 *point_at(u64 *out, const char **text, u64 *address, int count)
{
    for (int i = 0; i < count; i++) {
        size_t len = strlen(*text) + 1;
        *out++ = *address;
        *address += len;
        *text += len;
    }
    *out++ = 0;
    return out;
}

// argc, argv, envp and auxv in one block, below the strings.
static int push_vectors(struct aspace *as, u64 *sp, const struct stack_request *r, u64 strings,
                        u64 random, u64 platform, u64 path)
{
    const struct exec_args *args = r->args;
    const char *text = args->strings;
    struct auxv a = {.n = 0};

    fill_auxv(&a, r, random, platform, path);
    size_t words = 1 + args->argc + 1 + args->envc + 1 + 2 * a.n;
    u64 *block = kmalloc(words * 8), *at = block, address = strings;
    if (!block)
        return -ENOMEM;
    *at++ = args->argc;
    as->arg_start = address;
    at = point_at(at, &text, &address, args->argc);
    as->arg_end = as->env_start = address;
    at = point_at(at, &text, &address, args->envc);
    as->env_end = address;
    memcpy(at, a.entry, 16 * a.n);
    *sp = ALIGN_DOWN(*sp - words * 8, 16UL) + words * 8; // the ABI wants rsp aligned to 16 at argc
    int err = push(as, sp, block, words * 8);
    kfree(block);
    return err;
}

int exec_stack_build(struct aspace *as, const struct stack_request *r, u64 *sp)
{
    u64 size = ALIGN_UP(FIRST_STACK + 2 * r->args->used, PAGE_SIZE), zero = 0;
    u8 bytes[16];

    long at = aspace_map(as, STACK_TOP - size, size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, NULL, 0, NULL,
                         "[stack]");
    if (at < 0)
        return at;
    *sp = STACK_TOP;
    random_bytes(bytes, sizeof(bytes));
    int err = push(as, sp, &zero, 8);
    if (!err)
        err = push(as, sp, r->path, strlen(r->path) + 1);
    u64 path = *sp;
    if (!err)
        err = push(as, sp, "x86_64", sizeof("x86_64"));
    u64 platform = *sp;
    if (!err)
        err = push(as, sp, r->args->strings, r->args->used);
    u64 strings = *sp;
    *sp = ALIGN_DOWN(*sp, 16UL);
    if (!err)
        err = push(as, sp, bytes, sizeof(bytes));
    return err ? err : push_vectors(as, sp, r, strings, *sp, platform, path);
}
