"""One run of a program that puts load on a server, and the figures that come of it."""

import subprocess

from . import pop3d, processes

# How much longer than the measurement a run may take, in seconds: to log in, to end a message of 600 MiB, to meet a
# million messages for the first time.
GRACE = 120.0


class Failed(Exception):
    """A run that has no figures."""


class TooSlow(Failed):
    """A run whose time was over before anything had come to an end."""


class Run:
    """The load generator at work. The server is looked at when it says that the measurement begins and ends."""

    def __init__(self, server, group, connections, options, scenario):
        command = [str(pop3d.release("load")), "--server", server.address]
        command += ["--connections", str(connections), "--first-user", str(group.first_user)]
        command += ["--deadline", f"{GRACE + _seconds(options):g}"]
        self._begin(server, command + options + scenario)

    @classmethod
    def of(cls, server, command):
        """Another program that speaks as the load generator does."""
        run = cls.__new__(cls)
        run._begin(server, command)
        return run

    def _begin(self, server, command):
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
            raise TooSlow("nothing was measured")
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


class Beside:
    """Runs that go on while something else is measured. They must last longer than that, and then have figures too."""

    def __init__(self, *starts):
        self._starts = starts
        self.runs = []
        # Of each run, once all is over.
        self.figures = []

    def __enter__(self):
        try:
            for start in self._starts:
                self.runs.append(start())
            for run in self.runs:
                run.await_phase("measuring")
        except BaseException:
            self._abandon()
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.figures = [run.finish() for run in self.runs]
        finally:
            self._abandon()

    def _abandon(self):
        for run in self.runs:
            run.abandon()


def _seconds(options):
    pairs = zip(options[::2], options[1::2])
    return sum(float(value) for option, value in pairs if option in ("--warm-up", "--seconds"))
