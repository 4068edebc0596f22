"""What is measured: one run of the load generator against one server, and the figures that come of it."""

import subprocess

from . import pop3d, processes

# How much longer than the measurement a run may take, in seconds: to log in, to end a message of 600 MiB.
GRACE = 60.0


class Failed(Exception):
    """A run that has no figures."""


class Scenario:
    """A kind of run, and which groups of mail it needs."""

    def __init__(self, name, title, groups, run):
        self.name = name
        self.title = title
        self.groups = groups
        self.run = run

    def is_for(self, server):
        """Whether it tells anything of a server: the two bare loops differ in how they send what is not prepared."""
        if server.is_bare and self.name in ("first", "idle"):
            return False
        return server.name != "bare-sendfile" or self.name.startswith("big")


def scenarios(groups, seconds):
    """All of them, in the order of the table."""

    def retr(group):
        return lambda server: _retr(server, groups[group], seconds)

    def big(group, clients):
        # The bound is sending the same octets, which lie ready as they are sent.
        return lambda server: _big(server, groups["big-crlf" if server.is_bare else group], clients)

    def short(connections):
        return lambda server: _short(server, groups["short"], connections, seconds)

    def idle(server):
        return _idle(server, groups["idle"])

    def listing(server):
        return _listing(server, groups["large"], seconds)

    def first(server):
        return _first(server, groups["large"])

    def noop(server):
        return _noop(server, groups["noop"], [groups["big-lf"], groups["big-crlf"]], seconds)

    size = groups["big-lf"].octets >> 20
    found = [
        Scenario("retr-lf", "RETR, 75 KiB, LF on disk, 50 connections", ["lf"], retr("lf")),
        Scenario("retr-crlf", "RETR, 75 KiB, CRLF on disk, 50 connections", ["crlf"], retr("crlf")),
    ]
    for group, line_end in (("big-lf", "LF"), ("big-crlf", "CRLF")):
        for clients in (1, 4):
            plural = "clients" if clients > 1 else "client"
            title = f"RETR, {size} MiB, {line_end} on disk, {clients} {plural}"
            found.append(Scenario(f"{group}-{clients}", title, [group, "big-crlf"], big(group, clients)))
    for connections in (10, 100, 500):
        title = f"short sessions, {connections} at once"
        found.append(Scenario(f"short-{connections}", title, ["short"], short(connections)))
    large = f"{groups['large'].messages:,}"
    found += [
        Scenario("noop", "NOOP beside 8 endless RETRs", ["noop", "big-lf", "big-crlf"], noop),
        Scenario("listing", f"login, LIST and UIDL in a maildrop of {large} messages", ["large"], listing),
        Scenario("first", f"the same, met for the first time", ["large"], first),
        Scenario("idle", "sessions that are logged in and do nothing", ["idle"], idle),
    ]
    return found


def _retr(server, group, seconds):
    run = Run(server, group, 50, ["--warm-up", f"{seconds / 5:g}", "--seconds", f"{seconds:g}"], ["retr"])
    figures = run.finish()
    return {
        "MB/s": figures["octets"] / figures["seconds"] / 1e6,
        "messages/s": figures["messages"] / figures["seconds"],
        "CPU s/GB": run.processor / figures["octets"] * 1e9,
        "p99 ms": figures["p99_us"] / 1e3,
        "memory MiB": run.memory / 1024,
    }


def _big(server, group, clients):
    run = Run(server, group, clients, [], ["big"])
    figures = run.finish()
    return {
        "MB/s": figures["octets"] / figures["seconds"] / 1e6,
        "CPU s/GB": run.processor / figures["octets"] * 1e9,
        "memory MiB": run.memory / 1024,
    }


def _short(server, group, connections, seconds):
    timing = ["--users", str(group.users), "--warm-up", f"{seconds / 5:g}", "--seconds", f"{seconds:g}"]
    run = Run(server, group, connections, timing, ["short"])
    figures = run.finish()
    return {
        "sessions/s": figures["sessions"] / figures["seconds"],
        "CPU µs/session": run.processor / max(figures["sessions"], 1) * 1e6,
        "p50 ms": figures["p50_us"] / 1e3,
        "p99 ms": figures["p99_us"] / 1e3,
        "memory MiB": run.memory / 1024,
    }


def _listing(server, group, seconds):
    timing = ["--warm-up", f"{seconds / 5:g}", "--seconds", f"{seconds:g}"]
    return _steps(Run(server, group, 1, timing, ["listing"]).finish())


def _first(server, group):
    for user in group.names():
        server.forget(user)
    return _steps(Run(server, group, 1, [], ["listing", "--once"]).finish())


def _steps(figures):
    return {
        "login and STAT ms": figures["login_us"] / 1e3,
        "LIST ms": figures["list_us"] / 1e3,
        "UIDL ms": figures["uidl_us"] / 1e3,
    }


# Sessions at once: a process of the tuned Dovecot takes so many; one that gives each a process would need gigabytes.
IDLE = {"dovecot-default": 200, "dovecot-tuned": 2000}


def _idle(server, group):
    sessions = IDLE.get(server.name, group.users)
    run = Run(server, group, sessions, ["--seconds", "2"], ["noop", "--rest", "600000"])
    run.finish()
    # All that it grew by since its start, buffers and what is kept for later included.
    return {"sessions": sessions, "KiB/session": (run.memory - server.memory_at_start) / sessions}


def _noop(server, group, bigs, seconds):
    # The downloads begin before the first NOOP and end after the last one. A maildrop has one session at a time.
    timing = ["--compare-every", "0", "--seconds", f"{seconds + 2:g}"]
    downloads = []
    try:
        for big in bigs:
            downloads.append(Run(server, big, 4, timing, ["retr"]))
        for download in downloads:
            download.await_phase("measuring")
        figures = Run(server, group, 1, ["--warm-up", "0.5", "--seconds", f"{seconds:g}"], ["noop"]).finish()
    except BaseException:
        for download in downloads:
            download.abandon()
        raise
    for download in downloads:
        download.finish()
    return {
        "p50 ms": figures["p50_us"] / 1e3,
        "p99 ms": figures["p99_us"] / 1e3,
        "max ms": figures["max_us"] / 1e3,
    }


class Run:
    """The load generator at work. The server is looked at when it says that the measurement begins and ends."""

    def __init__(self, server, group, connections, options, scenario):
        command = [str(pop3d.program("load")), "--server", server.address]
        command += ["--connections", str(connections), "--first-user", str(group.first_user)]
        command += ["--deadline", f"{GRACE + _seconds(options):g}"]
        command += options + scenario
        self.server = server
        self.processor = 0.0
        self.memory = 0
        self._line = ""
        self._phases = []
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def await_phase(self, phase):
        """Reads until the load generator has come to a phase."""
        while phase not in self._phases:
            if not self._read_line():
                raise Failed(f"ended before {phase}: {self._line.strip()}")

    def finish(self):
        """Waits until it has ended; its figures."""
        try:
            while self._read_line():
                pass
            self._process.wait()
        except BaseException:
            self.abandon()
            raise
        words = self._line.strip().partition(" fault=")
        figures = dict(word.split("=", 1) for word in words[0].split())
        if self._process.returncode != 0 or words[2] != "none" or "measured" not in self._phases:
            raise Failed(words[2] or "no figures")
        figures = {name: float(value) for name, value in figures.items()}
        if figures["octets"] + figures["noops"] + figures["sessions"] == 0:
            raise Failed("nothing was measured")
        return figures

    def abandon(self):
        """Ends it before its time."""
        processes.end(self._process)

    def _read_line(self):
        line = self._process.stdout.readline()
        if line.startswith("phase="):
            phase = line.strip().partition("=")[2]
            self._phases.append(phase)
            if phase == "measuring":
                self.processor = -processes.processor_seconds(self.server.process.pid)
            else:
                self.processor += processes.processor_seconds(self.server.process.pid)
                self.memory = processes.memory_kib(self.server.process.pid)
        elif line:
            self._line = line
        return line


def _seconds(options):
    pairs = zip(options[::2], options[1::2])
    return sum(float(value) for option, value in pairs if option in ("--warm-up", "--seconds"))
