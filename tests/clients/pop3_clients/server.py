"""A pop3d of its own for each combination."""

import re
import signal
import subprocess
import threading

from .client import PASSWORD, Failed
from .mail import USER

# Longest time that the server may take to start or to end.
SERVER_SECONDS = 20


class Server:
    """A running pop3d with a mail folder of its own."""

    def __init__(self, program, folder, transform=None, tls=False, plain_secrets=False):
        self.mail = folder / "mail"
        self.mail.mkdir(parents=True, exist_ok=True)
        self.log = []
        arguments = [program, "-u", f"{USER}:{PASSWORD}", "-m", self.mail, "-p", "0"]
        arguments += ["--state", folder / "state"]
        if plain_secrets:
            configuration = folder / "pop3d.toml"
            configuration.write_text("apop = true\n")
            arguments += ["-c", configuration]
        if transform:
            arguments += ["-t", transform]
        if tls:
            arguments += ["--tls-self-signed", "--pop3s-port", "0"]
        self.process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.port = self.pop3s_port = None
        self.has_tls = tls
        self.up = threading.Event()
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()
        if not self.up.wait(SERVER_SECONDS) or self.port is None:
            self.process.kill()
            raise Failed("the server did not start: " + " | ".join(self.log[-3:]))

    def read_log(self):
        for line in self.process.stderr:
            line = line.decode(errors="replace").rstrip()
            self.log.append(line)
            found = re.search(r"(POP3S: )?listening on \S*:(\d+)", line)
            if found and found.group(1):
                self.pop3s_port = int(found.group(2))
            elif found and self.port is None:
                self.port = int(found.group(2))
            if self.port and (self.pop3s_port or not self.has_tls):
                self.up.set()
        self.up.set()

    def port_for(self, security):
        """The port that a client with this security connects to."""
        return self.pop3s_port if security == "pop3s" else self.port

    def stop(self):
        """Ends the server as an operator does, and says whether it ended well."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(SERVER_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed("the server did not end on SIGTERM") from None
        self.reader.join(SERVER_SECONDS)
        if status != 0:
            raise Failed(f"the server ended with status {status}: {self.log[-3:]}")
