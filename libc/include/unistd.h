/* newlib's unistd.h and what Linux adds to it. */
#ifndef VIV_UNISTD_H
#define VIV_UNISTD_H

#include_next <unistd.h>
#include <sys/types.h>

extern char **environ;

long syscall(long number, ...);
pid_t gettid(void);
int brk(void *end);
int chroot(const char *path);
int setdomainname(const char *name, size_t size);
int setgroups(int count, const gid_t *groups);
int initgroups(const char *user, gid_t group);
int getresuid(uid_t *real, uid_t *effective, uid_t *saved);
int getresgid(gid_t *real, gid_t *effective, gid_t *saved);
int setresuid(uid_t real, uid_t effective, uid_t saved);
int setresgid(gid_t real, gid_t effective, gid_t saved);
int syncfs(int fd);
int close_range(unsigned int first, unsigned int last, int flags);
int execvpe(const char *file, char *const argv[], char *const envp[]);
int acct(const char *path);

#endif
