"""What is measured: scenarios, each a run or several against one server, and the figures that come of it."""

from . import mail, pop3d
from .run import Beside, Run, TooSlow

# Connections that retrieve at once, and clients of a big message at most.
RETRIEVING = 50
BIG_CLIENTS = range(1, 5)

# How long slow readers may keep the server busy before they are as slow as they will be, in seconds.
SETTLING = 10.0

# Clients at once whose slowest answer is told.
ANSWERED = range(50, 901, 50)


class Scenario:
    """A kind of run, which groups of mail it needs, and whom it tells something of."""

    def __init__(self, name, title, groups, run, servers, family=None, x=None):
        self.name = name
        self.title = title
        self.groups = groups
        self.run = run
        self._servers = servers
        # What it is a point of, and where: those have one table, and a plot.
        self.family = family
        self.x = x

    def is_for(self, name):
        """Whether a server can do it, and it tells anything of that server."""
        return any(name == one or name.startswith(one + "-") for one in self._servers)


class Family:
    """Scenarios that differ in one number."""

    def __init__(self, name, title, x_label, figure):
        self.name = name
        self.title = title
        self.x_label = x_label
        # What the plot shows.
        self.figure = figure


# The bare loop reads no file of its own making, has no TLS, and sends what lies ready: where it has nothing to do that a
# server does, it is no bound. Its two ways differ only in messages that it has not prepared.
FULL = ("dovecot", "pop3d")
BOUND = (*FULL, "bare-write")
ALL = (*FULL, "bare")
OURS = ("pop3d",)
# Those of which a process serves many sessions: the other Dovecot would need a gigabyte.
SHARED = ("dovecot-tuned", "pop3d", "bare-write")


def scenarios(sizes, seconds):
    """All of them, in the order of the table."""
    groups = mail.groups(sizes)
    warm = ["--warm-up", f"{seconds / 5:g}", "--seconds", f"{seconds:g}"]
    size = sizes.big_octets >> 20
    found = []

    def add(name, title, needed, run, servers, *family):
        found.append(Scenario(name, title, needed, run, servers, *family))

    for group, line_end in (("lf", "LF"), ("crlf", "CRLF")):
        title = f"RETR, 75 KiB, {line_end} on disk, {RETRIEVING} connections"
        add(f"retr-{group}", title, [group], _retr(groups[group], warm), BOUND)
    for group, line_end in (("big-lf", "LF"), ("big-crlf", "CRLF")):
        family = Family(group, f"RETR, {size} MiB, {line_end} on disk, by 1 to 4 clients", "clients", "seconds")
        for clients in BIG_CLIENTS:
            title = f"RETR, {size} MiB, {line_end} on disk, {_of(clients, 'client')}"
            run = _big(groups[group], groups["big-crlf"], clients)
            add(f"{group}-{clients}", title, [group, "big-crlf"], run, ALL, family, clients)
    for clients in (1, 4):
        title = f"RETR in TLS 1.3, {size} MiB, CRLF on disk, {_of(clients, 'client')}"
        add(f"tls-{clients}", title, ["big-crlf"], _tls(groups["big-crlf"], clients, seconds), OURS)
    for connections in (10, 100, 500):
        run = _short(groups["short"], connections, warm)
        add(f"short-{connections}", f"short sessions, {connections} at once", ["short"], run, BOUND)
    noop = _noop(groups["noop"], [groups["big-lf"], groups["big-crlf"]], seconds)
    add("noop", "NOOP beside 8 endless RETRs", ["noop", "big-lf", "big-crlf"], noop, FULL)
    title = f"an honest client beside {sizes.slow:,} slow readers of 64 MiB"
    add("slow", title, ["crlf", "slow"], _slow(groups["crlf"], groups["slow"], seconds), OURS)
    large = f"{sizes.large:,}"
    title = f"login, LIST and UIDL in a maildrop of {large} messages"
    add("listing", title, ["large"], _listing(groups["large"], warm), BOUND)
    run = _first(groups["large"], groups["noop"])
    add("first", "the same, met for the first time, and NOOP of another session", ["large", "noop"], run, FULL)
    add("idle", "sessions that are logged in and do nothing", ["idle"], _idle(groups["idle"]), FULL)
    family = Family("answers", "slowest answer of short sessions", "clients at once", "slowest answer ms")
    for clients in ANSWERED:
        title = f"short sessions, {clients} at once, slowest answer"
        run = _answers(groups["short"], clients, max(1.0, seconds / 5))
        add(f"answers-{clients}", title, ["short"], run, SHARED, family, clients)
    family = Family("beside", "short sessions, 10 at once, beside idle ones", "idle sessions", "sessions/s")
    for idle in [0, *sizes.idle_beside]:
        title = f"short sessions, 10 at once, beside {idle:,} idle ones"
        run = _beside(groups["short"], groups["idle"], idle, seconds)
        add(f"beside-{idle}", title, ["short", "idle"], run, OURS, family, idle)
    # One curve with the large maildrop, which is measured for its own sake too.
    family = Family("grown", "login as the maildrop grows", "messages", "login and STAT ms")
    for messages in sizes.grown:
        name = mail.grown(messages)
        run = _listing(groups[name], warm)
        add(name, f"login, LIST and UIDL of {messages:,} messages", [name], run, ("dovecot-tuned", "pop3d"), family, messages)
    return found


def _of(count, what):
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _retr(group, timing):
    def run(server):
        load = Run(server, group, RETRIEVING, timing, ["retr"])
        figures = load.finish()
        return {
            "MB/s": _megabytes(figures),
            "messages/s": figures["messages"] / figures["seconds"],
            "CPU s/GB": load.processor / figures["octets"] * 1e9,
            "p99 ms": figures["p99_us"] / 1e3,
            "memory MiB": load.memory / 1024,
        }

    return run


def _big(group, prepared, clients):
    def run(server):
        # The bound is sending the same octets, which lie ready as they are sent.
        load = Run(server, prepared if server.is_bare else group, clients, [], ["big"])
        figures = load.finish()
        return {
            "MB/s": _megabytes(figures),
            "seconds": figures["seconds"],
            "CPU s/GB": load.processor / figures["octets"] * 1e9,
            "memory MiB": load.memory / 1024,
        }

    return run


def _tls(group, clients, seconds):
    def run(server):
        program = [str(pop3d.release("tls"))]
        sealing = Run.of(server, [*program, "seal", "--seconds", f"{min(seconds, 2.0):g}"]).finish()
        command = [*program, "retr", "--server", server.tls_address, "--first-user", str(group.first_user)]
        load = Run.of(server, [*command, "--connections", str(clients), "--seconds", f"{seconds:g}"])
        figures = load.finish()
        return {
            "MB/s": _megabytes(figures),
            "of one core's AES-GCM": _megabytes(figures) / _megabytes(sealing),
            "AES-GCM MB/s": _megabytes(sealing),
            "CPU s/GB": load.processor / figures["octets"] * 1e9,
        }

    return run


def _short(group, connections, timing):
    def run(server):
        load = Run(server, group, connections, ["--users", str(group.users), *timing], ["short"])
        figures = load.finish()
        return {
            "sessions/s": figures["sessions"] / figures["seconds"],
            "CPU µs/session": load.processor / max(figures["sessions"], 1) * 1e6,
            "p50 ms": figures["p50_us"] / 1e3,
            "p99 ms": figures["p99_us"] / 1e3,
            "memory MiB": load.memory / 1024,
        }

    return run


def _answers(group, clients, seconds):
    def run(server):
        timing = ["--users", str(group.users), "--seconds", f"{seconds:g}"]
        figures = Run(server, group, clients, timing, ["short"]).finish()
        return {"slowest answer ms": figures["answer_us"] / 1e3, "sessions/s": figures["sessions"] / figures["seconds"]}

    return run


def _beside(group, idle, sessions, seconds):
    def run(server):
        # Shorter than the rest: what counts is how figures change.
        measured = min(seconds, 2.0)
        timing = ["--users", str(group.users), "--warm-up", "0.5", "--seconds", f"{measured:g}"]
        quiet = ["--seconds", f"{measured + 3:g}"]
        starts = [lambda: Run(server, idle, sessions, quiet, ["noop", "--rest", "600000"])] if sessions else []
        with Beside(*starts):
            load = Run(server, group, 10, timing, ["short"])
            figures = load.finish()
        return {
            "sessions/s": figures["sessions"] / figures["seconds"],
            "CPU µs/session": load.processor / max(figures["sessions"], 1) * 1e6,
        }

    return run


def _listing(group, timing):
    def run(server):
        try:
            return _steps(Run(server, group, 1, timing, ["listing"]).finish())
        except TooSlow:
            return _steps(Run(server, group, 1, [], ["listing", "--once"]).finish())

    return run


def _first(group, other):
    def run(server):
        for user in group.names():
            server.forget(user)
        # Less than it takes any server, so that the other session is never alone.
        with Beside(lambda: Run(server, other, 1, ["--seconds", "1.5"], ["noop"])) as beside:
            figures = _steps(Run(server, group, 1, [], ["listing", "--once"]).finish())
        noops = beside.figures[0]
        return {**figures, "another's NOOP p99 ms": noops["p99_us"] / 1e3, "another's NOOP max ms": noops["max_us"] / 1e3}

    return run


def _steps(figures):
    return {
        "login and STAT ms": figures["login_us"] / 1e3,
        "LIST ms": figures["list_us"] / 1e3,
        "UIDL ms": figures["uidl_us"] / 1e3,
    }


# Sessions at once: a process of the tuned Dovecot takes so many; one that gives each a process would need gigabytes.
IDLE = {"dovecot-default": 200, "dovecot-tuned": 2000}


def _idle(group):
    def run(server):
        sessions = min(IDLE.get(server.name, group.users), group.users)
        # What was measured before leaves memory behind, which sessions could then be put into.
        server.restart()
        load = Run(server, group, sessions, ["--seconds", "2"], ["noop", "--rest", "600000"])
        load.finish()
        return {"sessions": sessions, "KiB/session": (load.memory - server.memory_at_start) / sessions}

    return run


def _noop(group, bigs, seconds):
    def run(server):
        # The downloads begin before the first NOOP and end after the last one. A maildrop has one session at a time.
        timing = ["--compare-every", "0", "--seconds", f"{seconds + 2:g}"]
        with Beside(*(lambda big=big: Run(server, big, 4, timing, ["retr"]) for big in bigs)):
            figures = Run(server, group, 1, ["--warm-up", "0.5", "--seconds", f"{seconds:g}"], ["noop"]).finish()
        return {
            "p50 ms": figures["p50_us"] / 1e3,
            "p99 ms": figures["p99_us"] / 1e3,
            "max ms": figures["max_us"] / 1e3,
        }

    return run


def _slow(group, slow, seconds):
    def run(server):
        measured = min(seconds, 3.0)
        timing = ["--warm-up", "0.5", "--seconds", f"{measured:g}"]

        def honest():
            return _megabytes(Run(server, group, 1, timing, ["retr"]).finish())

        alone = honest()
        crawling = ["--compare-every", "0", "--seconds", f"{SETTLING + measured + 2:g}"]
        with Beside(lambda: Run(server, slow, slow.users, crawling, ["crawl"])) as beside:
            # Until then the kernel's buffers of the slow readers, some MB each on loopback, take what all clients want.
            server.await_rest(SETTLING)
            among = honest()
        # They went without QUIT: their maildrops are free once the server has noticed all of them.
        server.await_rest(SETTLING)
        memory = beside.runs[0].memory / 1024
        return {"MB/s": among, "MB/s alone": alone, "of alone": among / alone, "memory MiB": memory}

    return run


def _megabytes(figures):
    return figures["octets"] / figures["seconds"] / 1e6
