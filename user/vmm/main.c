/* vmm: boots a kernel as a guest of /dev/kvm, with its serial console on standard input and output.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/vmm/boot.h"
#include "user/vmm/control.h"
#include "user/vmm/machine.h"
#include "user/vmm/migrate.h"
#include "user/vmm/snapshot.h"
#include "user/vmm/say.h"

enum { DEFAULT_MIB = 64 };

struct options {
    struct boot_request boot;
    uint64_t ram_size;
    unsigned cpus;
    const char *name, *bios;
    char *disks[BUS_DEVICES];
    unsigned disk_count;
    uint32_t balloon_mib;
    const char *control;
    bool stats, console, rng, balloon;
};

static const char usage[] =
    "usage: vmm [--mem MB] [--cpus N] [--initrd FILE] [--module FILE[=ARGS]]... "
    "[--append \"CMDLINE\"] [--start 16|32|64] [--disk FILE[,ro]]... [--console serial|virtio] "
    "[--rng] [--balloon MB] [--stats] [--name NAME] [--control PATH] { [--kernel] KERNEL | --bios "
    "FILE }\n"
    "       vmm save [--stop] PATH DIR | restore [--control PATH] DIR\n"
    "       vmm migrate PATH LINK | receive [--control PATH] LINK";

static uint64_t parse_memory(const char *text)
{
    char *end;
    unsigned long mib = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || mib < MIN_MIB || mib > MAX_MIB)
        die(STATUS_USAGE, "--mem %s: not a number of MiB from %d to %d", text, MIN_MIB, MAX_MIB);
    return mib * MIB;
}

static uint32_t parse_balloon(const char *text)
{
    char *end;
    unsigned long mib = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || mib > MAX_MIB)
        die(STATUS_USAGE, "--balloon %s: not a number of MiB up to %d", text, MAX_MIB);
    return (uint32_t)mib;
}

static void add_disk(struct options *o, char *text)
{
    if (o->disk_count == BUS_DEVICES)
        die(STATUS_USAGE, "--disk %s: more than %d", text, BUS_DEVICES);
    o->disks[o->disk_count++] = text;
}

static bool parse_console(const char *text)
{
    if (strcmp(text, "serial") && strcmp(text, "virtio"))
        die(STATUS_USAGE, "--console %s: not serial or virtio", text);
    return *text == 'v';
}

static unsigned parse_cpus(const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || n < 1 || n > MAX_VCPUS)
        die(STATUS_USAGE, "--cpus %s: not a number from 1 to %d", text, MAX_VCPUS);
    return (unsigned)n;
}

static void add_module(struct boot_request *boot, char *text)
{
    char *args = strchr(text, '=');

    if (boot->module_count == MAX_MODULES)
        die(STATUS_USAGE, "--module %s: more than %d modules", text, MAX_MODULES);
    if (args)
        *args++ = 0;
    boot->modules[boot->module_count++] = (struct boot_module){.file = text, .args = args};
}

static unsigned parse_start(const char *text)
{
    if (strcmp(text, "16") && strcmp(text, "32") && strcmp(text, "64"))
        die(STATUS_USAGE, "--start %s: not 16, 32 or 64", text);
    return (unsigned)strtoul(text, NULL, 10);
}

static void parse_value(struct options *o, const char *option, char *value)
{
    if (!strcmp(option, "--mem"))
        o->ram_size = parse_memory(value);
    else if (!strcmp(option, "--cpus"))
        o->cpus = parse_cpus(value);
    else if (!strcmp(option, "--module"))
        add_module(&o->boot, value);
    else if (!strcmp(option, "--initrd"))
        o->boot.initrd = value;
    else if (!strcmp(option, "--append"))
        o->boot.append = value;
    else if (!strcmp(option, "--bios"))
        o->bios = value;
    else if (!strcmp(option, "--start"))
        o->boot.start = parse_start(value);
    else if (!strcmp(option, "--disk"))
        add_disk(o, value);
    else if (!strcmp(option, "--console"))
        o->console = parse_console(value);
    else if (!strcmp(option, "--balloon")) {
        o->balloon_mib = parse_balloon(value);
        o->balloon = true;
    } else if (!strcmp(option, "--name"))
        o->name = value;
    else if (!strcmp(option, "--control"))
        o->control = value;
    else if (!strcmp(option, "--kernel"))
        o->boot.kernel = value;
    else
        die(STATUS_USAGE, "%s: unknown option; %s", option, usage);
}

static struct options parse(int argc, char **argv)
{
    struct options o = {.ram_size = DEFAULT_MIB * MIB, .cpus = 1};
    int i;

    for (i = 1; i < argc && argv[i][0] == '-'; i++) {
        const char *option = argv[i];
        if (!strcmp(option, "--stats") || !strcmp(option, "--rng")) {
            o.stats |= option[2] == 's';
            o.rng |= option[2] == 'r';
            continue;
        }
        if (!strcmp(option, "--help")) {
            puts(usage);
            exit(STATUS_OK);
        }
        if (i + 1 == argc)
            die(STATUS_USAGE, "%s: unknown option, or its value is missing; %s", option, usage);
        parse_value(&o, option, argv[++i]);
    }
    if (i < argc && !o.boot.kernel)
        o.boot.kernel = argv[i++];
    if (i != argc || !o.boot.kernel == !o.bios)
        die(STATUS_USAGE, "%s", usage);
    if (o.bios && o.control)
        die(STATUS_USAGE, "--control %s: a machine with a BIOS cannot be saved", o.control);
    const char *file = o.bios ? o.bios : o.boot.kernel, *slash = strrchr(file, '/');
    if (!o.name)
        o.name = slash ? slash + 1 : file;
    return o;
}

static void add_devices(struct machine *m, struct options *o)
{
    struct guest_memory guest = machine_memory(m);

    for (unsigned i = 0; i < o->disk_count; i++)
        virtio_block_open(bus_add(&m->bus, &virtio_block, guest), o->disks[i]);
    if (o->console)
        m->bus.console = bus_add(&m->bus, &virtio_console, guest);
    if (o->rng)
        bus_add(&m->bus, &virtio_rng, guest);
    if (o->balloon)
        virtio_balloon_target(bus_add(&m->bus, &virtio_balloon, guest), o->balloon_mib);
}

/* Runs a machine that is there, with its control FIFO. */
static int run(struct machine *m, const char *control)
{
    if (control)
        control_create(m, control);
    int status = machine_run(m);
    control_remove();
    return status;
}

/* `vmm VERB ...`: the status, or -1 where the first word is no verb. */
static int run_verb(struct machine *m, int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "", *control = NULL;
    bool save = !strcmp(verb, "save"), restore = !strcmp(verb, "restore"), stop = false;
    int at = 2;

    if (!save && !restore && strcmp(verb, "migrate") && strcmp(verb, "receive"))
        return -1;
    if (save && at < argc && !strcmp(argv[at], "--stop")) {
        stop = true;
        at++;
    }
    bool new = restore || !strcmp(verb, "receive");
    if (new &&at + 1 < argc && !strcmp(argv[at], "--control")) {
        control = argv[at + 1];
        at += 2;
    }
    if (argc - at != (new ? 1 : 2))
        die(STATUS_USAGE, "%s", usage);
    if (!new)
        return control_order(stop ? "save-stop" : verb, argv[at], argv[at + 1]);
    if (restore)
        snapshot_restore(m, argv[at]);
    else
        migrate_receive(m, argv[at]);
    return run(m, control);
}

int main(int argc, char **argv)
{
    static struct machine m;
    int verb_status = run_verb(&m, argc, argv);
    if (verb_status >= 0)
        return verb_status;
    struct options o = parse(argc, argv);

    m.name = o.name;
    machine_create(&m, o.ram_size, o.cpus);
    add_devices(&m, &o);
    o.boot.cpus = o.cpus;
    o.boot.tsc_khz = m.tsc_khz;
    o.boot.pci = m.bus.count;
    if (o.bios) {
        machine_load_firmware(&m, o.bios);
    } else {
        struct boot_entry entry = boot_load(&o.boot, machine_memory(&m));
        machine_start_at(&m, &entry);
    }
    int status = run(&m, o.control);
    if (o.stats)
        machine_print_stats(&m);
    return status;
}
