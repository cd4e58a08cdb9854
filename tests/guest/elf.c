/* ELF files made by hand: the kinds that must run, and the corrupt ones that must be refused
 * without harm. */
#include "tests/guest/test.h"
#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* A whole program in a page: exit_group(40 + e_type), or of the interpreter: exit_group(77). */
struct image {
    Elf64_Ehdr header;
    Elf64_Phdr segments[3];
    char interpreter[32];
    unsigned char code[32];
};

static struct image make_image(uint16_t type, unsigned char status)
{
    uint64_t base = type == ET_EXEC ? 0x10000000 : 0;
    struct image image = {
        .header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                   .e_type = type,
                   .e_machine = EM_X86_64,
                   .e_version = EV_CURRENT,
                   .e_entry = base + offsetof(struct image, code),
                   .e_phoff = offsetof(struct image, segments),
                   .e_ehsize = sizeof(Elf64_Ehdr),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 2},
        .segments = {{.p_type = PT_LOAD,
                      .p_flags = PF_R | PF_X,
                      .p_vaddr = base,
                      .p_filesz = sizeof(struct image),
                      .p_memsz = sizeof(struct image),
                      .p_align = 4096},
                     {.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W}},
        /* mov $231, %eax; mov $status, %edi; syscall */
        .code = {0xb8, 231, 0, 0, 0, 0xbf, status, 0, 0, 0, 0x0f, 0x05},
    };
    return image;
}

static void save(const char *path, const void *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, data, size), size);
    close(fd);
}

/* Wait status of running a file; 1000 + errno if execve refused it. */
static int run(const char *path)
{
    char *argv[] = {"x", NULL}, *envp[] = {NULL};
    int status, problem = 0, fds[2];
    CHECK_OK(pipe2(fds, O_CLOEXEC));
    pid_t pid = fork();
    if (pid == 0) {
        execve(path, argv, envp);
        problem = errno;
        _exit(write(fds[1], &problem, sizeof problem) != sizeof problem);
    }
    close(fds[1]);
    ssize_t got = read(fds[0], &problem, sizeof problem);
    close(fds[0]);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return got == sizeof problem ? 1000 + problem : status;
}

TEST(static_executable_runs)
{
    enter_scratch();
    struct image image = make_image(ET_EXEC, 42);
    save("prog", &image, sizeof image);
    CHECK_EQ(run("./prog"), 42 << 8);
}

TEST(static_position_independent_executable_runs)
{
    enter_scratch();
    struct image image = make_image(ET_DYN, 43);
    save("prog", &image, sizeof image);
    CHECK_EQ(run("./prog"), 43 << 8);
}

TEST(interpreter_is_loaded_and_started_first)
{
    enter_scratch();
    struct image interpreter = make_image(ET_DYN, 77);
    interpreter.segments[0].p_flags |= PF_W; /* older Linux clears the end of its last page */
    save("/tmp/viv-interp", &interpreter, sizeof interpreter);
    struct image image = make_image(ET_DYN, 44);
    strcpy(image.interpreter, "/tmp/viv-interp");
    image.segments[2] = image.segments[0];
    image.segments[0] = (Elf64_Phdr){.p_type = PT_INTERP,
                                     .p_flags = PF_R,
                                     .p_offset = offsetof(struct image, interpreter),
                                     .p_filesz = sizeof "/tmp/viv-interp",
                                     .p_memsz = sizeof "/tmp/viv-interp"};
    image.header.e_phnum = 3;
    save("prog", &image, sizeof image);
    int status = run("./prog");
    unlink("/tmp/viv-interp");
    CHECK_EQ(status, 77 << 8);
    CHECK_EQ(run("./prog"), 1000 + ENOENT);
}

TEST(bss_beyond_the_file_is_zero)
{
    enter_scratch();
    struct image image = make_image(ET_EXEC, 0);
    /* mov $231,%eax; movzbl 0x10002000,%edi; or 0x10000ff8 (past the image in its page),%edi;
     * syscall */
    static const unsigned char code[] = {0xb8, 231,  0,    0,    0,    0x0f, 0xb6, 0x3c,
                                         0x25, 0,    0x20, 0,    0x10, 0x0b, 0x3c, 0x25,
                                         0xf8, 0x0f, 0,    0x10, 0x0f, 0x05};
    memcpy(image.code, code, sizeof code);
    image.segments[0].p_flags = PF_R | PF_W | PF_X;
    image.segments[0].p_memsz = 0x5000;
    save("prog", &image, sizeof image);
    CHECK_EQ(run("./prog"), 0);
}

TEST(headers_that_are_not_ours_are_refused)
{
    enter_scratch();
    struct {
        size_t offset, size;
        uint64_t value;
    } edits[] = {
        {0, 1, 0x7e},                                   /* magic */
        {offsetof(Elf64_Ehdr, e_machine), 2, EM_386},   /* another machine */
        {offsetof(Elf64_Ehdr, e_type), 2, ET_REL},      /* no program */
        {offsetof(Elf64_Ehdr, e_phentsize), 2, 32},     /* of another class */
        {offsetof(Elf64_Ehdr, e_phnum), 2, 0},          /* nothing to load */
        {offsetof(Elf64_Ehdr, e_phoff), 8, 0x7fffffff}, /* headers past the end */
        {offsetof(Elf64_Ehdr, e_phoff), 8, ~0ULL - 8},  /* that wraps round */
        {offsetof(Elf64_Ehdr, e_phnum), 2, 0xffff},     /* more than there are */
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        struct image image = make_image(ET_EXEC, 42);
        memcpy((char *)&image + edits[i].offset, &edits[i].value, edits[i].size);
        save("prog", &image, sizeof image);
        int status = run("./prog");
        if (status != 1000 + ENOEXEC && status != 1000 + EIO && status != 1000 + EINVAL &&
            status != SIGSEGV && status != (SIGSEGV | 0x80))
            FAIL("edit %zu: %#x", i, status);
    }
}

/* A segment that cannot be loaded ends the new program, whose old image is gone, or refuses it
 * before that. */
TEST(segments_that_make_no_sense_never_run)
{
    enter_scratch();
    struct {
        size_t offset;
        uint64_t value;
    } edits[] = {
        {offsetof(Elf64_Phdr, p_vaddr), 0xffffffff80000000},  /* in the kernel */
        {offsetof(Elf64_Phdr, p_vaddr), 0x00007ffffffff000},  /* at the very end */
        {offsetof(Elf64_Phdr, p_vaddr), 0x8000000000000000},  /* not canonical */
        {offsetof(Elf64_Phdr, p_vaddr), 0x10000123},          /* not congruent with its offset */
        {offsetof(Elf64_Phdr, p_memsz), ~0ULL},               /* wraps round */
        {offsetof(Elf64_Phdr, p_memsz), 1},                   /* less than in the file */
        {offsetof(Elf64_Phdr, p_memsz), 0x0000800000000000},  /* all there is */
        {offsetof(Elf64_Phdr, p_filesz), 0x7000000000000000}, /* more than the file */
        {offsetof(Elf64_Phdr, p_offset), 0x7ffffffffffff000}, /* past every file */
        {offsetof(Elf64_Phdr, p_offset), 0x100000},           /* past this file */
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        struct image image = make_image(ET_EXEC, 42);
        memcpy((char *)&image.segments[0] + edits[i].offset, &edits[i].value, 8);
        save("prog", &image, sizeof image);
        int status = run("./prog");
        if (status == 42 << 8 || WIFEXITED(status))
            FAIL("edit %zu: ran, status %#x", i, status);
    }
}

TEST(truncated_programs_never_run)
{
    enter_scratch();
    struct image image = make_image(ET_EXEC, 42);
    for (size_t size = 0; size < offsetof(struct image, code); size += 13) {
        save("prog", &image, size);
        int status = run("./prog");
        if (status == 42 << 8)
            FAIL("of %zu bytes: ran", size);
    }
}

/* Whatever a header says, the machine lives on: every byte of the headers in turn is turned over.
 */
TEST(corrupt_headers_do_not_hurt_the_kernel)
{
    enter_scratch();
    for (size_t at = 0; at < offsetof(struct image, interpreter); at++) {
        struct image image = make_image(at & 1 ? ET_DYN : ET_EXEC, 42);
        ((unsigned char *)&image)[at] ^= 0xff;
        save("prog", &image, sizeof image);
        run("./prog");
    }
    struct image image = make_image(ET_EXEC, 42);
    save("prog", &image, sizeof image);
    CHECK_EQ(run("./prog"), 42 << 8);
}

TEST(interpreter_names_without_an_end_are_refused)
{
    enter_scratch();
    struct image image = make_image(ET_DYN, 44);
    memset(image.interpreter, '/', sizeof image.interpreter);
    image.segments[1] = (Elf64_Phdr){.p_type = PT_INTERP,
                                     .p_offset = offsetof(struct image, interpreter),
                                     .p_filesz = 16,
                                     .p_memsz = 16};
    save("prog", &image, sizeof image);
    CHECK_EQ(run("./prog"), 1000 + ENOEXEC);
    image.segments[1].p_filesz = 1 << 20;
    save("prog", &image, sizeof image);
    CHECK_EQ(run("./prog"), 1000 + ENOEXEC);
}
