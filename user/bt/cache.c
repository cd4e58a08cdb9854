/*
 * The code cache: blocks one behind the other, found by the guest's address, by the guest's page,
 * and by their own. A page of the guest that has blocks is write-protected; a write to it drops
 * them. A dropped block's first instruction becomes a jump to the exit that lies in front of it, so
 * whoever was chained to it needs no change. When there is no room left everything is dropped at
 * once.
 */
#include "user/bt/bt.h"

#include <string.h>
#include <sys/mman.h>

enum { CACHE_SIZE = 4 << 20, MAX_BLOCKS = 16384, BUCKETS = 4096, JUMPS = 65536, THUNKS = 1024 };

struct block {
    uint32_t eip, code; /* code: its offset in the cache */
    uint32_t mark, count;
    struct block *same_bucket, *same_page;
};

static struct block blocks[MAX_BLOCKS], *buckets[BUCKETS];
static struct mark marks[MAX_BLOCKS * 8];
static struct jump jumps[JUMPS];
static uint64_t thunk_keys[THUNKS];
static struct block **page_blocks; /* by the guest's page */
static uint8_t *cache;             /* and behind it the thunks */
static uint32_t block_count, mark_count, used;

static void set_writable(uint32_t page, bool writable)
{
    if (mprotect(GUEST_BASE + (size_t)page * PAGE, PAGE, PROT_READ | (writable ? PROT_WRITE : 0)) <
        0)
        die(STATUS_CRASHED, "mprotect of the guest's page 0x%x failed", page);
}

void cache_init(struct cpu *c)
{
    /* Above the guest's memory: no register of the guest's points into it. */
    cache =
        mmap(GUEST_BASE + 2 * GUEST_SPACE, CACHE_SIZE + THUNKS * THUNK_SIZE,
             PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    page_blocks = mmap(NULL, c->ram_size / PAGE * sizeof(*page_blocks), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (cache == MAP_FAILED || page_blocks == MAP_FAILED)
        die(STATUS_USAGE, "no memory for the code cache");
    c->jumps = jumps;
    used = LEFT_BY_JUMP;
}

/* The jump whose distance is at an offset in the cache now leads to another offset. */
static void chain(uint32_t from, uint32_t to)
{
    uint32_t distance = to - (from + 4);

    memcpy(cache + from, &distance, 4);
}

static void kill(struct block *b)
{
    struct block **at = &buckets[b->eip % BUCKETS];

    while (*at != b)
        at = &(*at)->same_bucket;
    *at = b->same_bucket;
    cache[b->code] = 0xe9;
    chain(b->code + 1, b->code - EXIT_SIZE);
}

void cache_drop(struct cpu *c, uint32_t address, uint32_t size)
{
    for (uint32_t page = address / PAGE; page <= (address + size - 1) / PAGE; page++) {
        if (!page_blocks[page])
            continue;
        for (struct block *b = page_blocks[page]; b; b = b->same_page, c->dropped++)
            kill(b);
        page_blocks[page] = NULL;
        set_writable(page, true);
    }
}

static void drop_everything(struct cpu *c)
{
    cache_drop(c, 0, c->ram_size);
    memset(jumps, 0, sizeof(jumps));
    block_count = mark_count = 0;
    used = LEFT_BY_JUMP;
}

static struct block *find(uint32_t eip)
{
    struct block *b = buckets[eip % BUCKETS];

    while (b && b->eip != eip)
        b = b->same_bucket;
    return b;
}

static struct block *make(struct cpu *c)
{
    struct block *b = &blocks[block_count];
    uint32_t page = c->eip / PAGE, start = used + EXIT_SIZE;

    *b = (struct block){.eip = c->eip, .code = start, .mark = mark_count};
    size_t size = translate(c, c->eip, cache + start, start, marks + mark_count, &b->count);
    if (!size)
        return NULL;
    translate_exit(cache + used, c->eip, start + 1);
    used = start + (uint32_t)size;
    mark_count += b->count;
    block_count++;
    c->blocks++;
    if (!page_blocks[page])
        set_writable(page, false);
    b->same_page = page_blocks[page];
    page_blocks[page] = b;
    b->same_bucket = buckets[b->eip % BUCKETS];
    return buckets[b->eip % BUCKETS] = b;
}

void *cache_find(struct cpu *c, uint32_t why)
{
    struct block *b = find(c->eip);

    if (!b && (used + MAX_CODE > CACHE_SIZE || block_count == MAX_BLOCKS ||
               mark_count + MAX_BLOCK > sizeof(marks) / sizeof(marks[0]))) {
        drop_everything(c);
        why = LEFT_UNCHAINED; /* the jump is gone */
    }
    if (!b)
        b = make(c);
    if (!b)
        return NULL;
    if (why >= LEFT_BY_JUMP)
        chain(why, b->code);
    if (why == LEFT_INDIRECT)
        jumps[c->eip % JUMPS] = (struct jump){~c->eip, cache + b->code};
    return cache + b->code;
}

bool cache_locate(struct cpu *c, const uint8_t *host, uint32_t *eip)
{
    uint32_t low = 0, high = block_count, offset = (uint32_t)(host - cache), n;

    if (host < cache || host >= cache + CACHE_SIZE + THUNKS * THUNK_SIZE)
        return false;
    *eip = c->at;
    if (offset >= CACHE_SIZE) /* a thunk of the interpreter's */
        return true;
    while (high - low > 1) { /* blocks lie in the order in which they were made */
        uint32_t middle = (low + high) / 2;
        *(blocks[middle].code <= offset ? &low : &high) = middle;
    }
    const struct mark *m = &marks[blocks[low].mark];
    for (n = blocks[low].count - 1; n && m[n].host > offset - blocks[low].code; n--)
        ;
    *eip = blocks[low].eip + m[n].guest;
    return true;
}

void *cache_thunk(const struct insn *i)
{
    uint64_t key = (uint64_t)i->imm << 32 | 1u << 31 | (uint32_t)i->op << 8 | i->word << 7 |
                   (is_group(i) ? i->reg : 0);
    uint32_t slot = (uint32_t)(key * 0x9e3779b97f4a7c15 >> 54);
    uint8_t *code = cache + CACHE_SIZE + slot * THUNK_SIZE;

    if (thunk_keys[slot] != key) {
        translate_thunk(code, i);
        thunk_keys[slot] = key;
    }
    return code;
}
