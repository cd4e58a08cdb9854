// Terminals: the line discipline between a driver (serial port, pty) and the programs that read and
// write. termios(3), tty_ioctl(2), and job control as POSIX has it (General Terminal Interface).
//
// Kernel lock held everywhere. A driver calls tty_input from its interrupt; programs' reads sleep.
#pragma once
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <asm/termios.h>
#include "kernel/fs/vfs.h"
#include "kernel/task/wait.h"

struct tty;
struct session;

#define TTY_MAJOR 4
#define TTYAUX_MAJOR 5
#define SERIAL_MINOR 64
#define PTS_MAJOR 136
#define TTY_BUFFER 4096 // characters typed and not read, as N_TTY has it

struct tty_driver {
    // Sends up to n characters; how many it took. Less than n: the rest after
    // wake_all(&tty->write_wait).
    size_t (*write)(struct tty *tty, const char *text, size_t n);
    void (*release)(struct tty *tty); // the last open file is gone; may be NULL
};

struct tty {
    const struct tty_driver *driver;
    u64 rdev;
    u32 opens;
    struct termios termios;
    struct winsize winsize;
    struct session *session; // whose controlling terminal it is, without a reference, or NULL
    bool hung_up;            // the other side is gone: reads give 0, writes EIO
    bool stopped;            // IXON: ^S was typed
    bool literal;            // VLNEXT: the next character is only a character
    u32 column;              // of the output, for tabs and erasing

    // Input: entries [tail, canonical) are lines, [canonical, head) the line being edited.
    // Positions only grow.
    u64 head, canonical, tail;
    u16 input[TTY_BUFFER]; // a character, or'ed with TTY_DELIMITER or TTY_EOF
    struct wait_queue read_wait, write_wait;
    void *private; // the driver's
};

#define TTY_DELIMITER 0x100 // ends a line
#define TTY_EOF 0x200       // VEOF: ends a line and is not read itself

void tty_setup(struct tty *tty, const struct tty_driver *driver, u64 rdev);
// Characters from the device, through the line discipline: echo, editing, signals.
void tty_input(struct tty *tty, const char *text, size_t n);
// Sends text with output processing (OPOST); characters of text done, fewer if the driver is full.
size_t tty_output(struct tty *tty, const char *text, size_t n);
// SIGHUP and SIGCONT to the session, end of file for all who have it open.
void tty_hangup(struct tty *tty);
// Drops input that was not read (TCFLSH, signals).
void tty_flush_input(struct tty *tty);
// Bytes that a read would give now.
size_t tty_readable(const struct tty *tty);

// tty_file.c: a tty behind an open file.
extern const struct file_ops tty_fops;
int tty_open(
    struct tty *tty,
    struct file *f); // f->private = tty; makes it the controlling terminal where POSIX says so

// job.c
int tty_check_background(struct tty *tty, int sig);    // 0, -EIO, or a signal sent and -ERESTARTSYS
long tty_job_ioctl(struct tty *tty, u32 cmd, u64 arg); // -ENOTTY: none of them
void tty_make_controlling(struct tty *tty);

void tty_init(void);    // /dev/tty, /dev/console, /dev/ptmx
void serial_init(void); // COM1 as /dev/ttyS0, and COM2 as /dev/ttyS1 where the log leaves it
void pty_init(void);    // /dev/pts/N
void mem_init(void);    // /dev/null, zero, full, random, urandom, kmsg
struct tty *console_tty(void);
int ptmx_open(struct file *f); // pty.c: a new pair, f is its master
