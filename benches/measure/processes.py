"""Processor time and memory of a process and all it started, from /proc; starting and ending programs."""

import os
import signal
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")

# How long a server may take to end before it is killed, in seconds.
PATIENCE = 15.0


def _stat(pid):
    """The fields of /proc/<pid>/stat behind the name, which may itself hold spaces and parentheses."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def tree(root):
    """The stat fields of a process and of all its descendants, by pid."""
    stats = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = _stat(name)
            if stat is not None:
                stats[int(name)] = stat
    children = {}
    for pid, stat in stats.items():
        children.setdefault(int(stat[1]), []).append(pid)
    found, waiting = {}, [root]
    while waiting:
        pid = waiting.pop()
        if pid in stats:
            found[pid] = stats[pid]
            waiting.extend(children.get(pid, []))
    return found


def processor_seconds(root):
    """User and system time of a process tree, with that of children that have ended and were waited for."""
    # utime, stime, cutime, cstime are fields 14 to 17, of which the first two are cut off here.
    return sum(sum(int(field) for field in stat[11:15]) for stat in tree(root).values()) / TICKS


def memory_kib(root):
    """Memory of a process tree: shared pages are shared out, so that many processes are not counted too high."""
    total = 0
    for pid in tree(root):
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except OSError:
            pass
    return total


def start(command, log):
    """Starts a program in a session of its own, so that a Ctrl-C is ours to handle."""
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )


def end(process):
    """Ends a program that `start` started, and those that it started; nobody else's."""
    if process.poll() is None:
        descendants = [pid for pid in tree(process.pid) if pid != process.pid]
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            # Killed, it can no longer end its children, and they are nobody else's as long as it lives.
            descendants = [pid for pid in tree(process.pid) if pid != process.pid]
            process.kill()
            process.wait()
            for pid in descendants:
                _kill(pid)
            return
        _await_end(descendants)


def _await_end(pids):
    """Waits until processes that were told to end by their parent have done so."""
    limit = time.monotonic() + PATIENCE
    while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < limit:
        time.sleep(0.02)


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
