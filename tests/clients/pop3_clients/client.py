"""What all clients have in common, and how they are started."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from .mail import USER, lf

HOST = "127.0.0.1"
PASSWORD = "pass word:1"
# Longest time that a client may take for a whole maildrop.
CLIENT_SECONDS = int(os.environ.get("POP3D_CLIENT_SECONDS", "300"))


# How clients may come to TLS; None: in the clear. And what most log in by.
ANY_SECURITY = (None, "stls", "pop3s")
WITHOUT_STLS = (None, "pop3s")
USER_OR_APOP = ("user", "apop")


class Failed(Exception):
    """What went wrong, in a line."""


class StillRunning(Failed):
    """A client that does not come to an end."""


class Client:
    """A client, and what it can do.

    A client that reports an error raises `Failed`. `home` is an empty folder for its configuration
    and its output.
    """

    name = ""
    # Programs, or absolute paths, without which it is not installed.
    needs = ()
    # Whether it is left out where it is not installed; else that is a failure.
    optional = False
    # Whether an optional one is quick, and installed by .ci/run.
    small = False
    securities = (None,)
    # What it can log in by: "user" (USER and PASS), "apop", or the name of a SASL mechanism.
    mechanisms = ("user",)
    # Whether it deletes what it fetched, and whether it knows again what it has, by unique-ids.
    deletes = True
    remembers = False
    # Whether what it stored tells in which order.
    ordered = True
    # Whether the end of a connection, even by a reset, is the end of a message for it, or it misses that end: nothing
    # that a server does tells it that a message was cut.
    misses_a_cut = False

    def __init__(self, security=None, mechanism="user", only_new=False):
        self.security = security
        self.mechanism = mechanism
        self.only_new = only_new

    @classmethod
    def carries(cls, _message):
        """Whether this message, as sent, is one that the client gets through at all."""
        return True

    def missing(self):
        """The first thing it needs that is not here, or None."""
        for need in self.needs:
            if not (Path(need).exists() if need.startswith("/") else shutil.which(need)):
                return need
        return None

    def prepare(self, home):
        """Makes what is not a part of fetching."""

    def fetch(self, port, count, home, delete=False):
        """Fetches all messages, and returns what it stored of each, in order."""
        raise NotImplementedError

    def stored_all(self, sent, _fetched, _home):
        """What the client has to have stored, message by message, by its own nature."""
        return [self.stored(one) for one in sent]

    def stored(self, sent):
        """Most clients turn each CRLF into LF and change nothing else."""
        return lf(sent)


# How often it is looked whether the time has come to kill a client.
LOOK_SECONDS = 0.02


class Patience:
    """How long a client may take: until that file is there, where there is one, else CLIENT_SECONDS."""

    until = None


@contextlib.contextmanager
def killed_at(mark):
    """Clients are killed as soon as that file is there."""
    Patience.until = mark
    try:
        yield
    finally:
        Patience.until = None


def outcome(process, stdin):
    """What a client said until its end; raises `TimeoutExpired` where it has to be killed."""
    if Patience.until is None:
        return process.communicate(stdin, timeout=CLIENT_SECONDS)[0]
    ends = time.monotonic() + CLIENT_SECONDS
    while True:
        try:
            return process.communicate(stdin, timeout=LOOK_SECONDS)[0]
        except subprocess.TimeoutExpired:
            stdin = None
            if Patience.until.exists() or time.monotonic() > ends:
                raise


def call(arguments, home, more_environment=None, stdin=None):
    """Runs a client with a home of its own; one that takes too long is killed."""
    environment = {
        "HOME": str(home),
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "LC_ALL": "C",
        "FETCHMAILHOME": str(home),
        "TMPDIR": str(home),
    }
    environment.update(more_environment or {})
    process = subprocess.Popen(
        [str(argument) for argument in arguments],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output = outcome(process, stdin)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise StillRunning("still running") from None
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if process.returncode != 0:
        said = output.decode(errors="replace").strip().splitlines()[-3:]
        raise Failed(f"exit status {process.returncode}: {' | '.join(said)[:400]}")
    return output


def delivery_script(home, last=""):
    """A delivery agent that keeps its standard input in the files out/1, out/2 ..., in order.

    `last` is what the shell does in the end.
    """
    out = home / "out"
    out.mkdir(exist_ok=True)
    script = home / "deliver"
    script.write_text(
        "#!/bin/sh\n"
        "set -e\n"
        f"cd '{out}'\n"
        "number=$(cat ../number 2>/dev/null || echo 0)\n"
        "number=$((number + 1))\n"
        'cat > "$number"\n'
        'echo "$number" > ../number\n' + last
    )
    script.chmod(0o755)
    return script


def private(path, text):
    """A configuration file that only its owner can read, as the clients insist."""
    path.write_text(text)
    path.chmod(0o600)
    return path


def out_folder(home):
    """The folder for what is stored."""
    (home / "out").mkdir(exist_ok=True)
    return home / "out"


def delivered(home):
    """The files that were stored as out/1, out/2 ..., in order."""
    files = sorted((home / "out").iterdir(), key=lambda path: int(path.name))
    return [path.read_bytes() for path in files]


def delivered_maildir(folder):
    """The messages of a Maildir that a client stored, in no order: neither names nor times tell it."""
    return [path.read_bytes() for name in ("new", "cur") for path in (folder / name).iterdir()]
