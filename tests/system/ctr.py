"""Containers by ctr: images, life, what they see and what they cannot do."""
import json
import os

from viv.ociimage import Image, bundle, bundle_config, busybox, entry, layer
from viv.testlib import BOTH, test

INSIDE = "ctr run --rm busybox sh -c "


def lines(result):
    return result.text.replace("\r\n", "\n").splitlines()


@test(backends=BOTH)
def a_container_from_an_image_runs_and_passes_its_status(t):
    result = t.sh(INSIDE + "'echo $0 in $PWD as $(id -u) on $(hostname | wc -c); exit 7' name; echo status $?; ctr ps | wc -l")
    t.equal(lines(result), ["name in /root as 0 on 13", "status 7", "1"], "output")


@test()
def images_are_listed(t):
    t.matches(t.sh("ctr images").text, r"^busybox +latest +[0-9a-f]{12} +2 ")


@test()
def layers_hide_and_replace_what_is_below(t):
    result = t.sh(INSIDE + "'cat /etc/issue; ls -1 /etc /home/old; cat /etc/gone'")
    t.equal(lines(result)[:6], ["of the second layer", "/etc:", "group", "issue", "passwd", ""], "the merged /etc")
    t.equal(lines(result)[6:8], ["/home/old:", "new"], "the opaque directory")
    t.contains(result.text, "can't open '/etc/gone'")


@test()
def whiteouts_hide_the_layers_below_only(t):
    image = Image(t.directory() + "/image", [
        layer(*busybox("sh", "ls", "cat"), entry("a/1", "one"), entry("a/2", "two"), entry("b/1", "one"),
              entry("c/1", "one"), entry("d", "a file"), entry("f/1", "one")),
        layer(entry("a/.wh.1"), entry("b/new", "new"), entry("b/.wh..wh..opq"), entry(".wh.c"),
              entry("c", directory=True), entry("c/2", "two"), entry(".wh.d"), entry("e/.wh.never-there"),
              entry("f", directory=True), entry("f/2", "two"), entry(".wh.f")),
        layer(entry("a/1", "again"), entry("d/1", "now a directory"), entry("e/.wh..wh.aufs", "")),
    ]).write()
    result = t.sh("ctr run --rm /image sh -c 'ls -1a a b c d e f; cat a/1'", adds=[(image, "/image")])
    shown = {part.splitlines()[0].rstrip(":"): [name for name in part.splitlines()[1:] if name not in (".", "..")]
             for part in result.text.replace("\r\n", "\n").rsplit("again", 1)[0].split("\n\n")}
    t.equal(shown, {"a": ["1", "2"], "b": ["new"], "c": ["2"], "d": ["1"], "e": [], "f": ["2"]}, "the merged directories")
    t.true(result.text.strip().endswith("again"), "a/1 of the third layer")


@test()
def a_container_writes_to_its_own_layer_only(t):
    result = t.sh("ctr run --name a busybox sh -c 'echo mine > /etc/issue; rm /etc/passwd; mkdir /x'; "
                  + INSIDE + "'cat /etc/issue; ls -d /etc/passwd /x'; ls -1A /run/ctr/a/upper | grep -E '^(etc|x)$'; ctr delete a; ls -1 /run/ctr")
    t.equal(lines(result)[0], "of the second layer", "what the second container sees")
    t.contains(result.text, "\n/etc/passwd\n")
    t.contains(result.text, "ls: /x: No such file or directory")
    t.equal(lines(result)[-4:], ["etc", "x", "layers", "self"], "the upper layer, and what delete leaves")


@test(backends=BOTH)
def life_goes_create_start_kill_delete(t):
    result = t.sh("""
        ctr create --name c -v /tmp:/mnt busybox sh -c 'echo started > /mnt/mark; exec sleep 1000'
        ls /tmp; ctr state c; ctr create --name c busybox; ctr delete c
        ctr start c; echo start $?; until [ -e /tmp/mark ]; do sleep 0.1; done; cat /tmp/mark
        ctr start c; ctr state c | grep status; ctr delete c; ctr kill c KILL
        while ctr state c | grep -q running; do sleep 0.1; done; ctr state c | grep -E 'status|pid'
        ctr kill c; ctr delete c; echo delete $?; ctr state c; ls -d /sys/fs/cgroup/ctr/c""")
    text = result.text.replace("\r\n", "\n")
    t.true(text.startswith("{"), "no mark before start")
    state = json.loads(text[:text.index("}") + 1])
    t.equal((state["id"], state["status"], state["ociVersion"], state["bundle"]),
            ("c", "created", "1.0.2", "/run/ctr/c/bundle"), "the state")
    t.true(state["pid"] > 1, "a pid")
    t.equal(text[text.index("}") + 2:].splitlines(), [
        'ctr: container "c" exists already', 'ctr: container "c" is created: stop it first, or delete --force',
        "start 0", "started", 'ctr: container "c" is running, not created', '  "status": "running",',
        'ctr: container "c" is running: stop it first, or delete --force', '  "status": "stopped",',
        'ctr: container "c" is stopped', "delete 0", 'ctr: no container "c"',
        "ls: /sys/fs/cgroup/ctr/c: No such file or directory"], "the rest of its life")


@test()
def a_killed_program_ends_run_with_its_signal(t):
    result = t.sh("ctr run --rm --name c busybox sleep 1000 & until ctr state c 2>/dev/null | grep -q running; do sleep 0.1; done;"
                  " ctr kill c KILL; wait $!; echo $?")
    t.equal(lines(result)[-1], "137", "status")


@test()
def delete_by_force_leaves_nothing(t):
    result = t.sh("""ctr run -d --name c busybox sh -c 'sleep 1000 & setsid sleep 1000 & sleep 1000'
        mkdir /sys/fs/cgroup/ctr/c/below; until [ $(pidof sleep | wc -w) = 3 ]; do sleep 0.1; done; pidof sleep | wc -w; ctr delete --force c; echo $?
        pidof sleep | wc -w; ls /run/ctr /sys/fs/cgroup/ctr | grep -w c; grep /run/ctr /proc/mounts""")
    t.equal(lines(result)[1:], ["3", "0", "0"], "sleepers before, status, sleepers after")


@test()
def a_container_sees_its_own_world_only(t):
    result = t.sh("hostname outside; sleep 1000 & ctr run --rm --name c --hostname inner busybox sh -c "
                  "'hostname; pidof sleep | wc -w; echo $$; cat /proc/self/cgroup | tail -n 1; "
                  "grep -c . /proc/mounts; ls /lib /run/ctr; kill -9 -1; ls /proc | grep -c \"^[0-9]\"'; hostname; kill $!")
    out = lines(result)
    t.equal(out[:4], ["inner", "0", "1", "0::/"], "hostname, sleeps seen, pid, cgroup")
    t.contains(result.text, "ls: /lib: No such file")
    t.contains(result.text, "ls: /run/ctr: No such file")
    t.equal(out[-1], "outside", "the host's name")


@test()
def exec_runs_inside(t):
    result = t.sh("""ctr run -d --name c -e A=1 busybox sleep 1000
        ctr exec -e B=2 -w /etc c sh -c 'echo $A$B $PWD; pidof sleep | wc -w; cat /proc/self/cgroup | tail -n 1;
            grep -h CapBnd /proc/self/status /proc/1/status | cut -f 2 | uniq | wc -l; exit 5'; echo $?
        ctr exec c no-such-program; echo $?; ctr delete --force c; ctr exec c true; echo $?""")
    t.equal(lines(result), ["c", "12 /etc", "1", "0::/", "1", "5",
                            "ctr: process.args[0]: no-such-program: No such file or directory", "127",
                            'ctr: no container "c"', "125"], "output")


@test()
def a_program_that_is_not_there_fails_create(t):
    result = t.sh("ctr create --name c busybox /no/such; echo $?; ctr run busybox /etc/issue; echo $?; ctr ps | wc -l; "
                  "ls -1 /run/ctr; ls -d /sys/fs/cgroup/ctr/*")
    t.equal(lines(result)[:7], ["ctr: process.args[0]: /no/such: No such file or directory", "127",
                                "ctr: process.args[0]: /etc/issue: Permission denied", "126", "1", "layers", "self"],
            "messages, and nothing left")


@test()
def a_terminal_is_given(t):
    result = t.sh(INSIDE.replace("run", "run -t") + "'tty; test -t 0 && echo yes; exit 4' < /dev/null; echo $?")
    t.matches(result.text, r"^/dev/(pts/\d+|console)\r?$")
    t.equal([line.strip() for line in lines(result)][1:], ["yes", "4"], "a terminal")


@test()
def terminals_of_a_container_are_its_own(t):
    result = t.sh("exec 4<>/dev/ptmx; ls -1 /dev/pts; ctr run --rm busybox sh -c "
                  "'ls -1 /dev/pts; exec 3<>/dev/ptmx; ls -1 /dev/pts'; ls -1 /dev/pts; exec 4<&-; ls -1 /dev/pts")
    t.equal([line.strip() for line in lines(result)], ["0", "ptmx", "ptmx", "0", "ptmx", "0", "ptmx", "ptmx"],
            "outside, inside, inside with a terminal, outside, outside without one")


@test()
def volumes_users_and_read_only_roots(t):
    result = t.sh("""echo outside > /tmp/f; chmod 777 /tmp
        ctr run --rm -v /tmp:/mnt:ro -u user busybox sh -c 'id -u; cat /mnt/f; echo x > /mnt/g'
        ctr run --rm --read-only -v /tmp:/mnt busybox sh -c 'echo x > /x; echo in > /mnt/g'; cat /tmp/g
        ctr run --rm -u nobody busybox; ctr run --rm -v tmp:/mnt busybox""")
    t.equal([line.split("can't create ")[-1] for line in lines(result)], [
        "1000", "outside", "/mnt/g: Read-only file system", "/x: Read-only file system", "in",
        'ctr: no user "nobody" in the image', "ctr: -v tmp:/mnt: expected SOURCE:DESTINATION[:ro], both absolute"], "output")


@test()
def a_user_namespace_maps_root(t):
    config = bundle_config("/bin/sh", "-c", "id -u; cat /proc/self/uid_map; touch /data/f; stat -c %u /data/f",
                           mounts=[{"destination": "/proc", "type": "proc", "source": "proc"},
                                   {"destination": "/data", "type": "bind", "source": "/tmp", "options": ["bind"]}])
    mapping = [{"containerID": 0, "hostID": 100000, "size": 1000}]
    config["linux"]["namespaces"].append({"type": "user"})
    config["linux"].update(uidMappings=mapping, gidMappings=mapping)
    place = bundle(t.directory() + "/bundle", config)
    result = t.sh("chmod 777 /tmp; mkdir /bundle/rootfs/proc /bundle/rootfs/data /bundle/rootfs/dev; chmod 777 /bundle/rootfs/dev; "
                  "ctr run --bundle /bundle c; stat -c %u /tmp/f", adds=[(place, "/bundle")])
    t.equal([line.split() for line in lines(result)], [["0"], ["0", "100000", "1000"], ["0"], ["100000"]], "ids")


@test()
def a_bundle_as_umoci_writes_it_runs(t):
    """The members that umoci's config.json has, network and sysfs included."""
    config = bundle_config("sh", "-c", "id -u; ls /dev | grep -c null; cat /proc/self/cgroup | wc -l")
    tmpfs = ["nosuid", "strictatime", "mode=755", "size=65536k"]
    config.update(hostname="umoci-default", annotations={"org.opencontainers.image.os": "linux"}, mounts=[
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": tmpfs},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "mode=1777", "size=65536k"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}])
    config["process"]["capabilities"] = {
        kind: ["CAP_AUDIT_WRITE", "CAP_KILL"] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")}
    config["process"].update(noNewPrivileges=True, rlimits=[{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}])
    config["linux"] = {"namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
                       "resources": {"devices": [{"allow": False, "access": "rwm"}]},
                       "maskedPaths": ["/proc/kcore", "/proc/timer_list"], "readonlyPaths": ["/proc/sys", "/proc/bus"]}
    place = bundle(t.directory() + "/bundle", config)
    result = t.sh("ctr run --bundle /bundle u; echo $?", adds=[(place, "/bundle")])
    t.equal([lines(result)[0], lines(result)[1], lines(result)[-1]], ["0", "1", "0"], "user, /dev/null, status")


@test(backends=BOTH)
def an_interactive_shell_has_job_control(t):
    m = t.machine()
    m.expect(t.PROMPT)
    m.send("ctr run -it --rm --name c busybox\n")
    m.expect(r"~ # ")
    m.send("sh -c 'echo rea''dy; exec sleep 1000'\n")
    m.expect("ready")
    m.send("\x03")
    m.expect(r"~ # ")
    m.send("echo status $?; tty; sleep 1000 &\n")
    m.expect(r"status 130")
    m.expect(r"/dev/")
    m.expect(r"~ # ")
    m.send("jobs; exit 9\n")
    m.expect(r"\[1\]\+ +Running +sleep 1000")
    m.expect(t.PROMPT)
    t.equal(m.command("echo $?; ctr ps | wc -l", t.PROMPT), "9\n1\n", "status, and nothing left")


@test(backends=BOTH)
def a_machine_runs_inside_a_container_and_its_limits(t):
    result = t.sh("run() { ctr run --rm --memory $1 $2 -v /bin/vmm:/bin/vmm:ro -v /lib/guests:/guests:ro busybox vmm /guests/$3; }; "
                  "run 32m '--device /dev/kvm' count; echo status $?; run 32m '' count; run 8m '--device /dev/kvm' touch; echo status $?")
    t.contains(result.text, "count 5\n")
    t.contains(result.text, "status 0\n")
    t.matches(result.text, r"kvm: No such file or directory")
    t.matches(result.text, r"status (137|12\d|[1-9])\n$")
