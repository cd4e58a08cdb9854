/* init: the first process. It mounts what every program expects, gives the console to one child and
 * waits.
 *
 * That child is a login shell, or, when the kernel's command line says viv.exec=FILE, the program
 * whose arguments FILE holds (each ended by a NUL); its input is the file `stdin` beside FILE if
 * there is one. While it runs init reaps every orphan; when it
 * ends the machine is switched off. For a program the kernel's log gets the line "viv: exit status
 * N" first: N is its status, 128 + the signal that killed it, 127 if there is no such program, 126
 * if it cannot be run. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* A line in the kernel's log, where neither a shell's screen nor a program's output is disturbed by
 * it. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    if (length > (int)sizeof line - 2)
        length = sizeof line - 2;
    line[length++] = '\n';
    int log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
    if (write(log >= 0 ? log : 2, line, (size_t)length) < 0)
        (void)write(2, line, (size_t)length);
    close(log);
}

/* Mount a file system unless one is there already: then the directory is not of its parent's
 * device. */
static void mount_once(const char *type, const char *target, unsigned long flags,
                       const char *options)
{
    char parent[64];
    struct stat here, above;
    mkdir(target, 0755);
    snprintf(parent, sizeof parent, "%s/..", target);
    if (stat(target, &here) == 0 && stat(parent, &above) == 0 && here.st_dev != above.st_dev)
        return;
    if (mount(type, target, type, flags, options) < 0)
        say("viv: init: mounting %s on %s: %s", type, target, strerror(errno));
}

static void mount_all(void)
{
    mount_once("devtmpfs", "/dev", MS_NOSUID, NULL);
    mount_once("proc", "/proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL);
    mount_once("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "ptmxmode=666,mode=620");
    mkdir("/sys", 0755);
    mkdir("/sys/fs", 0755);
    mount_once("cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NOEXEC, NULL);
    mount_once("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=755");
    mkdir("/dev/shm", 01777);
    mount_once("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
}

/* The value of a word NAME=VALUE of the kernel's command line, or NULL. */
static const char *boot_word(const char *name)
{
    static char line[4096];
    int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
    close(fd);
    if (length <= 0)
        return NULL;
    line[length] = 0;
    for (char *word = strtok(line, " \n"); word; word = strtok(NULL, " \n"))
        if (strncmp(word, name, strlen(name)) == 0 && word[strlen(name)] == '=')
            return word + strlen(name) + 1;
    return NULL;
}

/* The NUL-ended strings of a file as an argv, or NULL with errno set. */
static char **read_arguments(const char *path)
{
    static char text[65536], *argv[1024];
    size_t length = 0, count = 0;
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    while ((got = read(fd, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)got;
    close(fd);
    if (got < 0)
        return NULL;
    text[length] = 0;
    for (char *arg = text; arg < text + length && count < 1023; arg += strlen(arg) + 1)
        argv[count++] = arg;
    errno = count ? 0 : ENOEXEC;
    return count ? argv : NULL;
}

/* The child's side: a session and a process group of its own with the console as its terminal. */
static void take_console(void)
{
    setsid();
    int fd = open("/dev/ttyS0", O_RDWR);
    if (fd < 0)
        fd = open("/dev/console", O_RDWR);
    if (fd >= 0) {
        for (int i = 0; i < 3; i++)
            dup2(fd, i);
        if (fd > 2)
            close(fd);
    }
    ioctl(0, TIOCSCTTY, 0);
    tcsetpgrp(0, getpid());
}

/* A program's output is passed on byte for byte, and nothing that is typed is added to it. */
static void make_transparent(int tty)
{
    struct termios settings;
    if (tcgetattr(tty, &settings) < 0)
        return;
    settings.c_oflag &= ~(tcflag_t)OPOST;
    settings.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    tcsetattr(tty, TCSANOW, &settings);
}

/* Input that was known before the start is a file, so that each byte arrives and none at a chance
 * moment. */
static void take_input(void)
{
    int fd = open("/etc/viv/stdin", O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        dup2(fd, 0);
}

static pid_t start(char **argv, int transparent)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    take_console();
    if (transparent) {
        make_transparent(0);
        take_input();
        say("viv: running %s", argv[0]);
    }
    const char *file = argv[0][0] == '-' ? "/bin/sh" : argv[0];
    execvp(file, argv);
    int problem = errno;
    say("viv: %s: %s", file, strerror(problem));
    _exit(problem == ENOENT || problem == ENOTDIR ? 127 : 126);
}

/* What poweroff, halt and reboot ask init for by a signal, as busybox's do; 0: nothing. */
static volatile sig_atomic_t ordered;

static void take_order(int signal)
{
    ordered = signal == SIGTERM ? RB_AUTOBOOT : RB_POWER_OFF;
}

static void listen_for_orders(void)
{
    struct sigaction action = {.sa_handler = take_order};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* Reap until `child` has ended or an order has come; its exit status as a shell counts it. */
static int wait_for(pid_t child)
{
    int status;
    pid_t pid;
    do
        pid = wait4(-1, &status, 0, NULL);
    while (pid != child && !ordered && !(pid < 0 && errno == ECHILD));
    if (ordered)
        return 0;
    if (pid < 0)
        return 125;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void set_up_environment(void)
{
    clearenv();
    setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin:/test", 1);
    setenv("HOME", "/root", 1);
    setenv("TERM", "vt102", 1);
    setenv("USER", "root", 1);
    sethostname("vivarium", 8);
    if (chdir("/root") < 0)
        (void)chdir("/");
}

int main(void)
{
    listen_for_orders();
    mount_all();
    set_up_environment();
    const char *file = boot_word("viv.exec");
    char *shell[] = {"-sh", NULL};
    char **argv = file ? read_arguments(file) : shell;
    int status = 127;
    if (argv) {
        pid_t child = start(argv, file != NULL);
        if (child < 0)
            say("viv: init: fork: %s", strerror(errno));
        else
            status = wait_for(child);
    } else {
        say("viv: %s: %s", file, strerror(errno));
    }
    tcdrain(1);
    if (file)
        say("viv: exit status %d", status);
    sync();
    reboot(ordered ? ordered : RB_POWER_OFF);
    say("viv: init: power off: %s", strerror(errno));
    for (;;)
        pause();
}
