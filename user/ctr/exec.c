// Running another program in a container: a helper joins its cgroup and namespaces and makes the
// program's process inside.
#include "user/ctr/bundle.h"
#include "user/ctr/cgroup.h"
#include "user/ctr/container.h"
#include "user/ctr/first.h"
#include "user/ctr/program.h"
#include "user/ctr/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static bool same_namespace(const char *a, const char *b)
{
    struct stat of_a, of_b;
    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_ino == of_b.st_ino;
}

// All are opened first: once in its mount namespace, our /proc is gone.
static int join_all(int pid)
{
    int fds[NS_COUNT];
    for (int kind = 0; kind < NS_COUNT; kind++) {
        const char *name = namespace_kinds[kind].proc_name;
        const char *path = format_text("/proc/%d/ns/%s", pid, name);
        fds[kind] = -1;
        if (!same_namespace(path, format_text("/proc/self/ns/%s", name)))
            fds[kind] = open(path, O_RDONLY | O_CLOEXEC);
    }
    for (int kind = 0; kind < NS_COUNT; kind++)
        if (fds[kind] >= 0 && setns(fds[kind], namespace_kinds[kind].flag))
            return fail_errno("joining the %s namespace", namespace_kinds[kind].oci_name);
    if (fds[NS_USER] >= 0 && (setresgid(0, 0, 0) || setresuid(0, 0, 0)))
        return fail_errno("root of the user namespace");
    return 0;
}

int exit_status(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

static _Noreturn void complain(int status)
{
    dprintf(2, "ctr: %s\n", error_text);
    _exit(status);
}

static _Noreturn void run_inside(const struct process_config *process)
{
    int status = 125;
    const char *program = program_prepare(process) ? NULL : program_find(process, &status);
    if (program)
        program_run(process, program);
    complain(status);
}

static _Noreturn void help(const struct process_config *process, int pid, int go)
{
    char byte;
    const int keep[] = {go, -1};
    if (close_descriptors(keep) || read(go, &byte, 1) != 1)
        complain(125);
    close(go);
    prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L);
    if (join_all(pid))
        complain(125);
    pid_t child = fork();
    if (child == 0)
        run_inside(process);
    int status;
    if (child < 0 || waitpid(child, &status, 0) < 0) {
        fail_errno("fork");
        complain(125);
    }
    _exit(exit_status(status));
}

int container_exec(const char *id, const struct run_options *options, int *status)
{
    struct state state;
    struct bundle bundle;
    int go[2], wait_status;
    if (state_read(&state, id))
        return -1;
    if (strcmp(state.status, "running") != 0)
        return fail("container \"%s\" is %s, not running", id, state.status);
    if (bundle_open(&bundle, state.bundle))
        return -1;
    struct process_config *process = &bundle.config.process;
    process->args = options->args;
    for (int i = 0; i < options->env.count; i++)
        list_add(&process->env, options->env.items[i]);
    if (options->working_dir)
        process->cwd = options->working_dir;
    if (pipe2(go, O_CLOEXEC))
        return fail_errno("pipe");
    pid_t helper = fork();
    if (helper == 0)
        help(process, state.pid, go[0]);
    close(go[0]);
    int result = helper < 0 ? fail_errno("fork") : cgroup_add(state.cgroup, helper);
    if (!result && write(go[1], "g", 1) != 1)
        result = fail_errno("exec");
    close(go[1]);
    if (helper > 0 && waitpid(helper, &wait_status, 0) == helper)
        *status = exit_status(wait_status);
    return result;
}
