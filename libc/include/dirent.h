/* Reading directories. */
#ifndef VIV_DIRENT_H
#define VIV_DIRENT_H

#include <stddef.h>
#include <sys/types.h>

/* As getdents64 writes it. */
struct dirent {
    ino_t d_ino;
    off_t d_off;
    unsigned short d_reclen;
    unsigned char d_type;
    char d_name[256];
};
#define dirent64 dirent
_Static_assert(offsetof(struct dirent, d_name) == 19, "struct linux_dirent64's");

#define DT_UNKNOWN 0
#define DT_FIFO 1
#define DT_CHR 2
#define DT_DIR 4
#define DT_BLK 6
#define DT_REG 8
#define DT_LNK 10
#define DT_SOCK 12

typedef struct viv_dir DIR;

DIR *opendir(const char *path);
DIR *fdopendir(int fd);
struct dirent *readdir(DIR *dir);
void rewinddir(DIR *dir);
void seekdir(DIR *dir, long at);
long telldir(DIR *dir);
int dirfd(DIR *dir);
int closedir(DIR *dir);
int alphasort(const struct dirent **a, const struct dirent **b);
int scandir(const char *path, struct dirent ***list, int (*want)(const struct dirent *),
            int (*order)(const struct dirent **, const struct dirent **));
ssize_t getdents64(int fd, void *buffer, size_t size);

#endif
