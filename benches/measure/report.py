"""Results as Markdown: what must be reached, then medians, ratios and the spread of every scenario."""

import os
import platform

from . import targets

MISSING = "–"


def summary(results):
    """The table of targets. `results`: figures of each round, by scenario and server; a server's failure is a string."""
    lines = ["| | pop3d | Dovecot's best | the bound | wanted | measured | |"]
    lines += ["| --- | --: | --: | --: | --: | --: | --- |"]
    for target in targets.TARGETS:
        found = [targets.medians(rows, target.figure) for name, rows in results.items() if target.covers(name)]
        found = [medians for medians in found if target.value(medians) is not None]
        if found:
            lines.append(_target_row(target, found))
    return "\n".join(lines) + "\n" if len(lines) > 2 else ""


def _target_row(target, found):
    """Of several scenarios the least and the most."""
    measured = [target.value(medians) for medians in found]
    # A rate counts on the least favourable of what it was measured on.
    met = "met" if all(target.is_met_by(value) for value in measured) else "**not met**"
    others = [
        _span([targets.best(medians, target.figure, reference) for medians in found])
        for reference in targets.REFERENCES
    ]
    cells = [f"{target.what}: {target.figure}", _span([medians[targets.OURS] for medians in found]), *others]
    cells += [target.wanted(), _span(measured, ratio if target.reference else number), met]
    return f"| {' | '.join(cells)} |"


def _span(values, written=None):
    known = [value for value in values if value is not None]
    if not known:
        return MISSING
    least, most = ((written or number)(value) for value in (min(known), max(known)))
    return least if least == most else f"{least} – {most}"


def tables(scenarios, names, results):
    """A table for each scenario, and one for each family of them."""
    lines, seen = [], []
    for scenario in scenarios:
        if scenario.family is None:
            lines += _table(scenario, names, results[scenario.name])
        elif scenario.family.name not in seen:
            seen.append(scenario.family.name)
            members = [one for one in scenarios if one.family and one.family.name == scenario.family.name]
            lines += _family_table(scenario.family, members, names, results)
    return "\n".join(lines) + "\n"


def _table(scenario, names, rows):
    keys = []
    for name in names:
        keys += [key for figures in targets.figures(rows, name)[:1] for key in figures if key not in keys]
    faults = _faults(rows, names, scenario.title)
    if not keys and not faults:
        return []
    lines = ["", f"### {scenario.title}", ""]
    lines += ["| | server | median | min – max | to Dovecot's best | to the bound | wanted | |"]
    lines += ["| --- | --- | --: | --: | --: | --: | --: | --- |"]
    for key in keys:
        medians = targets.medians(rows, key)
        for place, name in enumerate(name for name in names if name in medians):
            label = key if place == 0 else ""
            lines.append(_row(label, scenario.name, name, targets.values(rows, name, key), key, medians))
    return lines + faults


def _row(label, scenario, name, values, key, medians):
    cells = [label, name, number(medians[name]), f"{number(min(values))} – {number(max(values))}"]
    for reference in targets.REFERENCES:
        compared = targets.ratio(medians[name], medians, key, reference)
        cells.append(MISSING if compared is None else ratio(compared))
    wanted, met = _judged(scenario, key, medians) if name == targets.OURS else ("", "")
    return f"| {' | '.join([*cells, wanted, met])} |"


def _judged(scenario, key, medians):
    """What is wanted of a figure, and whether each of it is met."""
    wanted, met = [], []
    for target in targets.TARGETS:
        value = target.value(medians)
        if target.covers(scenario) and target.figure == key and value is not None:
            wanted.append(target.wanted())
            met.append("met" if target.is_met_by(value) else "**not met**")
    return ", ".join(wanted), ", ".join(met)


def _family_table(family, members, names, results):
    """A row for each number, a column for each server and figure; least and most in parentheses."""
    columns, faults = [], []
    for name in names:
        for member in members:
            for figures in targets.figures(results[member.name], name)[:1]:
                columns += [(name, key) for key in figures if (name, key) not in columns]
    for member in members:
        faults += _faults(results[member.name], names, member.title)
    if not columns and not faults:
        return []
    wanted = any(target.covers(member.name) for target in targets.TARGETS for member in members)
    heads = [family.x_label, *(f"{name}, {key}" for name, key in columns), *["wanted", ""] * wanted]
    lines = ["", f"### {family.title}", "", f"| {' | '.join(heads)} |"]
    lines += [f"| {' | '.join(['--:'] * len(heads))} |"]
    for member in members:
        rows = results[member.name]
        cells = [f"{member.x:,}"]
        for name, key in columns:
            values = targets.values(rows, name, key)
            spread = f" ({number(min(values))} – {number(max(values))})" if len(values) > 1 else ""
            cells.append(number(targets.medians(rows, key)[name]) + spread if values else MISSING)
        if wanted:
            cells += _family_judged(member.name, rows)
        lines.append(f"| {' | '.join(cells)} |")
    return lines + faults


def _family_judged(scenario, rows):
    judged = []
    for target in targets.TARGETS:
        value = target.value(targets.medians(rows, target.figure)) if target.covers(scenario) else None
        if value is not None:
            met = "met" if target.is_met_by(value) else "**not met**"
            judged.append((f"{target.wanted()} {target.figure}", f"{ratio(value)}: {met}"))
    return [", ".join(words) for words in zip(*judged)] or ["", ""]


def _faults(rows, names, title):
    lines = []
    for name in names:
        faults = [result for result in rows.get(name, []) if isinstance(result, str)]
        if faults:
            lines += ["", f"**{title}: {name}: {len(faults)} of {len(rows[name])} runs failed:** {faults[0]}"]
    return lines


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


def head(date, name, facts):
    """How a dated result begins: what was measured, on what, by which command."""
    lines = [f"# {date}: {name}", "", *(f"- {fact}" for fact in facts), ""]
    return "\n".join([*lines, "What the figures mean: [benches/README.md](../README.md)."]) + "\n"


def ratio(value):
    return f"{value:.2f}"


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
