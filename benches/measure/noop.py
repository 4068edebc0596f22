"""What other clients notice of filters: the time of NOOP beside loops without end, and beside a filter that is compiled."""

import os
import socket
import tempfile
import threading
import time
from pathlib import Path

from . import processes, servers
from .dialogue import Line

# Messages in loops without end at the same time.
LOOPS = 8

# NOOPs that are timed, and the rest between two, in seconds.
NOOPS = 1000
REST = 0.002

CONFIGURATION = """\
listen = ["127.0.0.1:{port}"]
mailbox = "{folder}/mail"
state = "{folder}/state"
transform = "component-loop"

[log]
level = "warn"
file = "{folder}/pop3d.log"

[users]
"""


def measure(program, filters, tables):
    """Figures by name. `filters`: the folder of the filters; `tables`: what the configuration says of them."""
    with tempfile.TemporaryDirectory(prefix="pop3d-noop-") as folder:
        port = servers.free_port()
        users = [f"user{number}" for number in range(LOOPS + 1)]
        for user in users:
            maildrop = Path(folder) / "mail" / user
            maildrop.mkdir(parents=True)
            (maildrop / "1").write_bytes(b"Subject: x\n\nText\n" * 200)
        (Path(folder) / "state").mkdir()
        text = CONFIGURATION.format(port=port, folder=folder) + "".join(f'{user} = "pass"\n' for user in users)
        configuration = Path(folder) / "pop3d.toml"
        configuration.write_text(text + tables, encoding="utf-8")
        with open(Path(folder) / "output.log", "wb") as log:
            process = processes.start([str(program), "-c", str(configuration)], log)
            try:
                servers.await_greeting(port, time.monotonic() + servers.STARTUP)
                return _measure(port, users, Path(folder) / "state/peep.sock", Path(filters))
            finally:
                processes.end(process)


def _measure(port, users, peep, filters):
    client, *others = [Line.log_in(port, user, "pass") for user in users]
    figures = {"NOOP p99 ms alone": _percentile(_noops(client, NOOPS), 0.99)}
    figures["NOOP max ms while compiling"] = _while_compiling(client, peep, filters / "component-large.wasm")
    for other in others:
        other.say("RETR 1")
    times = _noops(client, NOOPS)
    figures["NOOP p99 ms beside loops"] = _percentile(times, 0.99)
    figures["NOOP max ms beside loops"] = max(times)
    for line in [client, *others]:
        line.close()
    return figures


def _while_compiling(client, peep, file):
    """The slowest NOOP while a filter is compiled that was not seen before."""
    with open(file, "ab") as wasm:
        # A section of its own that means nothing: its name is one octet, and its content chance.
        wasm.write(b"\0\x0a\x01x" + os.urandom(8))
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(peep))
    administrator = Line(connection)
    done = threading.Event()

    def compile_it():
        administrator.ask("tfr component-large")
        done.set()

    thread = threading.Thread(target=compile_it)
    thread.start()
    times = []
    while not done.is_set():
        times += _noops(client, 1, rest=0.0005)
    thread.join()
    administrator.close()
    return max(times)


def _noops(client, count, rest=REST):
    """Milliseconds of each."""
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        client.ask("NOOP")
        times.append((time.perf_counter() - begun) * 1e3)
        time.sleep(rest)
    return times


def _percentile(values, share):
    return sorted(values)[int(len(values) * share)]
