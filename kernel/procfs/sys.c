// /proc/sys: the few settings that programs ask for. Read-only but for the host name.
#include "kernel/x86/random.h"
#include "kernel/fs/mount.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/procfs/procfs.h"
#include "kernel/task/task.h"

static struct uts_ns *uts(void)
{
    return container_of(current()->nsset->ns[NS_UTS], struct uts_ns, ns);
}

static int show_hostname(struct seqtext *s, const struct proc_node *n)
{
    seq_printf(s, "%s\n", uts()->nodename);
    return 0;
}

static int write_hostname(const struct proc_node *n, char *text)
{
    if (!ns_capable(uts()->ns.owner, CAP_SYS_ADMIN))
        return -EPERM;
    strlcpy(uts()->nodename, text, sizeof(uts()->nodename));
    return 0;
}

static int show_domainname(struct seqtext *s, const struct proc_node *n)
{
    seq_printf(s, "%s\n", uts()->domainname);
    return 0;
}

static int show_osrelease(struct seqtext *s, const struct proc_node *n)
{
    seq_puts(s, "6.1.0-vivarium\n");
    return 0;
}

static int show_ostype(struct seqtext *s, const struct proc_node *n)
{
    seq_puts(s, "Linux\n");
    return 0;
}

static int show_pid_max(struct seqtext *s, const struct proc_node *n)
{
    seq_printf(s, "%d\n", PID_MAX);
    return 0;
}

static int show_cap_last_cap(struct seqtext *s, const struct proc_node *n)
{
    seq_printf(s, "%d\n", CAP_LAST_CAP);
    return 0;
}

static int show_overflow_id(struct seqtext *s, const struct proc_node *n)
{
    seq_puts(s, "65534\n");
    return 0;
}

static int show_file_max(struct seqtext *s, const struct proc_node *n)
{
    seq_puts(s, "65536\n");
    return 0;
}

static int show_overcommit(struct seqtext *s, const struct proc_node *n)
{
    seq_puts(s, "1\n");
    return 0;
}

static void show_uuid(struct seqtext *s, u8 *b)
{
    b[6] = (b[6] & 0x0f) | 0x40; // RFC 4122, version 4
    b[8] = (b[8] & 0x3f) | 0x80;
    for (int i = 0; i < 16; i++)
        seq_printf(s, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
    seq_puts(s, "\n");
}

static int show_boot_id(struct seqtext *s, const struct proc_node *n)
{
    static u8 id[16];
    static bool made;

    if (!made)
        random_bytes(id, sizeof(id));
    made = true;
    show_uuid(s, id);
    return 0;
}

static int show_new_uuid(struct seqtext *s, const struct proc_node *n)
{
    u8 id[16];

    random_bytes(id, sizeof(id));
    show_uuid(s, id);
    return 0;
}

static int show_mount_max(struct seqtext *s, const struct proc_node *n)
{
    seq_printf(s, "%d\n", MOUNT_MAX);
    return 0;
}

static const struct proc_entry random_dir[] = {
    {.name = "boot_id", .mode = S_IFREG | 0444, .show = show_boot_id},
    {.name = "uuid", .mode = S_IFREG | 0444, .show = show_new_uuid},
    PROC_END,
};

static const struct proc_entry kernel_dir[] = {
    {.name = "hostname", .mode = S_IFREG | 0644, .show = show_hostname, .write = write_hostname},
    {.name = "domainname", .mode = S_IFREG | 0444, .show = show_domainname},
    {.name = "osrelease", .mode = S_IFREG | 0444, .show = show_osrelease},
    {.name = "ostype", .mode = S_IFREG | 0444, .show = show_ostype},
    {.name = "pid_max", .mode = S_IFREG | 0444, .show = show_pid_max},
    {.name = "cap_last_cap", .mode = S_IFREG | 0444, .show = show_cap_last_cap},
    {.name = "overflowuid", .mode = S_IFREG | 0444, .show = show_overflow_id},
    {.name = "overflowgid", .mode = S_IFREG | 0444, .show = show_overflow_id},
    {.name = "random", .mode = S_IFDIR | 0555, .children = random_dir},
    PROC_END,
};

static const struct proc_entry fs_dir[] = {
    {.name = "file-max", .mode = S_IFREG | 0444, .show = show_file_max},
    {.name = "mount-max", .mode = S_IFREG | 0444, .show = show_mount_max},
    PROC_END,
};

static const struct proc_entry vm_dir[] = {
    {.name = "overcommit_memory", .mode = S_IFREG | 0444, .show = show_overcommit},
    PROC_END,
};

const struct proc_entry proc_sys[] = {
    {.name = "kernel", .mode = S_IFDIR | 0555, .children = kernel_dir},
    {.name = "fs", .mode = S_IFDIR | 0555, .children = fs_dir},
    {.name = "vm", .mode = S_IFDIR | 0555, .children = vm_dir},
    PROC_END,
};
