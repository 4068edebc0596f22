"""What must be reached, and whether it is: ratios to Dovecot's best and to the bound in the same run, or plain numbers."""

import statistics

# Figures of which more is better; of all others less is.
RATES = ("MB/s", "messages/s", "sessions/s", "of one core's AES-GCM", "of alone")

# Figures that tell what was measured; there is no better or worse.
FACTS = ("sessions", "AES-GCM MB/s", "MB/s alone")

# By what a ratio is called: the servers whose better median it is to.
REFERENCES = {"Dovecot": "dovecot", "the bound": "bare"}

OURS = "pop3d"


class Target:
    """A figure of some scenarios, and what it must be at least, or at most."""

    def __init__(self, what, scenarios, figure, limit, reference=None):
        self.what = what
        self.scenarios = scenarios
        self.figure = figure
        self.limit = limit
        # A number where there is none.
        self.reference = reference
        self.is_least = figure in RATES

    def covers(self, scenario):
        return any(scenario == one or scenario.startswith(one + "-") for one in self.scenarios)

    def wanted(self):
        """In words."""
        sign = "≥" if self.is_least else "≤"
        unit = f" × {self.reference}" if self.reference else ""
        return f"{sign} {self.limit:g}{unit}"

    def is_met_by(self, value):
        return value >= self.limit if self.is_least else value <= self.limit

    def value(self, medians):
        """What is compared with the limit; nothing where it was not measured."""
        ours = medians.get(OURS)
        if self.reference is None or ours is None:
            return ours
        return ratio(ours, medians, self.figure, self.reference)


RETR = "RETR, 75 KiB, 50 connections"
SHORT = "short sessions, 10, 100 and 500 at once"

TARGETS = [
    Target(RETR, ["retr"], "messages/s", 5, "Dovecot"),
    Target(RETR, ["retr"], "messages/s", 0.6, "the bound"),
    Target(RETR, ["retr"], "CPU s/GB", 0.25, "Dovecot"),
    Target("RETR of a big message, 1 to 4 clients", ["big-lf", "big-crlf"], "MB/s", 0.9, "the bound"),
    Target("RETR in TLS 1.3, 1 and 4 clients", ["tls"], "of one core's AES-GCM", 0.8),
    Target(SHORT, ["short"], "sessions/s", 5, "Dovecot"),
    Target(SHORT, ["short"], "sessions/s", 0.5, "the bound"),
    Target(SHORT, ["short"], "p99 ms", 0.1, "Dovecot"),
    Target("an idle session", ["idle"], "KiB/session", 2),
    Target("a large maildrop, index warm", ["listing"], "login and STAT ms", 2),
    Target("a large maildrop, index warm", ["listing"], "LIST ms", 3),
    Target("a large maildrop, index warm", ["listing"], "UIDL ms", 4),
    Target("a large maildrop, no index", ["first"], "login and STAT ms", 0.5, "Dovecot"),
    # What undisturbed means is what it means beside RETRs.
    Target("a large maildrop, no index", ["first"], "another's NOOP p99 ms", 5),
    Target("NOOP beside 8 endless RETRs", ["noop"], "p99 ms", 5),
    Target("an honest client among slow readers", ["slow"], "of alone", 0.8),
]


def figures(rows, name):
    """The figures of the rounds that have some."""
    return [result for result in rows.get(name, []) if isinstance(result, dict)]


def values(rows, name, figure):
    return [result[figure] for result in figures(rows, name) if figure in result]


def medians(rows, figure):
    """By server, of those that have any."""
    found = {name: values(rows, name, figure) for name in rows}
    return {name: statistics.median(some) for name, some in found.items() if some}


def best(by_server, figure, reference):
    """The better median of the servers of a reference, if there is one."""
    known = [value for name, value in by_server.items() if name.startswith(REFERENCES[reference])]
    if not known or figure in FACTS:
        return None
    return max(known) if figure in RATES else min(known)


def ratio(value, by_server, figure, reference):
    """How a median compares to the best of a reference, if that is known."""
    other = best(by_server, figure, reference)
    return value / other if other else None
