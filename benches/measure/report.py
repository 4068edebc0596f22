"""The table: medians, ratios to Dovecot's better tuning, and the spread; as Markdown."""

import datetime
import os
import platform
import statistics

# Figures of which more is better; of all others less is.
RATES = ("MB/s", "messages/s", "sessions/s")

# Figures that tell what was measured; there is no better or worse.
FACTS = ("sessions",)


def table(scenarios, names, results):
    """Markdown. `results`: figures of each round, by scenario and server; a server's failure is a string."""
    references = [[name for name in names if name.startswith(kind)] for kind in ("dovecot", "bare")]
    lines = []
    for scenario in scenarios:
        rows = results[scenario.name]
        lines += ["", f"### {scenario.title}", ""]
        lines += ["| | server | median | min – max | ratio to Dovecot's best | to the bound |"]
        lines += ["| --- | --- | --: | --: | --: | --: |"]
        figures = []
        for name in names:
            for figure in _rounds(rows, name)[:1]:
                figures += [key for key in figure if key not in figures]
        for figure in figures:
            medians = {name: _median(rows, name, figure) for name in names}
            present = [name for name in names if rows.get(name)]
            for place, name in enumerate(present):
                label = figure if place == 0 else ""
                lines.append(_row(label, name, rows, figure, medians, references))
        for name in names:
            faults = [result for result in rows.get(name, []) if isinstance(result, str)]
            if faults:
                lines += ["", f"**{name}: {len(faults)} of {len(rows[name])} runs failed:** {faults[0]}"]
    return "\n".join(lines) + "\n"


def machine():
    """What the figures were got on; nothing that names the machine."""
    processor = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(file.readline().split()[1]) / (1 << 20)
    cores = len(os.sched_getaffinity(0))
    release = platform.release().partition("-")[0]
    return f"{cores} cores ({processor}), {memory:.0f} GiB of memory, Linux {release}"


def document(command, name, versions, rounds, seconds, load, body):
    """The whole of a dated result."""
    today = datetime.date.today().isoformat()
    lines = [f"# {today}: {name}", "", f"- machine: {machine()}", f"- load average before: {load:.2f}"]
    lines += [f"- {server}: {version}" for server, version in versions.items()]
    lines += [f"- rounds: {rounds}, {seconds:g} s for each measurement; servers in turn within each round"]
    lines += [f"- command: `{command}`", ""]
    lines += ["The load generator runs on the same machine and takes its share of it."]
    lines += ["What the figures mean: [benches/README.md](../README.md)."]
    return "\n".join(lines) + "\n" + body


def _row(label, name, rows, figure, medians, references):
    values = [result[figure] for result in _rounds(rows, name) if figure in result]
    if not values:
        return f"| {label} | {name} | – | – | – | – |"
    spread = f"{_number(min(values))} – {_number(max(values))}"
    ratios = [_ratio(medians, name, figure, reference) for reference in references]
    return f"| {label} | {name} | {_number(medians[name])} | {spread} | {' | '.join(ratios)} |"


def _ratio(medians, name, figure, reference):
    """How a server's median compares to the best of some others'."""
    known = [medians[other] for other in reference if medians[other]]
    if not known or figure in FACTS:
        return "–"
    return f"{medians[name] / (max(known) if figure in RATES else min(known)):.2f}"


def _rounds(rows, name):
    return [result for result in rows.get(name, []) if isinstance(result, dict)]


def _median(rows, name, figure):
    values = [result[figure] for result in _rounds(rows, name) if figure in result]
    return statistics.median(values) if values else None


def _number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
