"""What lab 1 is graded by. Each test takes a Bench: a random source, a stopped kernel to call into, or a whole run.

Answers are computed here, from the memory map and from page tables read as the CPU would read them.
"""
import hashlib
import struct

MAX_ORDER = 10
PAGE = 4096
PRESENT, WRITABLE, USER = 1, 2, 4
ADDRESS = 0x000ffffffffff000
MEMORY = 64 << 20
LOW_END = 1 << 20
DIRECT_MAP = 0xffff888000000000
STRUCT_PAGE, REFS, ORDER = 32, 0, 4  # struct page (kernel/mm/frame.h): its size, and offsets in it


class Frames:
    """The kernel's frame allocator, with a model of what is handed out beside it."""

    def __init__(self, kernel):
        self.kernel = kernel
        self.live = {}  # physical address -> (page pointer, order)

    def physical(self, page):
        """What page_to_phys says, from the address of a struct page."""
        array = self.kernel.stub.u64(self.kernel.address("frame_array"))
        expect(page >= array and (page - array) % STRUCT_PAGE == 0, "an element of frame_array, got %#x" % page)
        return (page - array) // STRUCT_PAGE * PAGE

    def free_count(self):
        return self.kernel.call("frame_free_count")

    def alloc(self, order):
        """A block's physical address, checked against all that is known; None when memory is out."""
        page = self.kernel.call("frame_alloc", order, 0)
        if page == 0:
            return None
        start = self.physical(page)
        size = PAGE << order
        expect(start % size == 0, "a block of order %d aligned to its size, got physical address %#x" % (order, start))
        expect(LOW_END <= start and start + size <= MEMORY, "a block inside RAM above 1 MiB, got %#x" % start)
        for other, (_, other_order) in self.live.items():
            expect(start + size <= other or other + (PAGE << other_order) <= start,
                   "a block that nobody has, got order %d at %#x, which overlaps order %d at %#x"
                   % (order, start, other_order, other))
        refs, = struct.unpack("<I", self.kernel.stub.read(page + REFS, 4))
        expect(refs == 1, "one reference on a new block, got %d" % refs)
        stored = self.kernel.stub.read(page + ORDER, 1)[0]
        expect(stored == order, "page.order %d on a new block, got %d" % (order, stored))
        self.live[start] = (page, order)
        return start

    def free(self, start):
        page, _ = self.live.pop(start)
        self.kernel.call("page_put", page)

    def free_all(self):
        for start in list(self.live):
            self.free(start)


def expect(condition, text):
    if not condition:
        raise AssertionError("expected " + text)


def expect_equal(actual, expected, what):
    if actual != expected:
        raise AssertionError("%s: expected %s, actual %s" % (what, expected, actual))


# -- exercises 1 and 2: frames ------------------------------------------------------------------------
def blocks_are_aligned_and_never_overlap(bench):
    frames = Frames(bench.kernel())
    before = frames.free_count()
    for _ in range(250):
        if frames.live and bench.random.random() < 0.45:
            frames.free(bench.random.choice(sorted(frames.live)))
        else:
            frames.alloc(bench.random.choice([0, 0, 0, 1, 1, 2, 3, 4, 5]))
    held = sum(1 << order for _, order in frames.live.values())
    expect_equal(frames.free_count(), before - held, "free frames while %d are held" % held)
    frames.free_all()
    expect_equal(frames.free_count(), before, "free frames when all came back")


def all_of_memory_can_be_handed_out(bench):
    frames = Frames(bench.kernel())
    free = frames.free_count()
    expect(free > 8000, "most of 64 MiB free at the start, got %d frames" % free)
    held = [bench.random.randrange(0, 6) for _ in range(20)]
    for order in held:
        expect(frames.alloc(order) is not None, "a block of order %d while most is free" % order)
    order, got = MAX_ORDER, sum(1 << order for order in held)
    while order >= 0:
        start = frames.alloc(order)
        if start is None:
            order -= 1
        else:
            got += 1 << order
    expect_equal(got, free, "frames handed out until none was left")
    expect_equal(frames.free_count(), 0, "free frames then")


def freed_blocks_merge_again(bench):
    frames = Frames(bench.kernel())
    largest = []
    while True:
        start = frames.alloc(MAX_ORDER)
        if start is None:
            break
        largest.append(start)
    frames.free_all()
    expect(len(largest) >= 8, "at least 8 blocks of 4 MiB at the start, got %d" % len(largest))
    small = [frames.alloc(bench.random.choice([4, 5, 6])) for _ in range(160)]
    expect(None not in small, "160 blocks of at most 256 KiB while 48 MiB are free")
    bench.random.shuffle(small)
    for start in small:
        frames.free(start)
    again = 0
    while frames.alloc(MAX_ORDER) is not None:
        again += 1
    expect_equal(again, len(largest), "blocks of 4 MiB after all smaller ones came back")


# -- exercises 3 to 5: page tables --------------------------------------------------------------------
def index(va, level):
    return (va >> (12 + 9 * (level - 1))) & 511


def random_address(bench):
    return bench.random.randrange(0, 0x7ffffffff000, PAGE)


def entry_address(kernel, pml4, va):
    """(physical address of the level-1 entry, the entries above it), as the CPU finds it; None where a table is missing."""
    table, above = pml4, []
    for level in (4, 3, 2):
        entry = kernel.stub.u64_physical(table + 8 * index(va, level))
        if not entry & PRESENT:
            return None, above
        above.append(entry)
        table = entry & ADDRESS
    return table + 8 * index(va, 1), above


def mapped_space(bench, kernel, addresses):
    """A new PML4 with a level-1 entry made for each address."""
    pml4 = kernel.call("pagetable_create", 0)
    expect(pml4 and pml4 % PAGE == 0, "a PML4 from pagetable_create, got %#x" % pml4)
    for va in addresses:
        expect(kernel.call("pagetable_walk", pml4, va, 1, 0), "an entry for %#x" % va)
    return pml4


def tables_for(addresses):
    """How many tables below the PML4 the addresses need."""
    return sum(len({va >> (12 + 9 * level) for va in addresses}) for level in (1, 2, 3))


def walk_builds_the_tables_that_the_cpu_reads(bench):
    kernel = bench.kernel()
    frames = Frames(kernel)
    before = frames.free_count()
    pml4 = kernel.call("pagetable_create", 0)
    near = random_address(bench)
    addresses = [random_address(bench) for _ in range(12)] + [near, near ^ PAGE, near ^ (1 << 21), near ^ (1 << 30)]
    for va in addresses:
        pointer = kernel.call("pagetable_walk", pml4, va, 1, 0)
        where, above = entry_address(kernel, pml4, va)
        expect(where is not None, "tables down to level 1 for %#x, got %d levels" % (va, len(above)))
        expect_equal(hex(pointer - DIRECT_MAP), hex(where), "physical address of the entry of %#x" % va)
        expect_equal(kernel.stub.u64_physical(where), 0, "the new entry of %#x" % va)
        for entry in above:
            flags = entry & (PRESENT | WRITABLE | USER)
            expect_equal(flags, PRESENT | WRITABLE | USER, "flags of a table's entry on the way to %#x" % va)
            expect(entry >> 63 == 0, "no NX in a table's entry on the way to %#x" % va)
        expect_equal(kernel.call("pagetable_walk", pml4, va, 1, 0), pointer, "the entry of %#x asked for again" % va)
    expect_equal(before - frames.free_count(), 1 + tables_for(addresses), "frames used for the tables")


def walk_without_create_changes_nothing(bench):
    kernel = bench.kernel()
    frames = Frames(kernel)
    there = random_address(bench)
    pml4 = mapped_space(bench, kernel, [there])
    before = frames.free_count()
    for bit in (21, 30, 39):
        expect_equal(kernel.call("pagetable_walk", pml4, there ^ (1 << bit), 0, 0), 0,
                     "entry of an address that has no table")
    made = kernel.call("pagetable_walk", pml4, there, 0, 0)
    where, _ = entry_address(kernel, pml4, there)
    expect(where is not None, "the table of %#x to be there still" % there)
    expect_equal(hex(made & 0xfff), hex(where & 0xfff), "place in its table of the entry of %#x" % there)
    expect_equal(frames.free_count(), before, "free frames after walks without create")


def destroy_gives_back_every_table_and_no_frame(bench):
    kernel = bench.kernel()
    frames = Frames(kernel)
    mapped = [frames.alloc(0) for _ in range(6)]
    before = frames.free_count()
    addresses = [random_address(bench) for _ in mapped]
    pml4 = mapped_space(bench, kernel, addresses)
    for va, frame in zip(addresses, mapped):
        where, _ = entry_address(kernel, pml4, va)
        expect(where is not None, "tables down to level 1 for %#x" % va)
        kernel.stub.write(DIRECT_MAP + where, struct.pack("<Q", frame | PRESENT | WRITABLE | USER))
    kernel.call("pagetable_destroy", pml4)
    expect_equal(frames.free_count(), before, "free frames after the tables are gone")
    for frame in mapped:
        page = frames.live[frame][0]
        refs, = struct.unpack("<I", kernel.stub.read(page + REFS, 4))
        expect_equal(refs, 1, "references of a frame that was mapped")


def trim_frees_what_lies_inside_and_nothing_else(bench):
    kernel = bench.kernel()
    frames = Frames(kernel)
    middle = bench.random.randrange(1 << 30, 0x7f0000000000, 1 << 30)
    start = middle - bench.random.randrange(1, 500) * (1 << 21) - 5 * PAGE
    end = middle + bench.random.randrange(1, 500) * (1 << 21) + 3 * PAGE
    keep = [start - PAGE, end, start - (1 << 31), end + (1 << 31)]
    inside = [bench.random.randrange(start, end, PAGE) for _ in range(12)] + [start, end - PAGE]
    inside = [va & ~(PAGE - 1) for va in inside]
    pml4 = mapped_space(bench, kernel, keep)
    kept = frames.free_count()
    for va in inside:
        kernel.call("pagetable_walk", pml4, va, 1, 0)
    kernel.call("pagetable_trim", pml4, start, end)
    for va in keep:
        where, _ = entry_address(kernel, pml4, va)
        expect(where is not None, "the tables of %#x, outside [%#x, %#x), to stay" % (va, start, end))
    for va in inside:
        first, last = va & -(1 << 21), (va & -(1 << 21)) + (1 << 21)
        where, _ = entry_address(kernel, pml4, va)
        if first >= start and last <= end:
            expect(where is None, "no level-1 table for %#x, wholly inside [%#x, %#x)" % (va, start, end))
    left = {(level, va >> (12 + 9 * level)) for va in inside for level in (1, 2, 3)
            if (va >> (12 + 9 * level)) << (12 + 9 * level) < start
            or ((va >> (12 + 9 * level)) + 1) << (12 + 9 * level) > end}
    left -= {(level, va >> (12 + 9 * level)) for va in keep for level in (1, 2, 3)}
    expect_equal(kept - frames.free_count(), len(left), "tables left besides those of the neighbours")


# -- all together ---------------------------------------------------------------------------------------
def the_kernel_runs_programs_on_them(bench):
    word = "%032x" % bench.random.getrandbits(128)
    count = bench.random.randrange(3, 9)
    script = 'for i in $(seq %d); do echo "%s $i" | sha256sum; done | cut -d" " -f1' % (count, word)
    result = bench.exec(["/bin/sh", "-c", script])
    lines = [hashlib.sha256(b"%s %d\n" % (word.encode(), i)).hexdigest() for i in range(1, count + 1)]
    expect_equal(result.text.split(), lines, "digests of random lines (%s)" % result.reason)
