"""openssl s_client, by which people look at a server by hand."""

import base64
import re

from .client import HOST, PASSWORD, Client, Failed, call
from .mail import USER


def response(said, begin):
    """The octets of the multi-line response that begins there, and where the next reply begins."""
    status = said.find(b"\r\n", begin)
    end = said.find(b"\r\n.\r\n", status)
    if not said.startswith(b"+OK", begin) or end < 0:
        raise Failed(f"no message: {said[begin:][:100]!r}")
    stuffed = said[status + 2 : end + 2]
    return re.sub(rb"(?m)^\.", b"", stuffed), end + 5


def line(said, begin):
    """Where the next reply begins, behind one of a line."""
    end = said.find(b"\r\n", begin)
    if not said.startswith(b"+OK", begin) or end < 0:
        raise Failed(f"refused: {said[begin:][:100]!r}")
    return end + 2


class OpenSsl(Client):
    """Shows what was sent, octet for octet, to commands that come all at once."""

    name = "openssl s_client"
    needs = ("openssl",)
    securities = ("stls", "pop3s")
    mechanisms = ("user", "PLAIN")

    def fetch(self, port, count, home, delete=False):
        commands = [f"USER {USER}", f"PASS {PASSWORD}"]
        if self.mechanism == "PLAIN":
            commands = ["AUTH PLAIN " + base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()]
        login = len(commands)
        numbers = range(1, count + 1)
        commands += ["STAT", *(f"RETR {number}" for number in numbers)]
        commands += [f"DELE {number}" for number in numbers] if delete else []
        options = ["-quiet", "-crlf", "-connect", f"{HOST}:{port}"]
        options += ["-starttls", "pop3"] if self.security == "stls" else []
        # What it says of the certificate is no reply.
        program = ["sh", "-c", 'exec openssl s_client "$@" 2>errors', "sh", *options]
        said = call(program, home, stdin="".join(f"{one}\n" for one in [*commands, "QUIT"]).encode())
        # With STLS it keeps the greeting for itself.
        begin = line(said, 0) if self.security == "pop3s" else 0
        for _ in range(login):
            begin = line(said, begin)
        if not said.startswith(b"+OK %d " % count, begin):
            raise Failed(f"STAT: {said[begin:][:100]!r}")
        begin = line(said, begin)
        stored = []
        for _ in numbers:
            message, begin = response(said, begin)
            stored.append(message)
        for _ in range(count + 1 if delete else 1):
            begin = line(said, begin)
        if begin != len(said):
            raise Failed(f"more than was asked for: {said[begin:][:100]!r}")
        return stored

    def stored(self, sent):
        return sent
