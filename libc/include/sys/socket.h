/* Sockets: socket(2), send(2), cmsg(3). */
#ifndef VIV_SYS_SOCKET_H
#define VIV_SYS_SOCKET_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <asm/socket.h>

#define AF_UNSPEC 0
#define AF_UNIX 1
#define AF_LOCAL AF_UNIX
#define AF_INET 2
#define AF_INET6 10
#define PF_UNIX AF_UNIX
#define PF_LOCAL AF_UNIX

#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_RAW 3
#define SOCK_SEQPACKET 5
#define SOCK_CLOEXEC O_CLOEXEC
#define SOCK_NONBLOCK O_NONBLOCK

#define SHUT_RD 0
#define SHUT_WR 1
#define SHUT_RDWR 2
#define SOMAXCONN 4096

#define MSG_OOB 0x1
#define MSG_PEEK 0x2
#define MSG_CTRUNC 0x8
#define MSG_TRUNC 0x20
#define MSG_DONTWAIT 0x40
#define MSG_EOR 0x80
#define MSG_WAITALL 0x100
#define MSG_NOSIGNAL 0x4000
#define MSG_WAITFORONE 0x10000
#define MSG_CMSG_CLOEXEC 0x40000000

#define SCM_RIGHTS 1
#define SCM_CREDENTIALS 2

typedef unsigned int socklen_t;
typedef unsigned short sa_family_t;

struct sockaddr {
    sa_family_t sa_family;
    char sa_data[14];
};

struct sockaddr_storage {
    sa_family_t ss_family;
    char padding[126 - sizeof(long)];
    long align;
};

struct msghdr {
    void *msg_name;
    socklen_t msg_namelen;
    struct iovec *msg_iov;
    size_t msg_iovlen;
    void *msg_control;
    size_t msg_controllen;
    int msg_flags;
};

struct cmsghdr {
    size_t cmsg_len;
    int cmsg_level;
    int cmsg_type;
};

struct ucred {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

#define CMSG_ALIGN(size) (((size) + sizeof(size_t) - 1) & ~(sizeof(size_t) - 1))
#define CMSG_SPACE(size) (CMSG_ALIGN(size) + CMSG_ALIGN(sizeof(struct cmsghdr)))
#define CMSG_LEN(size) (CMSG_ALIGN(sizeof(struct cmsghdr)) + (size))
#define CMSG_DATA(head) ((unsigned char *)((struct cmsghdr *)(head) + 1))
#define CMSG_FIRSTHDR(message)                                                                     \
    ((message)->msg_controllen >= sizeof(struct cmsghdr)                                           \
         ? (struct cmsghdr *)(message)->msg_control                                                \
         : (struct cmsghdr *)0)
#define CMSG_NXTHDR(message, head) viv_next_cmsg(message, head)

static inline struct cmsghdr *viv_next_cmsg(struct msghdr *message, struct cmsghdr *head)
{
    char *next = (char *)head + CMSG_ALIGN(head->cmsg_len);
    char *end = (char *)message->msg_control + message->msg_controllen;
    return next + sizeof(struct cmsghdr) <= end ? (struct cmsghdr *)next : (struct cmsghdr *)0;
}

int socket(int family, int type, int protocol);
int socketpair(int family, int type, int protocol, int fds[2]);
int bind(int fd, const struct sockaddr *name, socklen_t length);
int listen(int fd, int backlog);
int connect(int fd, const struct sockaddr *name, socklen_t length);
int accept(int fd, struct sockaddr *name, socklen_t *length);
int accept4(int fd, struct sockaddr *name, socklen_t *length, int flags);
int shutdown(int fd, int how);
int getsockname(int fd, struct sockaddr *name, socklen_t *length);
int getpeername(int fd, struct sockaddr *name, socklen_t *length);
int getsockopt(int fd, int level, int option, void *value, socklen_t *length);
int setsockopt(int fd, int level, int option, const void *value, socklen_t length);
ssize_t send(int fd, const void *data, size_t size, int flags);
ssize_t recv(int fd, void *data, size_t size, int flags);
ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *name,
               socklen_t length);
ssize_t recvfrom(int fd, void *data, size_t size, int flags, struct sockaddr *name,
                 socklen_t *length);
ssize_t sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t recvmsg(int fd, struct msghdr *message, int flags);

#endif
