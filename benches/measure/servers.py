"""The servers that are compared: each with a configuration, a port and a copy of the mail of its own."""

import socket
import time
from pathlib import Path

from . import bare, dovecot, mail, pop3d, processes

# How long a server may take until it greets, in seconds.
STARTUP = 20.0

PASSWORD = "secret"


class Server:
    """A server that is started here, and ended here."""

    def __init__(self, name, folder, mails, users, program=None):
        self.name = name
        self.port = free_port()
        self.tls_port = free_port()
        self.folder = Path(folder)
        self.folder.mkdir()
        # Servers keep notes beside the mail, and rename it: each gets a tree of its own. The messages
        # are hard links, so that all read the same pages of memory.
        copy = self.folder / "mail"
        copy.mkdir()
        for user in users:
            mail.link(mails / user, copy / user)
        self._log_path = self.folder / "output.log"
        self._log = open(self._log_path, "wb")
        setting = Setting(self.folder, copy, self.port, users, PASSWORD)
        self._setting = setting
        self.is_bare = name.startswith("bare")
        if name.startswith("dovecot"):
            self._command = dovecot.prepare(setting, tuned=name == "dovecot-tuned")
        elif self.is_bare:
            self._command = bare.prepare(setting, name.partition("-")[2])
        else:
            self._command = pop3d.prepare(setting, program, tls_port=self.tls_port)
        self.process = None
        # Memory that it takes while nobody has logged in yet.
        self.memory_at_start = 0

    def start(self):
        """Starts it, and waits until it serves; notes what memory it takes while nobody has logged in yet."""
        self.process = processes.start(self._command, self._log)
        await_greeting(self.port, time.monotonic() + STARTUP, lambda: self.process.poll() is None, self.last_words)
        self.memory_at_start = processes.memory_kib(self.process.pid)

    def restart(self):
        """Has it forget all that it holds in memory."""
        processes.end(self.process)
        self.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def tls_address(self):
        return f"127.0.0.1:{self.tls_port}"

    def await_rest(self, patience):
        """Waits until it does little, or for so many seconds."""
        limit, before = time.monotonic() + patience, processes.processor_seconds(self.process.pid)
        while time.monotonic() < limit:
            time.sleep(0.5)
            now = processes.processor_seconds(self.process.pid)
            # A tenth of one core.
            if now - before < 0.05:
                return
            before = now

    def forget(self, user):
        """Removes what the server keeps of a maildrop beside the mail, as if it met it for the first time."""
        if self.name.startswith("dovecot"):
            kept = (self._setting.mail / user).glob("dovecot*")
        else:
            kept = self.folder.glob(f"state/indexes/*/{user}")
        for path in list(kept):
            path.unlink()

    def last_words(self):
        """The end of all that it logged."""
        lines = []
        for path in sorted(self.folder.glob("*.log")):
            with open(path, encoding="utf-8", errors="replace") as file:
                lines += file.readlines()[-10:]
        return "".join(lines)

    def end(self):
        if self.process is not None:
            processes.end(self.process)
        self._log.close()


class Setting:
    """What a server's configuration is made from."""

    def __init__(self, folder, mails, port, users, password):
        self.folder = folder
        self.mail = mails
        self.port = port
        self.users = users
        self.password = password


def versions(names, program):
    """What is compared, by name; the bare loops are of this repository as pop3d is."""
    found = {}
    for name in names:
        if name.startswith("dovecot"):
            found[name] = dovecot.version()
        elif name == "pop3d" and program:
            found[name] = f"a pop3d by `--program` (checked out: {pop3d.revision()})"
        else:
            found[name] = pop3d.revision() if name == "pop3d" else BARE
    return found


# Of what has no version of its own.
BARE = "prepared replies from an epoll loop"


def await_greeting(port, limit, is_alive=lambda: True, last_words=lambda: ""):
    """Waits until a server greets."""
    while True:
        if not is_alive():
            raise RuntimeError(f"the server ended at once:\n{last_words()}")
        try:
            with socket.create_connection(("127.0.0.1", port), 1.0) as connection:
                if connection.recv(3) == b"+OK":
                    return
        except OSError:
            pass
        if time.monotonic() > limit:
            raise RuntimeError(f"the server does not greet:\n{last_words()}")
        time.sleep(0.05)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
