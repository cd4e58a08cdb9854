/*
 * Pre-copy migration. All memory is sent while the guest runs and KVM logs what it writes; then
 * what it wrote meanwhile, again and again, until little is left or it writes faster than the link
 * takes; then the guest stands still for the rest and its state.
 *
 * The guest never runs on both sides: the sender gives it up for good (RECORD_GO) once the receiver
 * has it whole and has said so ("loaded"). Whatever goes wrong before, the guest goes on at the
 * sender, and the receiver ends. The receiver's words on the way back are lines.
 *
 * Either side of a serial line may come first: the receiver says again and again that it is there
 * until something comes, and the sender waits for that.
 */
#include "user/vmm/migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "user/vmm/say.h"
#include "user/vmm/snapshot.h"
#include "user/vmm/state.h"

enum { MAX_ROUNDS = 10, FEW_PAGES = 32, PATH = 512, LINE = 128 };
enum { ANSWER_MS = 60000, RECEIVING_MS = 200 };

#define RECEIVING "receiving"

static struct stream stream;

struct sender {
    struct machine *m;
    struct stream *s;
    unsigned rounds;
    uint64_t pages; /* sent since the first round */
};

static bool fail(struct stream *s, const char *name)
{
    snprintf(s->error, sizeof(s->error), "%.200s: %s", name, strerror(errno));
    return false;
}

/* A serial line carries all bytes as they are, both ways. */
static bool open_serial(struct stream *s, const char *link)
{
    struct termios t;

    s->fd = s->back_fd = open(link, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (s->fd < 0 || tcgetattr(s->fd, &t) < 0)
        return fail(s, link);
    t.c_iflag = 0;
    t.c_oflag = 0;
    t.c_lflag = 0;
    t.c_cflag |= CREAD | CLOCAL | CS8;
    t.c_cc[VMIN] = 255; /* or all that is asked for */
    t.c_cc[VTIME] = 255;
    if (tcsetattr(s->fd, TCSAFLUSH, &t) < 0)
        return fail(s, link);
    s->slow = true;
    return true;
}

static bool is_serial(const char *link)
{
    struct stat st;

    return stat(link, &st) == 0 && S_ISCHR(st.st_mode);
}

static void reset(struct stream *s, const char *link)
{
    memset(s, 0, offsetof(struct stream, data));
    s->name = link;
    s->fd = s->back_fd = -1;
}

static void close_link(struct stream *s)
{
    if (s->back_fd >= 0 && s->back_fd != s->fd)
        close(s->back_fd);
    if (s->fd >= 0)
        close(s->fd);
}

static bool open_to_send(struct stream *s, const char *link)
{
    char back[PATH];

    reset(s, link);
    if (is_serial(link))
        return open_serial(s, link);
    s->fd = open(link, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (s->fd < 0 && errno == ENXIO) {
        snprintf(s->error, sizeof(s->error), "%s: nobody receives", link);
        return false;
    }
    snprintf(back, sizeof(back), "%s.back", link);
    if (s->fd < 0 || fcntl(s->fd, F_SETFL, O_WRONLY) < 0)
        return fail(s, link);
    s->back_fd = open(back, O_RDONLY | O_CLOEXEC);
    return s->back_fd >= 0 || fail(s, back);
}

/* The receiver's next line, of LINE bytes. False: there is none. */
static bool get_line(struct stream *s, char *line)
{
    struct pollfd p = {.fd = s->back_fd, .events = POLLIN};
    size_t n = 0;

    while (n < LINE - 1) {
        if (poll(&p, 1, ANSWER_MS) <= 0 || read(s->back_fd, line + n, 1) != 1)
            return false;
        if (line[n] == '\n')
            break;
        if (line[n] == '.' && !n)
            s->under_way -= STREAM_DOT;
        else
            n++;
    }
    line[n] = 0;
    return true;
}

/* The receiver's next line must be this one; another is its reason. */
static bool expect(struct stream *s, const char *word)
{
    bool begins = !strcmp(word, RECEIVING);
    char line[LINE];

    do {
        if (!get_line(s, line)) {
            snprintf(s->error, sizeof(s->error), "%s: no answer, waiting for \"%s\"", s->name,
                     word);
            return false;
        }
        if (!strcmp(line, word))
            return true;
    } while (begins ||
             !strcmp(line, RECEIVING)); /* half a line before it, or more of them behind */
    snprintf(s->error, sizeof(s->error), "%s: the receiver says: %s", s->name, line);
    return false;
}

static bool send_log(struct sender *x, uint32_t slot, uint64_t *sent)
{
    static uint64_t bitmap[(MAX_MIB * MIB / PAGE_SIZE) / 64];
    struct kvm_dirty_log log = {.slot = slot, .dirty_bitmap = bitmap};

    if (ioctl(x->m->vm_fd, KVM_GET_DIRTY_LOG, &log) < 0)
        return fail(x->s, "KVM_GET_DIRTY_LOG");
    const struct machine_slot *at = &x->m->slot[slot];
    for (uint64_t page = 0; page < (at->end - at->start) / PAGE_SIZE; page++) {
        uint8_t *ours = &x->m->written[at->start / PAGE_SIZE + page];
        bool written = __atomic_exchange_n(ours, 0, __ATOMIC_SEQ_CST);
        if (!written && !(bitmap[page / 64] >> page % 64 & 1))
            continue;
        ++*sent;
        if (!snapshot_put_pages(x->m, x->s, at->start + page * PAGE_SIZE, PAGE_SIZE, true))
            return false;
    }
    return true;
}

/* One round over what was written since the last. */
static bool send_written(struct sender *x, uint64_t *sent)
{
    *sent = 0;
    for (uint32_t i = 0; i < SLOTS; i++) {
        if (!send_log(x, i, sent))
            return false;
    }
    x->pages += *sent;
    x->rounds++;
    return true;
}

/* Memory, while the guest runs. */
static bool send_memory(struct sender *x)
{
    uint64_t sent, last = UINT64_MAX;

    if (!snapshot_put_pages(x->m, x->s, 0, x->m->ram_size, false))
        return false;
    do {
        if (!send_written(x, &sent))
            return false;
        bool hopeless = sent >= last;
        last = sent;
        if (hopeless)
            break;
    } while (last > FEW_PAGES && x->rounds < MAX_ROUNDS);
    return true;
}

/* The rest, while it stands still, until the receiver has it all. */
static bool send_rest(struct sender *x)
{
    uint64_t sent;

    return send_written(x, &sent) && state_save(x->m, x->s) && stream_end(x->s) &&
           expect(x->s, "loaded");
}

static bool send_all(struct sender *x, char *answer, size_t size)
{
    struct stream_header h;
    struct machine *m = x->m;
    uint64_t id = 0;

    if (getrandom(&id, sizeof(id), 0) != sizeof(id))
        return fail(x->s, "getrandom");
    h = snapshot_header(m, CONTENT_MIGRATION, id);
    if (x->s->slow && !expect(x->s, RECEIVING))
        return false;
    if (!stream_begin(x->s, &h) || !expect(x->s, "ready") || !send_memory(x))
        return false;
    machine_pause(m);
    uint64_t stopped_at = clock_ns();
    if (m->stopped || !send_rest(x)) {
        if (m->stopped)
            snprintf(x->s->error, sizeof(x->s->error), "%s: has ended", m->name);
        machine_resume(m);
        return false;
    }
    machine_stop(m, STATUS_OK);
    bool runs = stream_put(x->s, RECORD_GO, 0, "", 0) && expect(x->s, "running");
    snprintf(answer, size,
             "%s: migrated to %s: downtime %llu us, %u rounds, %llu pages again, %llu bytes%s",
             m->name, x->s->name, (unsigned long long)(clock_ns() - stopped_at) / 1000, x->rounds,
             (unsigned long long)x->pages, (unsigned long long)x->s->bytes,
             runs ? "" : "; the receiver did not confirm that it runs");
    machine_resume(m);
    return true;
}

bool migrate_send(struct machine *m, const char *link, char *answer, size_t size)
{
    struct sender x = {.m = m, .s = &stream};

    signal(SIGPIPE, SIG_IGN);
    bool done = open_to_send(&stream, link) && machine_log(m, true);
    if (!done && !stream.error[0])
        fail(&stream, "KVM_MEM_LOG_DIRTY_PAGES");
    done = done && send_all(&x, answer, size);
    if (!done) {
        machine_log(m, false);
        snprintf(answer, size, "%s", stream.error);
    }
    close_link(&stream);
    return done;
}

static char made[2][PATH];

static void ignore(ssize_t result)
{
    (void)result;
}

/* Also at the end of a program that has not got a whole machine. */
static void remove_made(void)
{
    if (stream.back_fd >= 0)
        ignore(write(stream.back_fd, "refused\n", 8));
    for (unsigned i = 0; i < 2; i++)
        if (made[i][0])
            unlink(made[i]);
}

static void make_fifo(char *path, const char *link, const char *tail)
{
    snprintf(path, PATH, "%s%s", link, tail);
    if (mkfifo(path, 0600) < 0) {
        char text[PATH];
        snprintf(text, sizeof(text), "%s", path);
        path[0] = 0;
        die_errno("%s", text);
    }
}

static void open_to_receive(struct stream *s, const char *link)
{
    reset(s, link);
    atexit(remove_made);
    if (is_serial(link)) {
        if (!open_serial(s, link))
            die(STATUS_USAGE, "%s", s->error);
        return;
    }
    make_fifo(made[0], link, "");
    make_fifo(made[1], link, ".back");
    s->back_fd = open(made[1], O_RDWR | O_CLOEXEC);
    if (s->back_fd < 0)
        die_errno("%s", made[1]);
    s->fd = open(link, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0)
        die_errno("%s", link);
}

static void tell(const struct stream *s, const char *line)
{
    if (write(s->back_fd, line, strlen(line)) != (ssize_t)strlen(line))
        die_errno("%s", s->name);
}

/* What is on the line before the header is left from a sender that was refused. */
static void wait_for_sender(struct stream *s)
{
    struct pollfd p = {.fd = s->fd, .events = POLLIN};
    char last[sizeof(((struct stream_header *)0)->magic)] = "";

    while (memcmp(last, STREAM_MAGIC, sizeof(last))) {
        if (poll(&p, 1, RECEIVING_MS) == 0) {
            tell(s, RECEIVING "\n");
            continue;
        }
        memmove(last, last + 1, sizeof(last) - 1);
        if (read(s->fd, &last[sizeof(last) - 1], 1) != 1)
            die_errno("%s", s->name);
    }
    s->bytes = s->under_way = s->found = sizeof(last);
}

void migrate_receive(struct machine *m, const char *link)
{
    struct stream *s = &stream;

    open_to_receive(s, link);
    if (s->slow)
        wait_for_sender(s);
    struct stream_header h = stream_open(s, CONTENT_MIGRATION);
    snapshot_create(m, s, &h);
    tell(s, "ready\n");
    for (stream_get(s); s->record.kind != RECORD_END; stream_get(s)) {
        if (s->record.kind == RECORD_SECTION)
            state_load_section(m, s);
        else if (!snapshot_take_memory(m, s))
            stream_bad(s, "kind %u", s->record.kind);
    }
    state_loaded(m, s);
    tell(s, "loaded\n");
    stream_get(s);
    if (s->record.kind != RECORD_GO)
        stream_bad(s, "kind %u, not %u", s->record.kind, RECORD_GO);
    tell(s, "running\n");
    close_link(s);
    s->fd = s->back_fd = -1;
    remove_made();
}
