// Sockets of the local machine: AF_UNIX, unix(7). Other families do not exist here.
//
// A socket is a queue of messages that others have sent it. Two sockets that are connected name
// each other as `peer`; many datagram sockets may name the same one. What a socket has sent counts
// in its own `in_flight` until somebody reads it: that is what makes a sender wait. A message may
// carry open files (SCM_RIGHTS); sockets that are reachable only from messages in their own queues
// are found and emptied by rights.c.
#pragma once
#include <linux/un.h>
#include "kernel/fs/vfs.h"
#include "kernel/task/wait.h"

// The ABI of socket(2), sendmsg(2), shutdown(2); no UAPI header has these.
#define AF_UNSPEC 0
#define AF_UNIX 1
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_RAW 3
#define SOCK_SEQPACKET 5
#define MSG_OOB 0x1
#define MSG_PEEK 0x2
#define MSG_CTRUNC 0x8
#define MSG_TRUNC 0x20
#define MSG_DONTWAIT 0x40
#define MSG_EOR 0x80
#define MSG_WAITALL 0x100
#define MSG_NOSIGNAL 0x4000
#define MSG_CMSG_CLOEXEC 0x40000000
#define SHUT_RECEIVE 1u // bits: shutdown(2)'s `how` is one less
#define SHUT_SEND 2u
#define SHUT_BOTH 3u

#define SOCKET_NAME_MIN offsetof(struct sockaddr_un, sun_path)
#define SOCKET_RIGHTS_MAX 253   // SCM_MAX_FD: files in one message
#define SOCKET_SEND_MAX 212992U // bytes sent and not read, as in Linux

struct ns;
struct pid;

struct socket_name {
    u32 len; // bytes of addr in use; SOCKET_NAME_MIN: none
    struct sockaddr_un addr;
};

struct credentials { // of who connected, listened or sent
    struct pid *pid; // a reference, or NULL
    u32 uid, gid;
};

struct rights { // files in a message, a reference each
    u32 count;
    struct file *file[];
};

struct message {
    struct list link;
    struct socket *from; // a reference; its in_flight has `charge` of it
    struct rights *rights;
    struct credentials creds;
    u32 charge, start, end; // data[start..end) is still to be read
    char data[];
};

enum socket_state { SOCKET_FRESH, SOCKET_LISTENS, SOCKET_CONNECTED };

struct socket {
    u32 refs; // its file, those who name it as peer, its messages, calls that sleep on it
    u32 type;
    enum socket_state state;
    struct file *file; // no reference; NULL: closed, or not accepted yet
    u32 shut;          // SHUT_*
    int error;         // what the next call is told, once: an errno, positive
    struct wait_queue wait;
    bool reading; // somebody copies a message out, and may sleep in it
    struct wait_queue reader_wait;
    bool pass_creds;
    u64 receive_timeout_ns, send_timeout_ns; // 0: none

    struct list messages;
    u32 message_count;
    u64 in_flight, send_max;

    struct socket *peer;               // a reference
    struct list callers, caller_link;  // who names this one as peer; in peer's callers
    struct list pending, pending_link; // of a listener: not yet accepted ones
    u32 pending_count, backlog;
    struct credentials creds, peer_creds; // of the listener; of the other side: SO_PEERCRED

    struct socket_name name;
    struct path path; // of a name in the file system, with references
    struct ns *net;   // the network namespace, where its abstract names are
    struct list bound_link;

    struct list all_link, scan_link; // rights.c
    u32 travelling;                  // references to `file` that are in messages
    bool garbage;
};

// What sendmsg(2) and recvmsg(2) carry beside the bytes.
struct transfer {
    struct uio *data;
    u32 flags; // MSG_*; receive sets MSG_TRUNC in `result_flags`
    u32 result_flags;
    struct socket_name *name; // send: to whom, or NULL; receive: from whom, or NULL
    struct rights *rights;    // send: taken over where it is set to NULL; receive: the caller's
    struct credentials creds; // likewise references; send: pid NULL means current's own
};

// socket.c. ERR_PTR(-ENOMEM).
struct socket *socket_new(u32 type, struct ns *net);
struct socket *socket_get(struct socket *s);
void socket_put(struct socket *s);
// An open file for s, which takes over the reference; on error the reference is the caller's still.
struct file *socket_file(struct socket *s, u32 flags);
struct socket *socket_of(const struct file *f); // NULL: not a socket
void socket_pair(struct socket *a, struct socket *b);
void socket_set_peer(struct socket *s, struct socket *peer); // NULL: none
void socket_close(struct socket *s, bool unaccepted); // the file is gone; takes the reference
void socket_shutdown(struct socket *s, u32 shut);
// Sleeps once in q until woken: 0; -EAGAIN where the call may not wait or the time is up.
long socket_sleep(struct wait_queue *q, u32 flags, u64 deadline_ns);
u64 socket_deadline(u64 timeout_ns);
struct credentials credentials_get(const struct credentials *c);
struct credentials credentials_of_current(bool effective);
void credentials_put(struct credentials *c);

// name.c. `name` is as it came from user space. All sleep only where the file system does.
long socket_name_check(const struct socket_name *name);
long socket_bind(struct socket *s, const struct socket_name *name);
// Who has this name where `from` is, and is of its type, a reference; ERR_PTR: -ECONNREFUSED,
// -EPROTOTYPE and errors of paths.
struct socket *socket_find(const struct socket *from, const struct socket_name *name);
void socket_unbind(struct socket *s);

// connect.c. accept gives a reference. Connect and accept sleep.
long socket_listen(struct socket *s, int backlog);
long socket_connect(struct socket *s, const struct socket_name *name, u32 flags);
struct socket *socket_accept(struct socket *s, u32 flags);

// transfer.c. Bytes or -errno; both sleep. `flags` of the transfer has MSG_DONTWAIT where the file
// is not to wait.
long socket_send(struct socket *s, struct transfer *t);
long socket_receive(struct socket *s, struct transfer *t);
bool socket_full(const struct socket *s);  // for datagrams
void messages_drop(struct list *messages); // frees them all
// While it is held no message leaves the queue of s. Sleeps.
void socket_lock_queue(struct socket *s);
void socket_unlock_queue(struct socket *s);

// rights.c
struct rights *rights_new(u32 count);               // of no files yet; NULL without memory
struct rights *rights_copy(const struct rights *r); // likewise
void rights_put(struct rights *r);                  // NULL is fine; may sleep
void rights_depart(const struct rights *r);         // they are in a message of a queue now
void rights_arrive(const struct rights *r);         // and no longer
extern struct list all_sockets;
// Empties the queues of sockets that nobody can reach any more.
void rights_collect(void);
