"""Starts one process of the cluster, in namespaces of its own if asked. Stdlib only, run by path.

    python -I -S launch.py SPEC_FD REPORT_FD

SPEC_FD is read to its end. It holds JSON: `{"argv": [...], "env": {...}, "cwd": "/", "parent": pid,
"isolate": bool, "root": empty folder, "mounts": [{"source", "target", "readonly"}], "enter": pid or null}`.

Without `isolate` the process takes the launcher's place. With it, the launcher makes a user, a mount and a
PID namespace, lays a root directory in which the mounts stand at their targets and everything else is the
host's, starts the process as its PID 1 and ends as it ends (128 + the signal, as a shell says it). With
`enter` the process runs in the namespaces of that one instead. REPORT_FD gets the process id as a line and,
only if the start fails, a line with the reason; it is closed when the process has really started.

Whatever way devcluster ends, so do these: the launcher dies with its parent, the process with the launcher,
and the kernel ends a PID namespace with its PID 1.
"""

import ctypes
import json
import os
import signal
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x20000, 0x10000000, 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC = 1, 2, 4, 8, 32, 4096, 16384
MS_UNBINDABLE, MS_PRIVATE = 1 << 17, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
# statvfs flag -> mount flag. A remount in a user namespace must repeat what the source's mount has.
KEPT_FLAGS = {1: 1, 2: 2, 4: 4, 8: 8, 1024: 1024, 2048: 2048, 4096: 1 << 21}
START_FAILED = 128

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Read the specification, start the process, end as it does."""
    spec_fd, report_fd = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(report_fd, False)  # noqa: FBT003 - positional only; a successful exec closes it
    with open(spec_fd) as file:
        spec = json.load(file)
    try:
        if spec["enter"]:
            _enter(spec["enter"])
        elif spec["isolate"]:
            _isolate(Path(spec["root"]), spec["mounts"])
        _die_with(spec["parent"])
        if spec["enter"] or spec["isolate"]:
            _run_as_child(spec, report_fd)
        _report(report_fd, os.getpid())
        _execute(spec)
    except OSError as error:
        _fail(report_fd, error)


def _run_as_child(spec: dict[str, Any], report_fd: int) -> NoReturn:
    """Fork, since the PID namespace holds for children only, and end as the child does."""
    alive, closed_with_us = os.pipe()  # getppid() is 0 across PID namespaces, so this tells if we are gone
    child = os.fork()
    if child == 0:
        try:
            os.close(closed_with_us)
            _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
            os.set_blocking(alive, False)
            if _is_closed(alive):
                os._exit(START_FAILED)
            os.close(alive)
            os.setsid()
            if spec["isolate"]:
                _mount_own_proc()
            _execute(spec)
        except OSError as error:
            _fail(report_fd, error)
    os.close(alive)
    _report(report_fd, child)
    os.close(report_fd)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the container is stopped by signals to itself
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def _mount_own_proc() -> None:
    """Make /proc tell of this PID namespace, in which the program is process 1.

    Where the host's /proc is partly masked, as in a container, the kernel refuses; then the host's stays,
    whose `self` is right too.
    """
    with suppress(PermissionError):
        _mount(Path("proc"), Path("/proc"), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)


def _is_closed(reader: int) -> bool:
    try:
        return os.read(reader, 1) == b""
    except BlockingIOError:
        return False


def _execute(spec: dict[str, Any]) -> None:
    os.chdir(spec["cwd"])
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them, and exec would hand that on
    os.execvpe(spec["argv"][0], spec["argv"], spec["env"])  # noqa: S606 - argv is the point


def _die_with(parent: int) -> None:
    """After the namespaces: a change of credentials clears the setting."""
    _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(START_FAILED)


def _isolate(root: Path, mounts: list[dict[str, Any]]) -> None:
    user, group = os.geteuid(), os.getegid()
    _call("unshare", CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _mount(None, Path("/"), None, MS_REC | MS_PRIVATE)
    _mount(Path("devcluster"), root, "tmpfs", 0, "mode=755")
    # Unbindable: if `root` lies under /tmp, binding /tmp must not bind what is being laid here.
    _mount(None, root, None, MS_UNBINDABLE)
    lay_root(root, mounts)
    _mount(None, root, None, MS_PRIVATE)
    os.chdir(root)
    _call("pivot_root", b".", b".")
    _call("umount2", b".", MNT_DETACH)
    os.chdir("/")


def lay_root(root: Path, mounts: list[dict[str, Any]]) -> None:
    """Mirror the host's `/` into the tmpfs at `root`, with each mount at its target.

    A directory of the host is bound as it is, unless a target beneath it does not exist on the host: then it
    is made anew and its entries are bound one by one, so that nothing is ever created in the host's own.
    """
    wanted = sorted(
        ((Path(mount["source"]), Path(mount["target"]).resolve(), mount["readonly"]) for mount in mounts),
        key=lambda mount: len(mount[1].parts),  # what lies inside another mount comes after it
    )
    opened = {Path("/")}
    for index, (_, target, _) in enumerate(wanted):
        inside_another = any(target.is_relative_to(above) for _, above, _ in wanted[:index])
        if not target.exists() and not inside_another:
            opened.update(target.parents)
    _mirror(Path("/"), root, opened)
    for source, target, _ in wanted:
        place = _in(root, target)
        _make_place(source, place)
        _mount(source, place, None, MS_BIND | MS_REC)
    for _, target, readonly in wanted:
        if readonly:
            _make_readonly(_in(root, target))


def _in(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def _mirror(folder: Path, root: Path, opened: set[Path]) -> None:
    if not folder.is_dir():
        return  # only mounts will stand there
    for entry in folder.iterdir():
        place = _in(root, entry)
        if entry.is_symlink():
            place.symlink_to(entry.readlink())
        elif entry in opened:
            place.mkdir()
            place.chmod(stat.S_IMODE(entry.stat().st_mode))
            _mirror(entry, root, opened)
        else:
            _make_place(entry, place)
            _mount(entry, place, None, MS_BIND | MS_REC)


def _make_place(source: Path, place: Path) -> None:
    if source.is_dir():
        place.mkdir(parents=True, exist_ok=True)
    elif not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()


def _make_readonly(place: Path) -> None:
    present = os.statvfs(place).f_flag
    kept = sum(mount_flag for flag, mount_flag in KEPT_FLAGS.items() if present & flag)
    _mount(None, place, None, MS_REMOUNT | MS_BIND | MS_RDONLY | kept)


def _enter(process: int) -> None:
    """Join the namespaces of `process`; the PID namespace holds for children."""
    descriptors = [os.open(f"/proc/{process}/ns/{kind}", os.O_RDONLY) for kind in ("user", "mnt", "pid")]
    for descriptor in descriptors:
        _call("setns", descriptor, 0)
        os.close(descriptor)


def _mount(source: Path | None, target: Path, kind: str | None, flags: int, data: str | None = None) -> None:
    texts = [str(text).encode() if text else None for text in (source, target, kind)]
    try:
        _call("mount", *texts, ctypes.c_ulong(flags), data.encode() if data else None)
    except OSError as error:
        raise type(error)(error.errno, f"mount of {source} at {target}: {error.strerror}") from None


def _call(name: str, *arguments: Any) -> None:
    if name == "pivot_root":  # glibc has no wrapper for it
        result = _libc.syscall(PIVOT_ROOT[os.uname().machine], *arguments)
    else:
        result = getattr(_libc, name)(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}


def _report(report_fd: int, process: int) -> None:
    os.write(report_fd, f"{process}\n".encode())


def _fail(report_fd: int, error: OSError) -> NoReturn:
    reason = f"{error.strerror}: {os.fsdecode(error.filename)}" if error.filename else str(error.strerror)
    os.write(report_fd, f"{reason}\n".encode())
    os._exit(START_FAILED)


if __name__ == "__main__":
    main()
