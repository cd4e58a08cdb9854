"""A few rounds of each fuzzer, always the same ones; `./viv fuzz` runs many."""
from viv.testlib import test


def fuzz_kvm(t, seed, rounds, **options):
    result = t.exec(["/fuzz/kvm", str(seed), str(rounds)], limit=300, **options)
    t.equal(result.status, 0, "status after:\n%s\n%s" % (result.text[-1000:], result.log[-3000:]))
    t.matches(result.text, r"^\d+ KiB of memory less than before")


@test()
def random_monitors_and_guests_harm_nobody_in_counted_time(t):
    fuzz_kvm(t, 1, 4, icount=4)


@test()
def random_monitors_and_guests_harm_nobody_on_two_cpus(t):
    fuzz_kvm(t, 1, 4, cpus=2)


@test(backends=("vmx",))
def random_monitors_and_guests_harm_nobody_under_vt_x(t):
    fuzz_kvm(t, 1, 2)


def fuzz_virtio(t, seed, machines, **options):
    result = t.exec(["/fuzz/virtio", str(seed), str(machines)], limit=300, **options)
    t.equal(result.status, 0, "status after:\n%s\n%s" % (result.text[-1000:], result.log[-3000:]))
    served = t.matches(result.text, r"machines, (\d+) chains served").group(1)
    t.true(int(served) > 50 * machines, "more than %d chains served, actual %s" % (50 * machines, served))


@test()
def random_drivers_harm_no_monitor_in_counted_time(t):
    fuzz_virtio(t, 2, 1, icount=4)


@test()
def random_drivers_harm_no_monitor_on_two_cpus(t):
    fuzz_virtio(t, 1, 2, cpus=2)


@test(backends=("vmx",))
def random_drivers_harm_no_monitor_under_vt_x(t):
    fuzz_virtio(t, 1, 1)
