"""fetchmail."""

import re

from .client import ANY_SECURITY, HOST, PASSWORD, USER_OR_APOP, Client, call, delivered, delivery_script, private
from .mail import USER


class Fetchmail(Client):
    """Stores what was sent, octet for octet, CRLF too, where it finds a header and a body.

    Told so by `no stripcr`, without which it drops each CR, and by `bad-header accept`. Else:
    - a message that begins with an empty line, or has no line, gets a header in front;
    - lines "From " of the header, the envelope of an mbox, are dropped, folded lines included;
    - a header without the empty line that ends it gets that line;
    - a line of the body is read in pieces of 8191 octets. Behind each piece but the last come a
      NUL, one octet of its uninitialised memory, and CRLF; and a "." at which a later piece begins
      is dropped, as if the server had stuffed it.
    """

    name = "fetchmail"
    needs = ("fetchmail",)
    securities = ANY_SECURITY
    mechanisms = USER_OR_APOP
    remembers = True

    PIECE = 8191
    HEADERLESS = re.compile(
        rb"From: FETCHMAIL-DAEMON\r\nTo: [!-~]+\r\n"
        rb"Subject: Headerless mail from user's mailbox on 127\.0\.0\.1\r\n"
    )

    ENVELOPE = re.compile(rb"(?m)^From .*\n(?:[ \t].*\n)*")

    def fetch(self, port, count, home, delete=False):
        script = delivery_script(home)
        tls = {
            None: 'sslproto ""',
            "stls": 'sslproto "tls1.2+" no sslcertck',
            "pop3s": 'ssl sslproto "tls1.2+" no sslcertck',
        }[self.security]
        protocol = "apop" if self.mechanism == "apop" else "pop3"
        uidl, fetchall = ("uidl", "no fetchall") if self.only_new else ("", "fetchall")
        configuration = private(
            home / "fetchmailrc",
            "set no syslog\nset invisible\nset no bouncemail\nset no spambounce\n"
            f"poll {HOST} protocol {protocol} port {port} auth password timeout 60 bad-header accept {uidl}\n"
            f'  user "{USER}" password "{PASSWORD}" is root here\n'
            f"  {'no keep' if delete else 'keep'} {fetchall} no rewrite no mimedecode pass8bits\n"
            "  no dropstatus no dropdelivered no stripcr no forcecr\n"
            f'  mda "{script}" {tls}\n',
        )
        call(
            ["fetchmail", "-N", "-s", "-f", configuration, "--nodetach"]
            + ["-i", home / "ids", "--pidfile", home / "pid"],
            home,
        )
        return delivered(home)

    def stored_all(self, sent, fetched, _home):
        fetched = fetched + [b""] * (len(sent) - len(fetched))
        return [self.stored_as(one, other) for one, other in zip(sent, fetched)]

    def stored_as(self, sent, fetched):
        """What is stored; `fetched` tells the octets that are not of the message."""
        if not sent or sent.startswith(b"\r\n"):
            made = self.HEADERLESS.match(fetched)
            if not made:
                return b"(a header made by fetchmail)" + sent
            return made.group() + (self.body(sent, fetched, made.end()) or b"\r\n")
        header, empty_line, body = sent.partition(b"\r\n\r\n")
        header = self.ENVELOPE.sub(b"", header + empty_line)
        if not empty_line:
            return header + b"\r\n"
        return header + self.body(body, fetched, len(header))

    def body(self, sent, fetched, start):
        """The body `sent` as it is stored from the octet `start` of `fetched` on."""
        stored = bytearray()
        for line in sent.split(b"\r\n")[:-1]:
            stuffed = line + b"\r\n"
            if line.startswith(b"."):
                stuffed = b"." + stuffed
            while True:
                piece, stuffed = stuffed[: self.PIECE], stuffed[self.PIECE :]
                stored += piece[1:] if piece.startswith(b".") else piece
                if not stuffed:
                    break
                uninitialised = start + len(stored) + 1
                stored += b"\0" + fetched[uninitialised : uninitialised + 1] + b"\r\n"
        return bytes(stored)
