/* Saving a machine to files, and making it anew from them. */
#include "user/vmm/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/vmm/say.h"
#include "user/vmm/state.h"

enum { PATH = 512 };

static struct stream stream;

struct stream_header snapshot_header(const struct machine *m, enum stream_content content,
                                     uint64_t id)
{
    struct stream_header h = {
        .content = content,
        .id = id,
        .ram_size = m->ram_size,
        .vcpus = m->vcpu_count,
        .tsc_khz = m->tsc_khz,
    };

    snprintf(h.name, sizeof(h.name), "%s", m->name);
    return h;
}

static bool is_zero(const uint8_t *page)
{
    const uint64_t *word = (const uint64_t *)(const void *)page;
    uint64_t any = 0;

    for (unsigned i = 0; i < PAGE_SIZE / sizeof(*word) && !any; i += 8)
        any = word[i] | word[i + 1] | word[i + 2] | word[i + 3] | word[i + 4] | word[i + 5] |
              word[i + 6] | word[i + 7];
    return !any;
}

bool snapshot_put_pages(const struct machine *m, struct stream *s, uint64_t gpa, uint64_t size,
                        bool all)
{
    for (uint64_t end = gpa + size; gpa < end;) {
        bool zero = is_zero(m->ram + gpa);
        uint64_t n = PAGE_SIZE;
        while (gpa + n < end && (zero || n < RECORD_MAX) && is_zero(m->ram + gpa + n) == zero)
            n += PAGE_SIZE;
        if (zero && all && !stream_put(s, RECORD_ZEROS, gpa, &n, sizeof(n)))
            return false;
        if (!zero) { /* the guest may write to them meanwhile: their checksum is a copy's */
            memcpy(s->data, m->ram + gpa, n);
            if (!stream_put(s, RECORD_PAGES, gpa, s->data, n))
                return false;
        }
        gpa += n;
    }
    return true;
}

bool snapshot_take_memory(struct machine *m, const struct stream *s)
{
    const struct record *r = &s->record;
    uint64_t size = r->size;

    if (r->kind != RECORD_PAGES && r->kind != RECORD_ZEROS)
        return false;
    if (r->kind == RECORD_ZEROS) {
        if (r->size != sizeof(size))
            stream_bad(s, "zeros: size %u, not %zu", r->size, sizeof(size));
        memcpy(&size, s->data, sizeof(size));
    }
    if ((r->where | size) % PAGE_SIZE || r->where > m->ram_size || size > m->ram_size - r->where)
        stream_bad(s, "memory: 0x%llx bytes at 0x%llx, the machine has 0x%llx",
                   (unsigned long long)size, (unsigned long long)r->where,
                   (unsigned long long)m->ram_size);
    if (r->kind == RECORD_PAGES)
        memcpy(m->ram + r->where, s->data, size);
    else
        memset(m->ram + r->where, 0, size);
    return true;
}

static bool save_file(struct machine *m, const char *path, enum stream_content content, uint64_t id)
{
    struct stream_header h = snapshot_header(m, content, id);
    struct stream *s = &stream;

    memset(s, 0, offsetof(struct stream, data));
    s->name = path;
    s->back_fd = -1;
    s->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (s->fd < 0) {
        snprintf(s->error, sizeof(s->error), "%s: %s", path, strerror(errno));
        return false;
    }
    bool done = stream_begin(s, &h) &&
                (content == CONTENT_MEMORY ? snapshot_put_pages(m, s, 0, m->ram_size, false)
                                           : state_save(m, s)) &&
                stream_end(s);
    if (close(s->fd) < 0 && done) {
        snprintf(s->error, sizeof(s->error), "%s: %s", path, strerror(errno));
        done = false;
    }
    return done;
}

bool snapshot_save(struct machine *m, const char *dir, char *error, size_t size)
{
    char memory[PATH], state[PATH];
    uint64_t id = 0;

    snprintf(memory, sizeof(memory), "%s/memory", dir);
    snprintf(state, sizeof(state), "%s/machine", dir);
    if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
        snprintf(error, size, "%s: %s", dir, strerror(errno));
        return false;
    }
    if (getrandom(&id, sizeof(id), 0) == sizeof(id) && save_file(m, memory, CONTENT_MEMORY, id) &&
        save_file(m, state, CONTENT_STATE, id))
        return true;
    snprintf(error, size, "%s", stream.error);
    unlink(memory);
    unlink(state);
    return false;
}

static struct stream_header open_file(const char *path, enum stream_content content)
{
    struct stream *s = &stream;

    memset(s, 0, offsetof(struct stream, data));
    s->name = path;
    s->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0)
        die_errno("%s", path);
    return stream_open(s, content);
}

void snapshot_create(struct machine *m, const struct stream *s, const struct stream_header *h)
{
    if (h->ram_size % MIB || h->ram_size < MIN_MIB * MIB || h->ram_size > MAX_MIB * MIB)
        die(STATUS_USAGE, "%s: header: ram_size 0x%llx", s->name, (unsigned long long)h->ram_size);
    if (h->vcpus < 1 || h->vcpus > MAX_VCPUS)
        die(STATUS_USAGE, "%s: header: vcpus %u is not from 1 to %u", s->name, h->vcpus, MAX_VCPUS);
    m->name = strdup(h->name);
    machine_create(m, h->ram_size, h->vcpus);
    state_expect(m);
    for (unsigned i = 0; i < m->vcpu_count; i++) {
        if (ioctl(m->vcpu[i].fd, KVM_SET_TSC_KHZ, (unsigned long)h->tsc_khz) < 0)
            die(STATUS_USAGE, "%s: header: tsc_khz %u: this machine's TSC has %u", s->name,
                h->tsc_khz, m->tsc_khz);
    }
}

static void read_to_end(struct machine *m, const struct stream_header *h, bool memory)
{
    struct stream *s = &stream;

    for (stream_get(s); s->record.kind != RECORD_END; stream_get(s)) {
        if (!memory && s->record.kind == RECORD_SECTION)
            state_load_section(m, s);
        else if (!memory || !snapshot_take_memory(m, s))
            stream_bad(s, "kind %u", s->record.kind);
    }
    char more;
    if (read(s->fd, &more, 1) > 0)
        die(STATUS_USAGE, "%s: end: more data follow", s->name);
    close(s->fd);
    (void)h;
}

void snapshot_restore(struct machine *m, const char *dir)
{
    static char memory[PATH], state[PATH];

    snprintf(memory, sizeof(memory), "%s/memory", dir);
    snprintf(state, sizeof(state), "%s/machine", dir);
    struct stream_header h = open_file(memory, CONTENT_MEMORY);
    snapshot_create(m, &stream, &h);
    read_to_end(m, &h, true);
    struct stream_header other = open_file(state, CONTENT_STATE);
    if (other.id != h.id)
        die(STATUS_USAGE, "%s: header: id %016llx: %s has %016llx", state,
            (unsigned long long)other.id, memory, (unsigned long long)h.id);
    if (other.ram_size != h.ram_size || other.vcpus != h.vcpus)
        die(STATUS_USAGE, "%s: header: ram_size or vcpus differ from %s", state, memory);
    read_to_end(m, &other, false);
    state_loaded(m, &stream);
}
