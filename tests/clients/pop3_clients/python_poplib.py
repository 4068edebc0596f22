"""Python's poplib."""

import contextlib
import poplib
import ssl
import time

from .client import ANY_SECURITY, CLIENT_SECONDS, HOST, PASSWORD, USER_OR_APOP, Client, Failed
from .mail import USER

# The server hears of a client's death by its socket: at once, but not before the next login.
ATTEMPTS, ATTEMPT_SECONDS = 20, 0.1


class Poplib(Client):
    """Python's poplib gives lines without their line ends: nothing is lost.

    It refuses lines of more than 2048 octets unless told otherwise.
    """

    name = "poplib"
    securities = ANY_SECURITY
    mechanisms = USER_OR_APOP

    def fetch(self, port, count, home, delete=False):
        poplib._MAXLINE = 1 << 27
        try:
            with self.secured(port) as connection:
                self.log_in(connection)
                messages = self.retrieve(connection, delete)
                connection.quit()
        except (poplib.error_proto, OSError, EOFError) as error:
            raise Failed(f"{type(error).__name__}: {error}") from error
        return messages

    def look(self, port, count):
        """Logs in, and raises `Failed` where there are not so many messages."""
        for _ in range(ATTEMPTS):
            try:
                with self.secured(port) as connection:
                    self.log_in(connection)
                    found, _ = connection.stat()
                    connection.quit()
            except poplib.error_proto as error:
                failure = str(error)
                time.sleep(ATTEMPT_SECONDS)
            else:
                if found != count:
                    raise Failed(f"{found} messages are served, not {count}")
                return
        raise Failed(f"no login: {failure}")

    def retrieve(self, connection, delete):
        """All messages, which make as many octets as STAT says."""
        found, octets = connection.stat()
        messages = []
        for number in range(1, found + 1):
            _, lines, _ = connection.retr(number)
            messages.append(b"".join(line + b"\r\n" for line in lines))
            if delete:
                connection.dele(number)
        if sum(map(len, messages)) != octets:
            raise Failed(f"STAT says {octets} octets, {sum(map(len, messages))} came")
        return messages

    @contextlib.contextmanager
    def secured(self, port):
        """A connection in AUTHORIZATION."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self.security == "pop3s":
            connection = poplib.POP3_SSL(HOST, port, timeout=CLIENT_SECONDS, context=context)
        else:
            connection = poplib.POP3(HOST, port, timeout=CLIENT_SECONDS)
        try:
            if self.security == "stls":
                connection.stls(context)
            yield connection
        finally:
            connection.close()

    def log_in(self, connection):
        """Leads to TRANSACTION."""
        if self.mechanism == "apop":
            connection.apop(USER, PASSWORD)
        else:
            connection.user(USER)
            connection.pass_(PASSWORD)

    def stored(self, sent):
        return sent
