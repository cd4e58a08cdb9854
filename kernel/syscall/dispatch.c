// From the trap frame of SYSCALL to sys_NAME, and the tracer. Linux's convention (syscall(2)):
// number in rax, parameters in rdi, rsi, rdx, r10, r8, r9, result or -errno in rax.

#include <asm/unistd_64.h>
#include <linux/errno.h>

#include "kernel/boot/boot_info.h"
#include "kernel/lib/printf.h"
#include "kernel/lib/string.h"
#include "kernel/mm/usercopy.h"
#include "kernel/syscall/syscall.h"
#include "kernel/task/task.h"
#include "kernel/x86/log.h"

typedef long (*syscall_fn)(u64, u64, u64, u64, u64, u64);

struct syscall_entry {
    syscall_fn fn;
    const char *name;
    const char *parameters; // as in C: the tracer counts them and finds the strings
};

static const struct syscall_entry table[SYSCALL_MAX] = {
#define SYSCALL(number, name, tier, ...)                                                           \
    [number] = {(syscall_fn)(void *)sys_##name, #name, #__VA_ARGS__},
#include "kernel/syscall/table.h"
#undef SYSCALL
};

static bool tracing;

void syscall_init(void)
{
    char value[64];
    tracing = boot_option("viv.trace", value, sizeof(value)) && strstr(value, "syscalls");
}

// Writes one parameter: strings that are read by the call as text, the rest as numbers.
static size_t trace_parameter(char *buf, size_t size, const char *parameter, size_t len, u64 value)
{
    static const char text[] = "const char *";
    char string[64];

    if (len > sizeof(text) && strncmp(parameter, text, sizeof(text) - 1) == 0) {
        long n = strncpy_from_user(string, (const char __user *)value, sizeof(string));
        if (n >= 0)
            return snprintf(buf, size, "\"%s\"", string);
        if (n == -ENAMETOOLONG)
            return snprintf(buf, size, "\"%.*s\"...", (int)sizeof(string) - 1, string);
    }
    if (len > 4 && strncmp(parameter, "int ", 4) == 0 && parameter[4] != '*')
        return snprintf(buf, size, "%d", (int)value);
    if (value < 10)
        return snprintf(buf, size, "%lu", value);
    return snprintf(buf, size, "0x%lx", value);
}

// Writes "name(a, b, c)" with the parameters of the call in buf.
static void trace_call(char *buf, size_t size, const char *name, const char *parameters,
                       const u64 *arg)
{
    size_t used = snprintf(buf, size, "%s(", name);
    const char *p = parameters;

    for (int i = 0; *p && i < 6 && used < size; i++) {
        const char *end = strchr(p, ',');
        size_t len = end ? (size_t)(end - p) : strlen(p);
        if (i)
            used += snprintf(buf + used, size - used, ", ");
        if (used < size)
            used += trace_parameter(buf + used, size - used, p, len, arg[i]);
        p += len;
        while (*p == ',' || *p == ' ')
            p++;
    }
    if (used < size)
        snprintf(buf + used, size - used, ")");
}

static void trace_result(const char *call, long result)
{
    int pid = pid_nr(current()->pid, &init_pid_ns);

    if (result < 0 && result >= -4095)
        kprintf("[pid %d] %s = -1 errno %ld\n", pid, call, -result);
    else
        kprintf("[pid %d] %s = %ld\n", pid, call, result);
}

static void call(struct trapframe *tf)
{
    u32 number = tf->error;

    if (number >= SYSCALL_MAX || !table[number].fn)
        return; // rax is -ENOSYS from the entry on
    long result = table[number].fn(tf->rdi, tf->rsi, tf->rdx, tf->r10, tf->r8, tf->r9);
    // execve and rt_sigreturn have replaced the frame: error is -1 then and rax is theirs.
    if (tf->error != (u64)-1)
        tf->rax = result;
}

static __attribute__((noinline)) void call_traced(struct trapframe *tf)
{
    u32 number = tf->error;
    const struct syscall_entry *entry = number < SYSCALL_MAX ? &table[number] : NULL;
    const u64 arg[6] = {tf->rdi, tf->rsi, tf->rdx, tf->r10, tf->r8, tf->r9};
    char text[256];

    if (entry && entry->name)
        trace_call(text, sizeof(text), entry->name, entry->parameters, arg);
    else
        snprintf(text, sizeof(text), "syscall_%u(0x%lx, 0x%lx, 0x%lx)", number, arg[0], arg[1],
                 arg[2]);
    if (number == __NR_exit || number == __NR_exit_group)
        kprintf("[pid %d] %s = ?\n", pid_nr(current()->pid, &init_pid_ns), text);
    call(tf);
    trace_result(text, tf->rax);
}

// The upcall of SYSCALL entry (kernel/x86/trap.h).
void syscall_dispatch(struct trapframe *tf)
{
    current()->syscalls++;
    if (tracing)
        call_traced(tf);
    else
        call(tf);
}
