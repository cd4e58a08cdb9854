"""Linux's own tests of the KVM API (tools/testing/selftests/kvm of Debian's linux-source), unmodified, under Vivarium."""
import concurrent.futures
import glob
import hashlib
import os
import shutil
import subprocess
import tempfile

from viv import debs, paths, setup
from viv.testlib import BOTH, test

# Those that pass. Each ends with status 0; 4 would say that it found nothing to test.
TESTS = """
    cpuid_test cr4_cpuid_sync_test debug_regs get_msr_index_features kvm_binary_stats_test kvm_clock_test
    kvm_create_max_vcpus max_vcpuid_cap_test monitor_mwait_test platform_info_test set_boot_cpu_id
    set_memory_region_test set_sregs_test state_test sync_regs_test system_counter_offset_test tsc_msrs_test
    userspace_io_test xapic_state_test
""".split()
ARGUMENTS = {"set_memory_region_test": "1"}  # rounds; it does ten of itself
LONG = "xapic_state_test".split()  # on Bochs, over a minute

# All others of 6.1, by reason.
LEFT_OUT = {
    "they pass, and take minutes or gigabytes": """
        demand_paging_test dirty_log_perf_test dirty_log_test kvm_page_table_test max_guest_memory_test
        memslot_modification_stress_test xapic_ipi_test
    """,
    "they measure, with limits in wall-clock time that an emulated processor does not keep": """
        access_tracking_perf_test hardware_disable_test memslot_perf_test
    """,
    "no virtual machines within virtual machines": """
        evmcs_test nested_exceptions_test svm_int_ctl_test svm_nested_shutdown_test svm_nested_soft_inject_test
        svm_vmcall_test triple_fault_event_test vmx_apic_access_test vmx_close_while_nested_test vmx_dirty_log_test
        vmx_exception_with_invalid_guest_state vmx_invalid_nested_guest_state vmx_msrs_test vmx_nested_tsc_scaling_test
        vmx_preemption_timer_test vmx_set_nested_state_test vmx_tsc_adjust_test
    """,
    "no interfaces of Hyper-V and Xen, and of KVM's own none but the clock": """
        fix_hypercall_test hyperv_clock hyperv_cpuid hyperv_features hyperv_svm_test kvm_pv_test steal_time
        xen_shinfo_test xen_vmcall_test
    """,
    "no system management mode, encrypted memory, performance counters, machine checks, scaled TSC, AMX or XSAVES": """
        amx_test pmu_event_filter_test sev_migrate_tests smm_test tsc_scaling_sync ucna_injection_test vmx_pmu_caps_test
        xss_msr_test
    """,
    "they are about defects of Intel's processors, or of KVM's emulator of instructions": """
        emulator_error_test mmio_warning_test nx_huge_pages_test
    """,
    "no MSRs that user space serves, and no restartable sequences": "rseq_test userspace_msr_exit_test",
}

# As the package's Makefile compiles them, but statically, and with the system's <linux/kvm.h>. The definition fills in
# what dirty_log_test of 6.1.192 lacks.
FLAGS = """
    -O2 -w -std=gnu99 -D_GNU_SOURCE= -fno-strict-aliasing -U_FORTIFY_SOURCE -fno-stack-protector -fno-PIE -no-pie -pthread -static
    -DTEST_ASSERT_EQ=ASSERT_EQ -Iinclude -Iinclude/x86_64 -Ilib -I.. -I../rseq -I../../../include -I../../../arch/x86/include
""".split()


def compile_in(source, output, arguments):
    subprocess.run(["gcc"] + FLAGS + ["-o", output] + arguments, cwd=source, check=True)


def compile_library(source, directory):
    objects = []
    for path in sorted(glob.glob("lib/*.c", root_dir=source) + glob.glob("lib/x86_64/*.[cS]", root_dir=source)):
        objects.append(os.path.join(directory, path.replace("/", "-") + ".o"))
        compile_in(source, objects[-1], ["-c", path] + ["-ffreestanding"] * path.endswith("string_override.c"))
    archive = os.path.join(directory, "libkvm.a")
    subprocess.run(["ar", "rc", archive] + objects, check=True)
    return archive


def build(source):
    """The directory of the programs; kept in the cache by what they are made of."""
    digest = hashlib.sha256(repr((source, TESTS, FLAGS)).encode()).hexdigest()[:16]
    kept = os.path.join(paths.CACHE, "kvm-selftests-" + digest)
    if os.path.exists(kept):
        return kept
    with tempfile.TemporaryDirectory(dir=paths.CACHE) as directory:
        programs = os.path.join(directory, "programs")
        os.mkdir(programs)
        library = compile_library(source, directory)

        def link(name):
            where = "x86_64/" if os.path.exists(os.path.join(source, "x86_64", name + ".c")) else ""
            compile_in(source, os.path.join(programs, name), ["-s", where + name + ".c", library])

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(link, TESTS))
        try:
            os.rename(programs, kept)
        except OSError:  # another test run was faster
            shutil.rmtree(programs)
    return kept


# What the tests look for in Linux's /sys: the size that they align memory to; how time is kept (in a file as long as a
# page); and whether a prefix makes KVM emulate instructions,
# and whether the processor has a part in interrupt chips.
SYS = {
    "kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
    "kernel/mm/transparent_hugepage/hpage_pmd_size": "2097152\n",
    "devices/system/clocksource/clocksource0/current_clocksource": "tsc\n" + 4092 * "\0",
    "module/kvm/parameters/force_emulation_prefix": "0\n",
    "module/kvm_amd/parameters/avic": "N\n",
    "module/kvm_intel/parameters/enable_apicv": "N\n",
}


def sys_files(directory):
    path = os.path.join(directory, "sys")
    for name, text in SYS.items():
        os.makedirs(os.path.dirname(os.path.join(path, name)), exist_ok=True)
        with open(os.path.join(path, name), "w", encoding="utf-8") as file:
            file.write(text)
    return path


@test()
def every_kvm_selftest_runs_or_is_left_out_for_a_reason(t):
    source = debs.kvm_selftests("bookworm")
    there = {os.path.basename(path)[:-2] for path in glob.glob(source + "/*.c") + glob.glob(source + "/x86_64/*.c")}
    t.equal(there, set(TESTS + " ".join(LEFT_OUT.values()).split()), "the tests that are listed")


@test(backends=BOTH)
def kvm_selftests_of_linux_pass(t):
    programs = build(debs.kvm_selftests("trixie" if (setup.debian_release() or 0) >= 13 else "bookworm"))
    names = [name for name in TESTS if t.backend == "svm" or name not in LONG]
    adds = [(os.path.join(programs, name), "/t/" + name) for name in names] + [(sys_files(t.directory()), "/sys")]
    lines = ["try %s %s" % (name, ARGUMENTS.get(name, "")) for name in names]
    said = t.sh("try() { /t/$* >/log 2>&1; s=$?; [ $s = 0 ] || cat /log; echo @$1 $s; }\n" + "\n".join(lines),
                adds=adds, mem=512, cpus=2).text.replace("\r\n", "\n")
    for name in names:
        t.contains(said, "@%s 0\n" % name)
