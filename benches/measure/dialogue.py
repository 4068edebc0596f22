"""A connection that says lines and hears lines, one after the other."""

import socket

# How long an answer may take, in seconds.
PATIENCE = 60.0


class Line:
    """A client of POP3 or PEEP."""

    def __init__(self, connection):
        connection.settimeout(PATIENCE)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        self._heard = connection.makefile("rb")

    @classmethod
    def log_in(cls, port, user, password):
        """A session of POP3."""
        line = cls(socket.create_connection(("127.0.0.1", port), PATIENCE))
        line.hear()
        line.ask(f"USER {user}")
        line.ask(f"PASS {password}")
        return line

    def hear(self):
        line = self._heard.readline()
        if not line.startswith(b"+"):
            raise RuntimeError(f"heard {line!r}")
        return line

    def say(self, line):
        self._connection.sendall(line.encode("ascii") + b"\r\n")

    def ask(self, line):
        self.say(line)
        return self.hear()

    def ask_lines(self, line):
        """A multi-line response: its octets, as they were sent."""
        self.ask(line)
        octets = 0
        while (heard := self._heard.readline()) != b".\r\n":
            if not heard:
                raise RuntimeError(f"{line}: the response was cut")
            octets += len(heard)
        return octets

    def quit(self):
        """Says QUIT, and waits until the server has closed."""
        self.ask("QUIT")
        self._heard.read()
        self.close()

    def close(self):
        self._heard.close()
        self._connection.close()
