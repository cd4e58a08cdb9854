/* From the stack that the kernel made to main: environment, auxiliary vector, thread block,
 * constructors. Nothing here may use errno, stdio or the stack protector before the thread block is
 * in place. */
#include "port.h"
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <asm/prctl.h>
#include <linux/auxvec.h>
#include <linux/elf.h>
#include <sys/auxv.h>
#include <sys/mman.h>

char **environ;
char *program_invocation_name, *program_invocation_short_name;

static unsigned long *auxv;
static const void *tls_image;
static size_t tls_file_size, tls_size; /* tls_size: from its start to the thread block */
static size_t tls_align = 16;

extern void (*__preinit_array_start[])(void) __attribute__((weak));
extern void (*__preinit_array_end[])(void) __attribute__((weak));
extern void (*__init_array_start[])(void) __attribute__((weak));
extern void (*__init_array_end[])(void) __attribute__((weak));
extern void (*__fini_array_start[])(void) __attribute__((weak));
extern void (*__fini_array_end[])(void) __attribute__((weak));
int main(int argc, char **argv, char **envp);

unsigned long getauxval(unsigned long type)
{
    for (unsigned long *entry = auxv; entry[0] != AT_NULL; entry += 2)
        if (entry[0] == type)
            return entry[1];
    errno = ENOENT;
    return 0;
}

static unsigned long aux(unsigned long type)
{
    for (unsigned long *entry = auxv; entry[0] != AT_NULL; entry += 2)
        if (entry[0] == type)
            return entry[1];
    return 0;
}

static void find_tls(void)
{
    const Elf64_Phdr *header = (const Elf64_Phdr *)aux(AT_PHDR);
    for (unsigned long n = aux(AT_PHNUM); n > 0; n--, header++) {
        if (header->p_type != PT_TLS)
            continue;
        tls_image = (const void *)header->p_vaddr;
        tls_file_size = header->p_filesz;
        if (header->p_align > tls_align)
            tls_align = header->p_align;
        tls_size = (header->p_memsz + header->p_align - 1) & -header->p_align;
    }
}

size_t viv_thread_size(void)
{
    return tls_size + tls_align + sizeof(struct thread);
}

struct thread *viv_thread_init(void *space)
{
    uintptr_t at = ((uintptr_t)space + tls_size + tls_align - 1) & -tls_align;
    struct thread *self = (struct thread *)at;
    memcpy((char *)at - tls_size, tls_image, tls_file_size);
    memset((char *)at - tls_size + tls_file_size, 0, tls_size - tls_file_size);
    memset(self, 0, offsetof(struct thread, own_reent));
    self->self = self;
    return self;
}

static void make_first_thread(void)
{
    find_tls();
    long space = RAW(__NR_mmap, 0, viv_thread_size(), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if ((unsigned long)space >= -4095UL)
        _exit(127);
    struct thread *self = viv_thread_init((void *)space);
    const uintptr_t *random = (const uintptr_t *)aux(AT_RANDOM);
    self->canary = (random ? *random : 0x5bd1e995c0ffee11) & ~0xffUL;
    self->reent = _GLOBAL_REENT;
    RAW(__NR_arch_prctl, ARCH_SET_FS, self, 0, 0, 0, 0);
    self->tid = (int)RAW(__NR_set_tid_address, &self->tid, 0, 0, 0, 0, 0);
}

static void run_destructors(void)
{
    for (void (**f)(void) = __fini_array_end; f > __fini_array_start;)
        (*--f)();
}

void viv_start(uintptr_t *stack)
{
    int argc = (int)stack[0];
    char **argv = (char **)(stack + 1);
    environ = argv + argc + 1;
    char **end = environ;
    while (*end)
        end++;
    auxv = (unsigned long *)(end + 1);
    make_first_thread();
    program_invocation_name = argc > 0 ? argv[0] : "";
    char *slash = strrchr(program_invocation_name, '/');
    program_invocation_short_name = slash ? slash + 1 : program_invocation_name;
    for (void (**f)(void) = __preinit_array_start; f < __preinit_array_end; f++)
        (*f)();
    for (void (**f)(void) = __init_array_start; f < __init_array_end; f++)
        (*f)();
    if (&__fini_array_end[0] > &__fini_array_start[0])
        atexit(run_destructors);
    exit(main(argc, argv, environ));
}

struct _reent *__getreent(void)
{
    return thread_self()->reent;
}

long viv_fail(long result)
{
    errno = (int)-result;
    return -1;
}
