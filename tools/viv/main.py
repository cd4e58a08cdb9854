"""The command line of ./viv."""
import argparse
import sys

from . import build, machine, say, setup

HELP = """Vivarium: processes, containers and virtual machines in one small kernel.

  ./viv run [--fast]     install what is missing, build, and boot to a shell in QEMU; --fast skips GRUB
  ./viv exec ... -- CMD  run one command inside and print exactly its output (./viv exec --help)
  ./viv test [PATTERN]   check the source, run all tests on both backends (./viv test --help)
  ./viv demo             one computation as a process, in a container and in a virtual machine, compared
  ./viv fuzz             random guests, calls on /dev/kvm and virtqueues, from a seed (./viv fuzz --help)
  ./viv bench            what things cost, in instructions, beside Linux's figures
  ./viv gdb              GDB with symbols on the running kernel, or on a fresh one stopped at its start
  ./viv lab start N DIR  make the starter of lab N in DIR
  ./viv grade N DIR      grade lab N from the files in DIR (./viv grade --help)
  ./viv build            build the kernel, the programs and the boot image
  ./viv setup            install the Debian packages and the emulators
  ./viv tidy             format the source, renumber the lines that the documents name
  ./viv clean            remove everything that was built
  ./viv help             this text
"""


def cmd_run(argv):
    from . import exec as run
    parser = argparse.ArgumentParser(prog="viv run")
    parser.add_argument("--fast", action="store_true", help="boot with QEMU's -kernel in place of GRUB")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--mem", type=int, default=512, metavar="MB")
    parser.add_argument("--append", default="", metavar="WORDS", help="further words for the kernel (with --fast)")
    options = parser.parse_args(argv)
    setup.ensure()
    build.make("all")
    return run.interactive(machine.Options(cpus=options.cpus, mem=options.mem, iso=not options.fast,
                                           cmdline=options.append))


def cmd_exec(argv):
    from . import exec as run
    parser = argparse.ArgumentParser(prog="viv exec", description="Runs CMD in a fresh machine.")
    parser.add_argument("--add", action="append", default=[], metavar="HOSTFILE[:PATH]",
                        help="put a file or directory of the host into the RAM root; may be repeated")
    parser.add_argument("--backend", choices=["svm", "vmx"], default="svm", help="svm: QEMU; vmx: Bochs")
    parser.add_argument("--cpus", type=int, default=1, metavar="N")
    parser.add_argument("--mem", type=int, default=512, metavar="MB")
    parser.add_argument("--icount", type=int, metavar="N", help="count instructions: one takes 2^N ns of guest time")
    parser.add_argument("--limit", type=int, default=600, metavar="GUEST_SECONDS")
    parser.add_argument("--append", default="", metavar="WORDS", help="further words for the kernel's command line")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD")
    options = parser.parse_args(argv)
    if options.command[:1] == ["--"]:
        options.command.pop(0)
    if not options.command:
        parser.error("no command: write it behind --")
    setup.ensure(bochs=options.backend == "vmx")
    build.make("kernel", "root", quiet=True)
    return run.main(options)


def cmd_gdb(argv):
    from . import gdb
    setup.ensure()
    build.make("kernel", "root", quiet=True)
    return gdb.main(argv)


def cmd_build(argv):
    setup.ensure()
    build.make(*(argv or ["all"]))
    return 0


def cmd_test(argv):
    from . import test
    return test.main(argv)


def cmd_demo(argv):
    parser = argparse.ArgumentParser(prog="viv demo")
    parser.add_argument("--backend", choices=["svm", "vmx"], default="svm", help="svm: QEMU; vmx: Bochs")
    options = parser.parse_args(argv)
    rounds = "100" if options.backend == "svm" else "20"  # Bochs is slower than QEMU
    return cmd_exec(["--backend", options.backend, "--cpus", "2", "--", "/bin/demo", rounds])


def cmd_bench(argv):
    from . import bench
    return bench.main(argv)


def cmd_fuzz(argv):
    from . import fuzz
    return fuzz.main(argv)


def cmd_lab(argv):
    from . import lab
    return lab.main(argv)


def cmd_grade(argv):
    from . import grade
    setup.ensure()
    return grade.main(argv)


def cmd_setup(_):
    setup.ensure(bochs=True)
    setup.check_qemu()
    say.step("all that is needed is installed")
    return 0


def cmd_tidy(_):
    from . import checks
    setup.ensure()
    return checks.tidy()


def cmd_clean(_):
    build.make("clean")
    return 0


def cmd_help(_):
    print(HELP, end="")
    return 0


COMMANDS = {"run": cmd_run, "exec": cmd_exec, "test": cmd_test, "gdb": cmd_gdb,
            "demo": cmd_demo, "bench": cmd_bench, "fuzz": cmd_fuzz,
            "lab": cmd_lab, "grade": cmd_grade, "build": cmd_build, "setup": cmd_setup,
            "tidy": cmd_tidy, "clean": cmd_clean, "help": cmd_help, "--help": cmd_help, "-h": cmd_help}


def main(argv):
    command = COMMANDS.get(argv[0] if argv else "help")
    if command is None:
        print("viv: there is no command '%s': ./viv help lists them" % argv[0], file=sys.stderr)
        return 2
    try:
        return command(argv[1:])
    except say.Problem as problem:
        print("viv: " + str(problem), file=sys.stderr)
        return 1
    except PermissionError as error:
        print("viv: may not write %s: run this as its owner, or set XDG_CACHE_HOME for what is cached" % error.filename,
              file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
