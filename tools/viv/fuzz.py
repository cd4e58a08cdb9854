"""`./viv fuzz`: the fuzzers of tests/fuzz inside a machine, from a seed that is printed and can be given again."""
import argparse
import sys
import time

from . import build, exec as run, say, setup

NIGHTLY = 10, 100000  # millions of instructions in guest mode, ioctls
# An instruction is 32 ns: where a guest writes to the code that it runs QEMU does 50,000 a second, and must reach a timer.
SHIFT = 5
MACHINES = "200"  # with hostile virtqueues
WHAT = {
    "kvm": lambda rounds: [str(rounds)] if rounds else ["5", str(NIGHTLY[0] << SHIFT), str(NIGHTLY[1])],
    "virtio": lambda rounds: [str(rounds)] if rounds else [MACHINES],
}


def main(argv):
    parser = argparse.ArgumentParser(prog="viv fuzz", description="Random guests, ioctls and memory on /dev/kvm, and hostile "
                                     "virtqueues on vmm, in counted time: one CPU and one seed give the same run on "
                                     "every machine.")
    parser.add_argument("what", nargs="*", metavar="kvm|virtio", help="default: one after the other")
    parser.add_argument("--seed", type=int, help="of the first round; later rounds count on from it")
    parser.add_argument("--rounds", type=int, metavar="M",
                        help="default: kvm: until %s million guest instructions and %s ioctls are done; virtio: %s"
                        % (*NIGHTLY, MACHINES))
    parser.add_argument("--backend", choices=["svm", "vmx"], default="svm", help="svm: QEMU; vmx: Bochs")
    parser.add_argument("--cpus", type=int, default=1, metavar="N")
    parser.add_argument("--parallel", action="store_true", help="a host thread for each CPU, time not counted (svm)")
    parser.add_argument("--limit", type=int, default=3600, metavar="GUEST_SECONDS")
    options = parser.parse_args(argv)
    if set(options.what) - set(WHAT):
        parser.error("kvm or virtio, not %s" % " ".join(options.what))
    seed = int(time.time()) if options.seed is None else options.seed
    setup.ensure(bochs=options.backend == "vmx")
    build.make("kernel", "root", quiet=True)
    return max(fuzz(what, seed, options) for what in options.what or WHAT)


def fuzz(what, seed, options):
    """Runs one fuzzer to its end; 0: it found nothing."""
    replay = "./viv fuzz %s --seed %d --cpus %d --backend %s" % (what, seed, options.cpus, options.backend)
    replay += " --rounds %d" % options.rounds if options.rounds else ""
    replay += " --parallel" if options.parallel else ""
    say.step(replay)
    target = run.prepare(["/fuzz/" + what, str(seed)] + WHAT[what](options.rounds), backend=options.backend,
                         cpus=options.cpus, limit=options.limit, parallel=options.parallel,
                         icount=SHIFT if options.backend == "svm" and not options.parallel else None)
    target.options.wall = 24 * 3600
    target.console.on_data = run.write_through(sys.stdout.buffer)
    target.log.on_data = run.write_through(sys.stderr.buffer)
    with target:
        target.wait()
    result = run.result(target)
    if result.status != 0:
        say.step("failed (%s); again with %s" % (result.reason, replay))
    return 0 if result.status == 0 else 1
