// execve: finds the program (through "#!" lines), makes its address space aside, and only then
// gives up the old one.
#include "kernel/task/exec.h"

#include <linux/fcntl.h>
#include <linux/stat.h>

#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/slab.h"
#include "kernel/task/elf.h"
#include "kernel/task/exec_stack.h"
#include "kernel/task/task.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/trap.h"

#define SCRIPT_LINE 256
#define SCRIPT_DEPTH 4
#define PATH_SIZE 4096
#define DYN_BASE                                                                                   \
    0x555555554000UL // of position-independent programs, as on Linux without randomisation

struct exec_file *(*exec_open)(int dirfd, const char *path, int flags);

struct load { // one exec in the making; too large for a kernel stack
    struct exec_file *file, *interpreter_file;
    struct elf_image program, interpreter;
    char path[PATH_SIZE], interpreter_path[PATH_SIZE];
    struct aspace *as;
    u64 sp, entry;
    u32 euid, egid;
};

// Puts a string at the very front of the arguments.
static int prepend(struct exec_args *args, const char *text)
{
    size_t len = strlen(text) + 1;

    if (args->used + len > args->size) {
        char *larger = krealloc(args->strings, args->used + len);
        if (!larger)
            return -ENOMEM;
        args->strings = larger;
        args->size = args->used + len;
    }
    memmove(args->strings + len, args->strings, args->used);
    memcpy(args->strings, text, len);
    args->used += len;
    args->argc++;
    return 0;
}

static void drop_first(struct exec_args *args)
{
    size_t len = args->argc ? strlen(args->strings) + 1 : 0;

    memmove(args->strings, args->strings + len, args->used - len);
    args->used -= len;
    args->argc -= args->argc > 0;
}

static char *skip_blanks(char *at)
{
    while (*at == ' ' || *at == '\t')
        at++;
    return at;
}

static void cut_blanks(char *text)
{
    size_t len = strlen(text);

    while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        text[--len] = 0;
}

// Splits the line behind "#!" into the interpreter and at most one argument (NULL: none). False if
// there is no interpreter.
static bool split_line(char *line, char **interpreter, char **argument)
{
    char *at = skip_blanks(line);

    cut_blanks(at);
    if (!*at)
        return false;
    *interpreter = at;
    while (*at && *at != ' ' && *at != '\t')
        at++;
    *argument = NULL;
    if (*at) {
        *at++ = 0;
        at = skip_blanks(at);
        *argument = *at ? at : NULL;
    }
    return true;
}

// 1: load->file was a script and is now its interpreter, the arguments are changed accordingly; 0:
// it is no script; -errno.
static int follow_script(struct load *load, struct exec_args *args)
{
    char line[SCRIPT_LINE + 1], *interpreter, *argument;
    long n = load->file->read(load->file, line, SCRIPT_LINE, 0);

    if (n < 0)
        return n;
    line[n] = 0;
    if (n < 2 || line[0] != '#' || line[1] != '!')
        return 0;
    char *end = strchr(line, '\n');
    if (end)
        *end = 0;
    if (!split_line(line + 2, &interpreter, &argument))
        return -ENOEXEC;
    drop_first(args);
    int err = prepend(args, load->path);
    if (!err && argument)
        err = prepend(args, argument);
    if (!err)
        err = prepend(args, interpreter);
    if (err)
        return err;
    struct exec_file *next = exec_open(AT_FDCWD, interpreter, 0);
    if (IS_ERR(next))
        return PTR_ERR(next);
    load->file->close(load->file);
    load->file = next;
    strlcpy(load->path, interpreter, sizeof(load->path));
    return 1;
}

static int open_program(struct load *load, int dirfd, const char *path, struct exec_args *args,
                        int flags)
{
    strlcpy(load->path, path, sizeof(load->path));
    struct exec_file *f = exec_open(dirfd, path, flags);
    if (IS_ERR(f))
        return PTR_ERR(f);
    load->file = f;
    for (int depth = 0; depth <= SCRIPT_DEPTH; depth++) {
        int result = follow_script(load, args);
        if (result <= 0)
            return result;
    }
    return -ELOOP;
}

static int open_interpreter(struct load *load)
{
    const Elf64_Phdr *p = load->program.interpreter;

    if (p->p_filesz < 2 || p->p_filesz > sizeof(load->interpreter_path))
        return -ENOEXEC;
    long n = load->file->read(load->file, load->interpreter_path, p->p_filesz, p->p_offset);
    if (n < 0)
        return n;
    if (n != (long)p->p_filesz || load->interpreter_path[n - 1] != 0)
        return -ENOEXEC;
    struct exec_file *f = exec_open(AT_FDCWD, load->interpreter_path, 0);
    if (IS_ERR(f))
        return PTR_ERR(f);
    load->interpreter_file = f;
    return elf_read(f, load->interpreter_path, &load->interpreter);
}

// The set-user-ID and set-group-ID bits, unless no_new_privs is set or the ids have no meaning
// here.
static void choose_ids(struct load *load)
{
    const struct cred *c = current()->cred;
    const struct exec_file *f = load->file;

    load->euid = c->euid;
    load->egid = c->egid;
    if (c->no_new_privs)
        return;
    if ((f->mode & S_ISUID) && map_id_out(c->user_ns, false, f->uid) != 65534)
        load->euid = f->uid;
    if ((f->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
        map_id_out(c->user_ns, true, f->gid) != 65534)
        load->egid = f->gid;
}

static int map_program(struct load *load)
{
    const struct rlimit64 *limit = current()->process->rlimits;
    struct aspace *as = load->as;

    as->stack_limit = limit[RLIMIT_STACK].rlim_cur;
    as->size_limit = limit[RLIMIT_AS].rlim_cur;
    int err = elf_map(load->file, load->path, &load->program, as, DYN_BASE);
    if (err)
        return err;
    as->brk_start = as->brk = load->program.bias + load->program.high;
    load->entry = load->program.bias + load->program.header.e_entry;
    if (load->interpreter_file) {
        err = elf_map(load->interpreter_file, load->interpreter_path, &load->interpreter, as, 0);
        load->entry = load->interpreter.bias + load->interpreter.header.e_entry;
    }
    as->exe = load->file->file;
    area_file_ops->get(as->exe);
    return err;
}

static int load_program(struct load *load, const struct exec_args *args)
{
    int err = elf_read(load->file, load->path, &load->program);

    if (!err && load->program.interpreter)
        err = open_interpreter(load);
    if (err)
        return err;
    struct aspace *as = aspace_create(current()->cgroup);
    if (IS_ERR(as))
        return PTR_ERR(as);
    load->as = as;
    choose_ids(load);
    err = map_program(load);
    if (err)
        return err;
    const struct stack_request request = {
        .args = args,
        .path = load->path,
        .program = &load->program,
        .interpreter = load->interpreter_file ? &load->interpreter : NULL,
        .euid = load->euid,
        .egid = load->egid,
    };
    return exec_stack_build(as, &request, &load->sp);
}

// What the ids and capabilities become: execve(2), capabilities(7) "Transformation of capabilities
// during execve()".
static struct cred *new_cred(const struct load *load)
{
    const struct cred *old = current()->cred;
    struct cred *c = cred_copy(old);

    if (!c)
        return NULL;
    c->euid = c->suid = c->fsuid = load->euid;
    c->egid = c->sgid = c->fsgid = load->egid;
    bool root =
        map_id_out(c->user_ns, false, c->euid) == 0 || map_id_out(c->user_ns, false, c->uid) == 0;
    bool changes = load->euid != old->euid || load->egid != old->egid;
    if (changes)
        c->cap_ambient = 0;
    if (root && !(c->securebits & 1)) // SECBIT_NOROOT
        c->cap_permitted = c->cap_inheritable | c->cap_bounding;
    else
        c->cap_permitted = c->cap_ambient;
    c->cap_effective =
        root && map_id_out(c->user_ns, false, c->euid) == 0 ? c->cap_permitted : c->cap_ambient;
    c->keep_caps = false;
    return c;
}

static void enter_program(const struct load *load)
{
    struct trapframe *tf = current()->tf;

    memset(tf, 0, sizeof(*tf));
    tf->vector = VEC_SYSCALL;
    tf->error = -1;
    tf->rip = load->entry;
    tf->rsp = load->sp;
    tf->rflags = RFLAGS_FIXED | RFLAGS_IF;
    tf->cs = SEL_USER_CODE;
    tf->ss = SEL_USER_DATA;
}

static int commit(struct load *load)
{
    struct task *t = current();
    struct cred *cred = new_cred(load), *old_cred = t->cred;

    if (!cred)
        return -ENOMEM;
    int err = exec_unshare_signals();
    if (!err)
        err = exec_kill_threads();
    if (err) {
        cred_put(cred);
        return err;
    }
    struct aspace *old = t->aspace;
    aspace_switch(old, load->as);
    t->aspace = load->as;
    load->as = NULL;
    t->cred = cred;
    cred_put(old_cred);
    const char *name = strrchr(load->path, '/');
    exec_done(name ? name + 1 : load->path);
    if (old)
        aspace_put(old);
    enter_program(load);
    return 0;
}

int exec_program(int dirfd, const char *path, struct exec_args *args, int flags)
{
    struct load *load = kzalloc(sizeof(*load));

    if (!load)
        return -ENOMEM;
    int err = open_program(load, dirfd, path, args, flags);
    if (!err)
        err = load_program(load, args);
    if (!err)
        err = commit(load);
    if (load->as)
        aspace_put(load->as);
    if (load->interpreter_file)
        load->interpreter_file->close(load->interpreter_file);
    if (load->file)
        load->file->close(load->file);
    kfree(load);
    return err;
}

static int add_strings(struct exec_args *args, const char *const list[], int *count)
{
    for (; *list; list++, ++*count) {
        size_t len = strlen(*list) + 1;
        if (args->used + len > args->size)
            return -E2BIG;
        memcpy(args->strings + args->used, *list, len);
        args->used += len;
    }
    return 0;
}

int exec_kernel(const char *path, const char *const argv[], const char *const envp[])
{
    struct exec_args args = {.strings = kmalloc(PAGE_SIZE), .size = PAGE_SIZE};

    if (!args.strings)
        return -ENOMEM;
    int err = add_strings(&args, argv, &args.argc);
    if (!err)
        err = add_strings(&args, envp, &args.envc);
    if (!err)
        err = exec_program(AT_FDCWD, path, &args, 0);
    kfree(args.strings);
    return err;
}
