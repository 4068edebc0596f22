"""Mail programs that can be told what to do: mutt, neomutt, s-nail, fdm, GNU movemail, nmh's inc."""

import re
import ssl

from .client import ANY_SECURITY, HOST, PASSWORD, USER_OR_APOP, WITHOUT_STLS
from .client import Client, Failed, call, delivered, delivered_maildir, delivery_script, private
from .libraries import cut_at_nul
from .mail import USER, lf
from .python_poplib import Poplib

QUOTED_PASSWORD = "pass%20word%3A1"


def url(scheme, port):
    """The maildrop as an URL."""
    return f"{scheme}://{USER}:{QUOTED_PASSWORD}@{HOST}:{port}"


def maildir(folder):
    """An empty Maildir for what is stored, where there is none."""
    for name in ("tmp", "new", "cur"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return folder


# A header that programs which read it, and write it anew, leave as it is.
PLAIN = re.compile(rb"(?s)([!-9;-~]+: [^\r ][^\r]*\r\n([ \t][^\r]*\r\n)*)+\r\n[^\0]*(?<!\r)\r\n")
KEPT_BY_MBOXES = re.compile(rb"(?mi)^(content-length|lines|status|x-status|x-uid):")


def is_plain(message):
    """Whether the message is as RFC 5322 has it, and without what mboxes have for themselves."""
    return bool(PLAIN.fullmatch(message)) and b"\r\r" not in message and not KEPT_BY_MBOXES.search(message)


def certificate_of(security, port):
    """The certificate of the server, for a client that asks a person about unknown ones."""
    if security is None:
        return ""
    with Poplib(security).secured(port) as connection:
        return ssl.DER_cert_to_PEM_cert(connection.sock.getpeercert(binary_form=True))


class Mutt(Client):
    """Fetches into a Maildir, by its command fetch-mail. Each CRLF becomes LF; some of what follows a NUL is lost."""

    name = "mutt"
    ordered = False
    optional = True
    needs = ("mutt", "script")
    securities = ANY_SECURITY
    mechanisms = ("user", "apop", "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")

    @classmethod
    def carries(cls, message):
        return b"\0" not in message

    def fetch(self, port, count, home, delete=False):
        spool = maildir(home / "spool")
        scheme = "pops" if self.security == "pop3s" else "pop"
        configuration = private(
            home / "muttrc",
            f'set folder={home} mbox_type=Maildir spoolfile={spool} pop_host="{scheme}://{HOST}:{port}"\n'
            f'set pop_user={USER} pop_pass="{PASSWORD}" pop_authenticators={self.mechanism.lower()}\n'
            f"set pop_delete={'yes' if delete else 'no'} pop_reconnect=no quit=yes delete=no\n"
            f"set ssl_starttls={'yes' if self.security else 'no'} ssl_force_tls=no\n"
            "set ssl_verify_host=no ssl_verify_dates=no header_cache= message_cachedir=\n"
            f'set certificate_file={home}/certificates\npush "<fetch-mail><quit>"\n',
        )
        (home / "certificates").write_text(certificate_of(self.security, port))
        program = f"TERM=xterm {self.needs[0]} -n -F {configuration} -f {spool}"
        screen = call(["script", "-qec", program, "/dev/null"], home)
        stored = delivered_maildir(spool)
        if len(stored) < count:
            said = screen.decode(errors="replace").replace("\x1b", "")[-300:]
            raise Failed(f"{len(stored)} messages stored, not {count}: {said!r}")
        return stored


class Neomutt(Mutt):
    """As mutt. By SASL in TLS it begins with SCRAM bound to the channel, which it cannot, cancels that, and does
    not wait for the answer: from there on it takes each answer for that of the command behind.
    """

    name = "neomutt"
    mechanisms = USER_OR_APOP
    needs = ("neomutt", "script")


class Snail(Client):
    """Copies into a Maildir. Each CRLF becomes LF, and an empty line ends each message.

    It makes an mbox of all of it on the way: a line "From " begins another message for it. Of a
    message that is cut it keeps what came, and in TLS says nothing.
    """

    name = "s-nail"
    misses_a_cut = True
    ordered = False
    optional = True
    small = True
    needs = ("s-nail",)
    securities = ANY_SECURITY
    mechanisms = USER_OR_APOP

    def fetch(self, port, count, home, delete=False):
        options = ["-S", "v15-compat=y", "-S", "tls-verify=ignore", "-S", "pop3-bulk-load"]
        options += ["-S", "pop3-no-apop"] if self.mechanism == "user" else []
        options += ["-S", "pop3-use-starttls"] if self.security == "stls" else []
        scheme = "pop3s" if self.security == "pop3s" else "pop3"
        folder = home / "stored"
        commands = f"{'move' if delete else 'copy'} * maildir://{folder}\n{'quit' if delete else 'exit'}\n"
        program = ["s-nail", "-:/", *([] if delete else ["-R"]), "-#", *options, "-f", url(scheme, port)]
        said = call(program, home, stdin=commands.encode())
        if not folder.is_dir() or b"POP3: " in said:
            # Its exit status does not tell.
            raise Failed(said.decode(errors="replace")[-300:])
        return delivered_maildir(folder)

    @classmethod
    def carries(cls, message):
        return is_plain(message) and b"From: " in message and not re.search(rb"(?m)^From ", message)

    def stored(self, sent):
        return lf(sent) if sent.endswith(b"\r\n\r\n") else lf(sent) + b"\n"


class Fdm(Client):
    """Hands each message to a program. Its STLS insists on a certificate that is known.

    It gives up at a message without octets, and, unless told otherwise, at one of more than 32 MiB.
    It drops what follows a NUL in a line, and a first line that begins with "From ".
    """

    name = "fdm"
    optional = True
    small = True
    needs = ("fdm",)
    securities = WITHOUT_STLS
    mechanisms = USER_OR_APOP

    @classmethod
    def carries(cls, message):
        return message != b""

    def stored(self, sent):
        return re.sub(rb"\AFrom [^\n]*\n", b"", lf(cut_at_nul(sent)))

    def fetch(self, port, count, home, delete=False):
        script = delivery_script(home)
        scheme = "pop3s" if self.security == "pop3s" else "pop3"
        options = "no-apop " if self.mechanism == "user" else ""
        options += "no-verify " if self.security == "pop3s" else ""
        options += "insecure "
        configuration = private(
            home / "fdm.conf",
            f'set no-received\nset queue-high 1\nset maximum-size 1G\nset lock-file "{home}/lock"\n'
            f'account "a" {scheme} server "{HOST}" port {port} user "{USER}" pass "{PASSWORD}" {options}'
            f'{"" if delete else "keep"}\n'
            f'action "a" pipe "{script}"\nmatch all action "a"\n',
        )
        # Started as root it works as a user called _fdm, who has to reach its temporary files.
        said = call(["fdm", "-f", configuration, "fetch"], home, more_environment={"TMPDIR": "/tmp"})
        if b"error" in said:
            # Its exit status does not tell.
            raise Failed(said.decode(errors="replace")[-300:])
        return delivered(home)


class Movemail(Client):
    """GNU movemail, which Debian's Emacs uses as well, into a Maildir."""

    name = "movemail"
    ordered = False
    optional = True
    small = True
    needs = ("movemail.mailutils",)
    securities = WITHOUT_STLS
    mechanisms = USER_OR_APOP

    def fetch(self, port, count, home, delete=False):
        scheme = "pops" if self.security == "pop3s" else "pop"
        source = url(scheme, port)
        if self.mechanism == "apop":
            source = source.replace("@", ";auth=+APOP@")
        options = ["--no-config", *([] if delete else ["--preserve"])]
        call([self.needs[0], *options, source, f"maildir:{home}/stored"], home)
        return delivered_maildir(home / "stored")

    @classmethod
    def carries(cls, message):
        return is_plain(message)


class Inc(Client):
    """nmh's inc, into a folder of MH."""

    name = "inc of nmh"
    optional = True
    small = True
    needs = ("/usr/bin/mh/inc",)
    securities = ANY_SECURITY
    mechanisms = ("user", "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")

    @classmethod
    def carries(cls, message):
        return b"\0" not in message and max(map(len, message.split(b"\n"))) < 65_000

    def fetch(self, port, count, home, delete=False):
        (home / "mh" / "inbox").mkdir(parents=True, exist_ok=True)
        private(home / ".netrc", f'machine {HOST} login {USER} password "{PASSWORD}"\n')
        private(home / ".mh_profile", f"Path: mh\ncredentials: file:{home}/.netrc\n")
        options = {None: ["-notls"], "stls": ["-tls", "-nocertverify"], "pop3s": ["-initialtls", "-nocertverify"]}
        options = options[self.security]
        if self.mechanism != "user":
            options += ["-sasl", "-saslmech", self.mechanism]
        options += ["-truncate" if delete else "-notruncate", "-silent"]
        call(["/usr/bin/mh/inc", "-host", HOST, "-port", port, "-user", USER, *options], home)
        files = [path for path in (home / "mh" / "inbox").iterdir() if path.name.isdigit()]
        return [path.read_bytes() for path in sorted(files, key=lambda path: int(path.name))]


PROGRAMS = [Mutt, Neomutt, Snail, Fdm, Movemail, Inc]
