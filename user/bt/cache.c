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

enum { CACHE_SIZE = 4 << 20, MAX_BLOCKS = 8192, JUMPS = 65536, THUNKS = 1024 };

struct block {
    uint32_t eip, code, count; /* code: its offset in the cache */
    struct block *same_page;
};

static struct block blocks[MAX_BLOCKS], *page_blocks[RAM_SIZE / PAGE];
static uint32_t marks[MAX_BLOCKS][MAX_BLOCK];
static struct jump jumps[JUMPS];
static uint64_t thunk_keys[THUNKS];
static uint8_t *cache; /* and behind it the thunks */
static uint32_t block_count, used;

static void set_writable(uint32_t page, bool writable)
{
    if (mprotect(GUEST_BASE + page * PAGE, PAGE, PROT_READ | (writable ? PROT_WRITE : 0)) < 0)
        die(STATUS_CRASHED, "mprotect of the guest's page 0x%x failed", page);
}

void cache_init(struct cpu *c)
{
    /* Above the guest's memory: no register of the guest's points into it. */
    cache =
        mmap(GUEST_BASE + 2 * GUEST_SPACE, CACHE_SIZE + THUNKS * THUNK_SIZE,
             PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (cache == MAP_FAILED)
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

void cache_drop(struct cpu *c, uint32_t address, uint32_t size)
{
    for (uint32_t page = address / PAGE; page <= (address + size - 1) / PAGE; page++) {
        if (!page_blocks[page])
            continue;
        for (struct block *b = page_blocks[page]; b; b = b->same_page, c->dropped++) {
            jumps[b->eip % JUMPS].not_eip = 0;
            cache[b->code] = 0xe9;
            chain(b->code + 1, b->code - EXIT_SIZE);
        }
        page_blocks[page] = NULL;
        set_writable(page, true);
    }
}

uint8_t *cache_find(struct cpu *c, uint32_t why)
{
    struct jump *j = &jumps[c->eip % JUMPS];
    bool known = j->not_eip == ~c->eip;

    if (c->eip >= RAM_SIZE)
        return NULL;
    if (!known && (used + MAX_CODE > CACHE_SIZE || block_count == MAX_BLOCKS)) {
        cache_drop(c, 0, RAM_SIZE);
        block_count = 0;
        used = LEFT_BY_JUMP;
        why = LEFT_UNCHAINED; /* the jump is gone */
    }
    if (!known) {
        struct block *b = &blocks[block_count], **page = &page_blocks[c->eip / PAGE];
        *b = (struct block){c->eip, used + EXIT_SIZE, 0, *page};
        size_t size = translate(c->eip, cache + used, used, marks[block_count], &b->count);
        if (!size)
            return NULL;
        if (!*page)
            set_writable(c->eip / PAGE, false);
        *page = b;
        *j = (struct jump){~c->eip, cache + b->code};
        used += (uint32_t)size;
        block_count++;
        c->blocks++;
    }
    if (why >= LEFT_BY_JUMP)
        chain(why, (uint32_t)(j->code - cache));
    return j->code;
}

bool cache_locate(struct cpu *c, const uint8_t *host, uint32_t *eip)
{
    uint32_t offset = (uint32_t)(host - cache), n;
    struct block *b = blocks + block_count - 1;

    if (host < cache || host >= cache + CACHE_SIZE + THUNKS * THUNK_SIZE)
        return false;
    *eip = c->at;
    if (offset >= CACHE_SIZE) /* a thunk of the interpreter's */
        return true;
    while (b->code > offset) /* blocks lie in the order in which they were made */
        b--;
    for (n = b->count - 1; n && marks[b - blocks][n] >> 16 > offset - (b->code - EXIT_SIZE); n--)
        ;
    *eip = b->eip + (marks[b - blocks][n] & 0xffff);
    return true;
}

uint8_t *cache_thunk(const struct insn *i)
{
    uint64_t key = (uint64_t)i->imm << 32 | 1u << 31 | (uint32_t)i->op << 8 | i->word << 7 |
                   (i->group ? i->reg : 0);
    uint32_t slot = (uint32_t)(key * 0x9e3779b97f4a7c15 >> 54);
    uint8_t *code = cache + CACHE_SIZE + slot * THUNK_SIZE;

    if (thunk_keys[slot] != key)
        translate_thunk(code, i);
    thunk_keys[slot] = key;
    return code;
}
