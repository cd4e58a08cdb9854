/* Random calls on files, whose results are compared with Linux's.
 *
 * A seed gives a sequence of calls on a small set of names in an empty root directory; what each
 * call answers goes into a log, and the log into a hash. The hashes below were made by this program
 * on Linux (6.18, tmpfs). The same sequences run on an overlay whose lower layer is filled first:
 * there Linux was asked without an overlay, since the user must not see a difference.
 *
 * Without arguments: all seeds, against the hashes. With `log SEED`: what they are made of, to be
 * compared by diff with the log on Linux; `log SEED overlay` and, there, `log SEED lower` are the
 * layered ones. With `hashes`: filefuzz.inc. To build it for Linux: cc -static -D_GNU_SOURCE -I.
 * TMPDIR is to be a tmpfs there, and the user root. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS 1500
#define FILLING 300 /* calls that fill the lower layer */
#define FILES 8
#define BYTES 9000

static const struct {
    unsigned seed;
    unsigned long long plain, layered;
} golden[] = {
#include "tests/guest/filefuzz.inc"
};

enum { PLAIN, FILL, LAYERED };

static int mode, printing, root, files[FILES];
static unsigned long long state, hash;
static char data[BYTES];

static unsigned below(unsigned n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state >> 11) % n;
}

static void say(const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    for (char *p = line; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 0x100000001b3ULL;
    if (printing)
        fputs(line, stdout);
}

static const char *path(void)
{
    static char paths[4][512];
    static int next;
    char *p = paths[next++ % 4];
    unsigned depth = 1 + below(3);

    strcpy(p, below(40) ? "" : below(2) ? "./" : "../w/");
    for (unsigned i = 0; i < depth; i++) {
        static const char *const odd[] = {".", "..", "/"};
        char name[2] = {'a' + below(6), 0};
        unsigned pick = below(40);
        strcat(p, i ? "/" : "");
        strcat(p, pick < 3 ? odd[pick] : name);
    }
    if (!below(15))
        strcat(p, "/");
    if (!below(200))
        memset(p, 'x', 300), p[300] = 0;
    if (!below(200))
        *p = 0;
    return p;
}

static void answer(long result)
{
    say(" = %ld %d\n", result, result < 0 ? errno : 0);
}

static unsigned sum(const char *p, long n)
{
    unsigned s = 0;
    for (long i = 0; i < n; i++)
        s = s * 31 + (unsigned char)p[i];
    return s;
}

static void show(int result, const struct stat *st)
{
    int dir = !result && S_ISDIR(st->st_mode);
    if (!result)
        say(" %o %u:%u", (unsigned)st->st_mode, (unsigned)st->st_uid, (unsigned)st->st_gid);
    if (!result && !dir)
        say(" %u %lld", (unsigned)st->st_nlink, (long long)st->st_size);
    answer(result);
}

/* Layers do not promise that a descriptor opened for reading sees later changes, nor the links of
 * lower files, and directories of a lower layer do not move: such calls are left out. */
static int is(const char *p, int follow, unsigned type)
{
    struct stat st;
    return (follow ? stat(p, &st) : lstat(p, &st)) == 0 && (st.st_mode & S_IFMT) == type;
}

static void do_open(int fd)
{
    static const int flags[] = {O_RDONLY,
                                O_WRONLY,
                                O_RDWR,
                                O_RDWR | O_CREAT,
                                O_RDWR | O_CREAT,
                                O_WRONLY | O_CREAT | O_TRUNC,
                                O_RDWR | O_CREAT | O_EXCL,
                                O_RDWR | O_CREAT | O_APPEND,
                                O_RDONLY | O_DIRECTORY,
                                O_RDONLY | O_NOFOLLOW,
                                O_PATH,
                                O_PATH | O_NOFOLLOW,
                                O_RDWR | O_TRUNC,
                                O_RDONLY | O_CREAT,
                                O_RDWR | O_CREAT | O_NOFOLLOW};
    const char *p = path();
    int f = flags[below(sizeof(flags) / sizeof(flags[0]))] | O_NONBLOCK;

    if (mode == LAYERED && !(f & (O_ACCMODE | O_PATH)) && is(p, 1, S_IFREG))
        f |= O_RDWR;
    if (files[fd] >= 0)
        close(files[fd]);
    files[fd] = open(p, f, below(3) ? 0644 : 0755);
    say("open %s %o", p, f);
    answer(files[fd] < 0 ? -1 : 0);
}

static void do_rename(int fd)
{
    const char *p = path(), *q = path();
    unsigned flags = below(2) ? 0 : below(4);

    say("rename %s %s %u", p, q, flags);
    if (mode == LAYERED && (flags == 2 || is(p, 0, S_IFDIR) || is(q, 0, S_IFDIR)))
        answer(0);
    else
        answer(syscall(SYS_renameat2, AT_FDCWD, p, AT_FDCWD, q, flags));
}

static void do_link(int fd)
{
    const char *p = path(), *q = path();
    int flags = below(2) ? AT_SYMLINK_FOLLOW : 0;

    say("link %s %s %x", p, q, flags);
    answer(mode == FILL ? 0 : linkat(AT_FDCWD, p, AT_FDCWD, q, flags));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void do_list(int fd)
{
    char names[32][16];
    int n = 0;
    const char *p = path();
    DIR *d = opendir(p);

    say("list %s", p);
    for (struct dirent *e; d && n < 32 && (e = readdir(d));)
        snprintf(names[n++], sizeof(names[0]), " %.8s:%u", e->d_name, e->d_type);
    answer(d ? n : -1);
    if (d)
        closedir(d);
    qsort(names, n, sizeof(names[0]), by_name);
    for (int i = 0; i < n; i++)
        say("%s", names[i]);
}

static void do_stat(int fd)
{
    struct stat st;
    const char *p = path();
    int follow = below(2);

    say("stat %s %d", p, follow);
    int result = follow ? stat(p, &st) : lstat(p, &st);
    show(result, &st);
}

static void do_fstat(int fd)
{
    struct stat st;
    say("fstat %d", fd);
    int result = fstat(files[fd], &st);
    show(result, &st);
}

static void do_readlink(int fd)
{
    char text[64] = "";
    const char *p = path();
    long n = readlink(p, text, below(20));
    say("readlink %s %.*s", p, n > 0 ? (int)n : 0, text);
    answer(n);
}

static long position(void)
{
    return (long)below(20000) - 50;
}

static void do_write(int fd)
{
    say("write %d", fd);
    long at = position();
    if (below(2))
        answer(write(files[fd], data, below(BYTES)));
    else
        answer(pwrite(files[fd], data, below(300), at));
}

static void do_read(int fd)
{
    static char got[BYTES];
    long at = position(),
         n = below(2) ? read(files[fd], got, below(BYTES)) : pread(files[fd], got, 300, at);
    say("read %d %u", fd, n > 0 ? sum(got, n) : 0);
    answer(n);
}

/* Directories have positions of each file system's own, and data and holes are as it keeps them. */
static void do_lseek(int fd)
{
    struct stat st;
    int dir = fstat(files[fd], &st) == 0 && S_ISDIR(st.st_mode);
    long at = position();
    int whence = below(4);
    say("lseek %d", fd);
    answer(dir ? 0 : lseek(files[fd], at, whence < 3 ? whence : 9));
}

static void do_truncate(int fd)
{
    const char *p = path();
    long size = position();
    say("truncate %s %d", p, fd);
    if (below(2))
        answer(truncate(p, size));
    else
        answer(ftruncate(files[fd], size));
}

static void do_allocate(int fd)
{
    say("fallocate %d", fd);
    long at = below(BYTES), size = below(BYTES);
    answer(fallocate(files[fd], below(4), at, size));
}

static void do_make(int fd)
{
    static const unsigned types[] = {S_IFDIR, S_IFREG, S_IFIFO, S_IFSOCK, S_IFDIR};
    const char *p = path();
    unsigned type = types[below(5)];
    say("make %s %o", p, type);
    answer(type == S_IFDIR ? mkdir(p, 0755) : mknod(p, type | 0640, 0));
}

static void do_symlink(int fd)
{
    const char *p = path(), *q = path();
    say("symlink %s %s", p, q);
    answer(symlink(p, q));
}

static void do_remove(int fd)
{
    const char *p = path();
    int dir = below(2);
    say("remove %s %d", p, dir);
    answer(dir ? rmdir(p) : unlink(p));
}

static void do_attributes(int fd)
{
    const char *p = path();
    unsigned what = below(4096);
    int change = below(2);
    say("attributes %s %o", p, what);
    answer(change ? chmod(p, what) : access(p, what % 8));
}

/* Mostly as root, who may get everywhere; at times as somebody else. */
static void do_user(int fd)
{
    int user = below(3) ? 0 : 1000;
    say("user %d", user);
    answer(syscall(SYS_setresuid, -1, user, -1));
}

static void do_owner(int fd)
{
    const char *p = path();
    int user = below(2) ? 1000 : -1, group = below(3) ? -1 : 1000;
    say("owner %s %d %d", p, user, group);
    answer(below(2) ? chown(p, user, group) : lchown(p, user, group));
}

static void do_directory(int fd)
{
    const char *p = path();
    say("directory %s %d", p, fd);
    int stay = below(3) == 0;
    answer(below(2) ? chdir(p) : fchdir(files[fd]));
    if (!stay)
        fchdir(root);
}

static void do_openat(int fd)
{
    const char *p = path();
    int f = openat(files[fd], p, O_RDONLY | O_NONBLOCK);
    say("openat %d %s", fd, p);
    answer(f < 0 ? -1 : 0);
    if (f >= 0)
        close(f);
}

static void (*const calls[])(int fd) = {
    do_open,       do_open,      do_open,     do_rename,  do_rename,  do_link,   do_list,
    do_stat,       do_fstat,     do_readlink, do_write,   do_read,    do_lseek,  do_truncate,
    do_allocate,   do_make,      do_make,     do_symlink, do_symlink, do_remove, do_openat,
    do_attributes, do_directory, do_user,     do_owner,
};

/* Runs in a process of its own, whose root `directory` becomes. */
static void fuzz(const char *directory, unsigned seed, unsigned count)
{
    state = seed * 2654435761ULL + 88172645463325252ULL;
    hash = 0xcbf29ce484222325ULL;
    umask(022);
    if (chdir(directory) || chroot(".") || (mkdir("w", 0755) && errno != EEXIST) || chdir("w")) {
        perror(directory);
        exit(2);
    }
    root = open(".", O_RDONLY);
    for (int i = 0; i < BYTES; i++)
        data[i] = i * 7;
    for (int i = 0; i < FILES; i++)
        files[i] = -1;
    for (unsigned i = 0; i < count; i++) {
        say("%u ", i);
        calls[below(sizeof(calls) / sizeof(calls[0]))](below(FILES));
    }
}

/* The hash of one run; *failed if the process did not end well. */
static unsigned long long run(int as, const char *directory, unsigned seed, unsigned count)
{
    unsigned long long result = 0;
    int ends[2], status = -1;

    fflush(stdout);
    if (pipe(ends))
        return 0;
    pid_t pid = fork();
    if (pid == 0) {
        mode = as;
        printing = printing && as != FILL;
        fuzz(directory, seed, count);
        fflush(stdout);
        _exit(write(ends[1], &hash, sizeof(hash)) != sizeof(hash));
    }
    close(ends[1]);
    if (read(ends[0], &result, sizeof(result)) != sizeof(result))
        result = 0;
    close(ends[0]);
    waitpid(pid, &status, 0);
    return status ? 0 : result;
}

static void clean(const char *directory)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    if (system(command))
        printf("cannot remove %s\n", directory);
}

static unsigned long long run_plain(const char *base, unsigned seed)
{
    char directory[96];
    snprintf(directory, sizeof(directory), "%s/plain", base);
    mkdir(directory, 0755);
    unsigned long long result = run(PLAIN, directory, seed, CALLS);
    clean(directory);
    return result;
}

static void make_part(char *path, size_t size, const char *base, const char *name)
{
    snprintf(path, size, "%s/%s", base, name);
    mkdir(path, 0755);
}

/* On Linux's side (`stacked` 0) the same calls go on in the directory that was filled. */
static unsigned long long run_layered(const char *base, unsigned seed, int stacked)
{
    char low[80], up[80], work[80], all[80], options[320];
    struct stat st;

    make_part(low, sizeof(low), base, "low");
    make_part(up, sizeof(up), base, "up");
    make_part(work, sizeof(work), base, "work");
    make_part(all, sizeof(all), base, "all");
    run(FILL, low, seed, FILLING);
    if (stat(low, &st) || chown(up, st.st_uid, st.st_gid) || chmod(up, st.st_mode & 07777))
        perror(low); /* the upper root counts */
    snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s", low, up, work);
    if (stacked && mount("none", all, "overlay", 0, options)) {
        perror("mount overlay");
        return 0;
    }
    unsigned long long result = run(LAYERED, stacked ? all : low, seed + 1000, CALLS);
    if (stacked && umount(all))
        perror("umount");
    clean(low);
    clean(up);
    clean(work);
    clean(all);
    return result;
}

static int check(const char *what, unsigned seed, unsigned long long got, unsigned long long wanted)
{
    if (got == wanted)
        return 0;
    printf("FAIL %s, seed %u: the log's hash is %016llx, Linux's %016llx\n", what, seed, got,
           wanted);
    return 1;
}

int main(int argc, char **argv)
{
    char base[64];
    int failed = 0;
    unsigned seed = argc > 2 ? atoi(argv[2]) : 0;

    const char *tmp = getenv("TMPDIR");
    snprintf(base, sizeof(base), "%.40s/filefuzz.%d", tmp ? tmp : "/tmp", (int)getpid());
    if (mkdir(base, 0755))
        return 2;
    if (argc > 1 && strcmp(argv[1], "hashes") == 0) {
        for (seed = 1; seed <= 20; seed++)
            printf("{%u, 0x%016llx, 0x%016llx},\n", seed, run_plain(base, seed),
                   run_layered(base, seed, 0));
    } else if (argc > 2) {
        printing = 1;
        if (argc > 3)
            run_layered(base, seed, strcmp(argv[3], "overlay") == 0);
        else
            run_plain(base, seed);
    } else {
        for (unsigned i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
            failed +=
                check("plain", golden[i].seed, run_plain(base, golden[i].seed), golden[i].plain);
            failed += check("overlay", golden[i].seed, run_layered(base, golden[i].seed, 1),
                            golden[i].layered);
        }
        printf("%s random_calls_answer_as_on_linux\n", failed ? "FAIL" : "ok  ");
    }
    rmdir(base);
    return failed != 0;
}
