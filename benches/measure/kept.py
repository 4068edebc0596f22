"""A result that is kept: figures as JSON, from which tables and plots are made, now or again later."""

import datetime
import json

from . import curves, mail, report, scenarios

# Between these lines of the README is what a run says.
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

# The plot that the README shows.
SHOWN = "answers"


class Kept:
    """What was measured: `facts` of how, and the figures of each round, by scenario and server."""

    def __init__(self, facts, results=None):
        self.facts = facts
        self.results = results or {}

    @classmethod
    def begin(cls, arguments, command, load, versions):
        """A run that has no figures yet."""
        facts = {
            "date": datetime.date.today().isoformat(),
            "name": arguments.name,
            "command": command,
            "machine": report.machine(),
            "load": load,
            "versions": versions,
            "rounds": arguments.rounds,
            "seconds": arguments.seconds,
            "big_mib": arguments.big_mib,
            "quick": arguments.quick,
            "done": 0,
        }
        return cls(facts)

    @classmethod
    def read(cls, path):
        known = json.loads(path.read_text(encoding="utf-8"))
        return cls(known["facts"], known["results"])

    def add(self, scenario, server, result):
        self.results.setdefault(scenario, {}).setdefault(server, []).append(result)

    def has_failed(self):
        rounds = [row for rows in self.results.values() for row in rows.values()]
        return any(isinstance(result, str) for row in rounds for result in row)

    def summary(self):
        return report.summary(self.results)

    def document(self):
        """The whole of it as Markdown."""
        facts = self.facts
        lines = [f"machine: {facts['machine']}", f"load average before: {facts['load']:.2f}"]
        lines += [f"{server}: {version}" for server, version in facts["versions"].items()]
        done = facts["rounds"] if facts["done"] == facts["rounds"] else f"{facts['done']} of {facts['rounds']}"
        lines += [f"rounds: {done}, {facts['seconds']:g} s for each measurement; servers in turn within each round"]
        lines += [f"command: `{facts['command']}`", "the load generator runs on the same machine and takes its share of it"]
        text = report.head(facts["date"], facts["name"], lines) + "\n" + self.summary()
        for plot, (title, _) in self._plots().items():
            text += f"\n![{title}]({self._file(plot)})\n"
        chosen = [one for one in self._scenarios() if one.name in self.results]
        return text + report.tables(chosen, list(facts["versions"]), self._padded(chosen))

    def write(self, runs):
        """Writes it to the folder of results; where the table is."""
        runs.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"facts": self.facts, "results": _rounded(self.results)}, ensure_ascii=False, indent=0)
        (runs / f"{self._stem()}.json").write_text(text + "\n", encoding="utf-8")
        for name, (_, plot) in self._plots().items():
            (runs / self._file(name)).write_text(plot, encoding="utf-8")
        path = runs / f"{self._stem()}.md"
        path.write_text(self.document(), encoding="utf-8")
        return path

    def show(self, readme, runs):
        """Puts the table of targets, and a plot, into a README between the two lines that are there for it."""
        text = readme.read_text(encoding="utf-8")
        begin, end = text.find(BEGIN), text.find(END)
        if begin < 0 or end < begin:
            raise ValueError(f"{readme.name} has no lines {BEGIN} and {END}")
        folder = runs.resolve().relative_to(readme.parent.resolve())
        compared = {version for name, version in self.facts["versions"].items() if not name.startswith("bare")}
        shown = f"{self.facts['date']}, {self.facts['machine']}, {' and '.join(sorted(compared))}: [all figures]({folder}/{self._stem()}.md).\n"
        shown += "\n" + self.summary()
        title, _ = self._plots().get(SHOWN, ("", ""))
        if title:
            shown += f"\n![{title}]({folder}/{self._file(SHOWN)})\n"
        readme.write_text(text[: begin + len(BEGIN)] + "\n\n" + shown + "\n" + text[end:], encoding="utf-8")

    def _stem(self):
        return f"{self.facts['date']}-{self.facts['name']}"

    def _file(self, plot):
        return f"{self._stem()}-{plot}.svg"

    def _scenarios(self):
        sizes = mail.Sizes(self.facts["big_mib"] << 20, self.facts["quick"])
        return scenarios.scenarios(sizes, self.facts["seconds"])

    def _plots(self):
        return curves.plots(self._scenarios(), self.results)

    def _padded(self, chosen):
        names = list(self.facts["versions"])
        return {one.name: {name: self.results[one.name].get(name, []) for name in names} for one in chosen}


def _rounded(results):
    """To five digits, which is more than any figure repeats."""
    if isinstance(results, dict):
        return {name: _rounded(value) for name, value in results.items()}
    if isinstance(results, list):
        return [_rounded(value) for value in results]
    return float(f"{results:.5g}") if isinstance(results, float) else results
