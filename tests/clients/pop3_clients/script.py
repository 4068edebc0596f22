"""Clients that are libraries: each has a script of a few lines in tests/clients/scripts.

A script gets as arguments: host, port, user, password, 1 or 0 (delete), "", "stls" or "pop3s", and
the mechanism. It stores the messages as out/1, out/2 ..., and says by its exit status whether it failed.
"""

import os
import shutil
import tempfile
from pathlib import Path

from .client import HOST, PASSWORD, Client, call, delivered, out_folder
from .mail import ROOT, USER

SCRIPTS = ROOT / "tests" / "clients" / "scripts"


class ScriptClient(Client):
    """A script and what runs it."""

    optional = True
    # The words in front of the script.
    interpreter = ()
    script = ""
    environment = {}

    def fetch(self, port, count, home, delete=False):
        out_folder(home)
        self.run(port, home, delete)
        return delivered(home)

    def run(self, port, home, delete):
        """Runs the script."""
        arguments = [HOST, port, USER, PASSWORD, int(delete), self.security or "", self.mechanism]
        call([*self.program(home), *arguments], home, more_environment=self.environment)

    def missing(self):
        if self.interpreter and shutil.which(self.interpreter[0]) is None:
            return self.interpreter[0]
        return super().missing()

    def program(self, _home):
        """The command without its arguments."""
        return [*self.interpreter, SCRIPTS / self.script]

    def stored(self, sent):
        return sent


class CompiledClient(ScriptClient):
    """A script that is compiled, once in a run."""

    # A line of the shell: "$1" is the source, "$2" the program to be made, beside it a folder of its own.
    compiler = ""
    folder = None
    programs = {}

    def prepare(self, home):
        self.program(home)

    def program(self, home):
        if self.name not in self.programs:
            if CompiledClient.folder is None:
                CompiledClient.folder = tempfile.TemporaryDirectory(prefix="pop3d-clients-compiled-")
            program = Path(tempfile.mkdtemp(dir=self.folder.name)) / "program"
            source = shutil.copy(SCRIPTS / self.script, program.parent)
            call(["sh", "-c", self.compiler, "sh", source, program], program.parent)
            self.programs[self.name] = program
        return [self.programs[self.name]]


def node_module(name):
    """Where a package of npm is, by NODE_PATH."""
    return f"{os.environ.get('NODE_PATH', '/usr/share/nodejs')}/{name}"
