"""The plots of a result: how figures change with the number of clients, of idle sessions and of messages."""

from . import svg, targets

TUNED, OURS, WRITE, SENDFILE = "dovecot-tuned", targets.OURS, "bare-write", "bare-sendfile"

SHORT_NAMES = {TUNED: "Dovecot, tuned", OURS: "pop3d", WRITE: "bare write", SENDFILE: "bare sendfile"}


def plots(scenarios, results):
    """Title and SVG by name, of those that two points of a line are known of."""
    found = {}
    for name, (title, x_label, y_label, lines, scales) in _all(scenarios).items():
        series = [svg.Series(label, points) for label, points in _known(lines, scenarios, results)]
        if series:
            found[name] = title, svg.lines(title, x_label, y_label, series, **scales)
    return found


def _all(scenarios):
    """Title, labels, lines and scales by name; a line has a label, a family, a server and a figure."""
    size = next((one.title.split(",")[1].strip() for one in scenarios if one.name.startswith("big-")), "")
    big = [
        (f"{SHORT_NAMES[server]}{line_end}", family, server, "seconds")
        for family, server, line_end in (
            ("big-lf", OURS, ", LF"),
            ("big-lf", TUNED, ", LF"),
            ("big-crlf", OURS, ", CRLF"),
            ("big-crlf", TUNED, ", CRLF"),
            ("big-crlf", WRITE, ""),
            ("big-crlf", SENDFILE, ""),
        )
    ]
    answers = [(SHORT_NAMES[server], "answers", server, "slowest answer ms") for server in (OURS, TUNED, WRITE)]
    grown = [
        (f"{SHORT_NAMES[server]}, {figure.split()[0]}", "grown", server, figure)
        for server, figure in (
            (OURS, "login and STAT ms"),
            (TUNED, "login and STAT ms"),
            (OURS, "LIST ms"),
            (OURS, "UIDL ms"),
        )
    ]
    beside = [("pop3d", "beside", OURS, "sessions/s")]
    logarithms = {"log_x": True, "log_y": True}
    return {
        "big": (f"Time until all clients have their {size}", "clients", "seconds", big, {}),
        "answers": ("Slowest answer of short sessions", "clients at once", "milliseconds", answers, {"log_y": True}),
        "beside": ("Short sessions beside idle ones", "idle sessions", "sessions a second", beside, {}),
        "grown": ("Login as the maildrop grows", "messages", "milliseconds", grown, logarithms),
    }


def _known(lines, scenarios, results):
    """Label and points of the lines that have two."""
    for label, family, server, figure in lines:
        points = []
        for scenario in scenarios:
            if scenario.family is not None and scenario.family.name == family:
                median = targets.medians(results.get(scenario.name, {}), figure).get(server)
                points += [] if median is None else [(scenario.x, median)]
        if len(points) > 1:
            yield label, sorted(points)
