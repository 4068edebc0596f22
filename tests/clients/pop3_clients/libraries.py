"""Libraries, by their scripts; what each makes of a message is said with it."""

import re

from .client import HOST, PASSWORD, call
from .mail import USER, lf
from .script import SCRIPTS, CompiledClient, ScriptClient, node_module


def stuffed(sent):
    """The message as a client stores it that undoes no byte-stuffing."""
    return re.sub(rb"(?m)^\.", b"..", sent)


def cut_at_nul(sent):
    """The message as a client stores it that takes lines for strings of C."""
    return re.sub(rb"\0[^\n]*\n", b"\r\n", sent)


def is_utf8(message):
    """Whether the message survives that a client makes text of it."""
    return message.decode(errors="ignore").encode() == message


class NetPop3(ScriptClient):
    """Perl's Net::POP3 turns each CRLF into LF; all else stays."""

    name = "Net::POP3"
    optional = False
    needs = ("perl",)
    interpreter = ("perl",)
    script = "net_pop3.pl"
    mechanisms = ("user", "apop")

    def stored(self, sent):
        return lf(sent)


class NetPop3Tls(NetPop3):
    """Net::POP3 with the modules that it takes TLS and SASL from: in TLS it stores what was sent."""

    name = "Net::POP3 with IO::Socket::SSL and Authen::SASL"
    optional = True
    needs = ("perl", "/usr/share/perl5/IO/Socket/SSL.pm", "/usr/share/perl5/Authen/SASL.pm")
    securities = ("stls", "pop3s")
    mechanisms = ("user", "sasl")

    def stored(self, sent):
        return sent


class MailPop3Client(ScriptClient):
    name = "Mail::POP3Client"
    needs = ("perl", "/usr/share/perl5/Mail/POP3Client.pm")
    interpreter = ("perl",)
    script = "mail_pop3client.pl"
    securities = (None, "pop3s")
    mechanisms = ("user", "apop", "CRAM-MD5")


class MailTransportPop3(ScriptClient):
    """Perl's Mail::Transport::POP3, below Mail::Box, drops an empty last line.

    The end of the connection is the end of a message for it, however that came; then it logs in
    again and deletes what it has.
    """

    name = "Mail::Transport::POP3"
    needs = ("perl", "/usr/share/perl5/Mail/Transport/POP3.pm")
    interpreter = ("perl",)
    script = "mail_transport_pop3.pl"
    securities = (None, "pop3s")
    mechanisms = ("user", "apop")

    def stored(self, sent):
        lines = re.findall(rb"[^\n]*\n", sent)
        if lines and not lines[-1].strip(b"\r\n"):
            lines.pop()
        return b"".join(lines)


class RubyNetPop(ScriptClient):
    name = "Ruby's net-pop"
    needs = ("ruby",)
    interpreter = ("ruby",)
    script = "net_pop.rb"
    securities = (None, "pop3s")
    mechanisms = ("user", "apop")


class TclPop3(ScriptClient):
    """Turns each CRLF, and each lone CR, into LF.

    It waits for ever behind a message without octets. Its STLS asks for SSL 3, which no library has.
    """

    name = "Tcl's pop3"
    needs = ("tclsh", "/usr/share/tcltk/tcllib1.21/pop3/pop3.tcl")
    interpreter = ("tclsh",)
    script = "tcl_pop3.tcl"
    mechanisms = ("user", "apop")
    securities = (None, "pop3s")

    @classmethod
    def carries(cls, message):
        return message != b""

    def stored(self, sent):
        return lf(sent).replace(b"\r", b"\n")


class CClient(ScriptClient):
    """The library of UW IMAP, Alpine and PHP. A NUL ends a line: the rest of it is dropped.

    Its STLS speaks TLS 1.0 only, which this server does not. Without TLS it knows no PLAIN.
    """

    name = "c-client, by PHP's imap"
    needs = ("php", "/usr/share/php8.2-imap/imap/imap.ini")
    interpreter = ("php",)
    script = "c_client.php"
    mechanisms = ("user", "LOGIN", "CRAM-MD5")
    securities = (None, "pop3s")

    def stored(self, sent):
        return cut_at_nul(sent)


class Horde(ScriptClient):
    """Leaves each line that begins with "." stuffed."""

    name = "Horde_Imap_Client"
    needs = ("php", "/usr/share/php/Horde/Imap/Client/Socket/Pop3.php")
    interpreter = ("php", "-d", "error_reporting=0")
    script = "horde.php"
    securities = (None, "stls", "pop3s")

    def stored(self, sent):
        return stuffed(sent)


class JakartaMail(CompiledClient):
    name = "Jakarta Mail"
    needs = ("javac", "/usr/share/java/jakarta-mail.jar")
    script = "FetchMail.java"
    jars = "/usr/share/java/jakarta-mail.jar:/usr/share/java/jakarta-activation.jar"
    package = "jakarta.mail"
    securities = (None, "stls", "pop3s")
    mechanisms = ("user", "apop", "pipelining", "PLAIN", "LOGIN")

    @property
    def compiler(self):
        return (
            f'sed -i "s/MAILPACKAGE/{self.package}/" "$1" && javac -cp {self.jars} "$1" && '
            f'printf \'#!/bin/sh\\nexec java -cp "%s:{self.jars}" FetchMail "$@"\\n\' "$PWD" >"$2" && chmod +x "$2"'
        )


class JavaMail(JakartaMail):
    name = "JavaMail"
    needs = ("javac", "/usr/share/java/javax.mail.jar")
    jars = "/usr/share/java/javax.mail.jar:/usr/share/java/javax.activation.jar"
    package = "javax.mail"


class NodePop3(ScriptClient):
    """Gives text: of messages that are not UTF-8 it makes what they are not.

    It leaves lines stuffed, and drops the last line end.
    """

    name = "node-pop3"
    needs = ("node", node_module("node-pop3"))
    interpreter = ("node",)
    script = "node_pop3.js"
    securities = (None, "pop3s")
    environment = {"NODE_PATH": node_module("")}

    @classmethod
    def carries(cls, message):
        return is_utf8(message)

    def stored(self, sent):
        return stuffed(sent).removesuffix(b"\r\n")


class NodePoplib(ScriptClient):
    """Gives text; leaves lines stuffed, and drops the last line end.

    Its STLS needs what Node.js has no more; without TLS it begins that for each mechanism. In its
    answer to AUTH PLAIN is a "=" too many.
    """

    name = "poplib of npm"
    needs = ("node", node_module("poplib"))
    interpreter = ("node",)
    script = "node_poplib.js"
    environment = {"NODE_PATH": node_module(""), "POP3_MODULE": "poplib"}
    mechanisms = ("user", "apop")
    securities = (None, "pop3s")

    @classmethod
    def carries(cls, message):
        return message.isascii()

    def stored(self, sent):
        return stuffed(sent).removesuffix(b"\r\n")


class Mailpop3(NodePoplib):
    name = "mailpop3 of npm"
    needs = ("node", node_module("mailpop3"))
    environment = {"NODE_PATH": node_module(""), "POP3_MODULE": "mailpop3"}


class Yapople(ScriptClient):
    """Leaves lines stuffed, and drops the last line end; of a message without octets it makes a "."."""

    name = "yapople of npm"
    needs = ("node", node_module("yapople"))
    interpreter = ("node",)
    script = "yapople.js"
    securities = (None, "pop3s")
    environment = {"NODE_PATH": node_module(""), "POP3_MODULE": "yapople"}

    def stored(self, sent):
        return stuffed(sent).removesuffix(b"\r\n") if sent else b"."


class Pycurl(ScriptClient):
    name = "pycurl"
    needs = ("/usr/lib/python3/dist-packages/pycurl.cpython-311-x86_64-linux-gnu.so",)
    interpreter = ("/usr/bin/python3",)
    script = "pycurl_fetch.py"
    securities = (None, "stls", "pop3s")
    mechanisms = ("user", "apop", "PLAIN", "LOGIN", "CRAM-MD5")

    def stored(self, sent):
        return sent or b"\r\n"


class Twisted(ScriptClient):
    name = "Twisted"
    needs = ("/usr/lib/python3/dist-packages/twisted/mail/pop3client.py",)
    interpreter = ("/usr/bin/python3",)
    script = "twisted_fetch.py"
    securities = (None, "stls", "pop3s")
    mechanisms = ("user", "apop")


class Pop3El(ScriptClient):
    """Emacs writes an mbox."""

    name = "Emacs's pop3.el"
    needs = ("emacs",)
    script = "pop3.el"
    securities = (None, "stls", "pop3s")
    mechanisms = ("user", "apop")

    def fetch(self, port, count, home, delete=False):
        arguments = [HOST, port, USER, PASSWORD, int(delete), self.security or "", self.mechanism]
        call(["emacs", "-Q", "--batch", "-l", SCRIPTS / self.script, *arguments], home)
        mbox = (home / "mbox").read_bytes()
        return [mbox]


class Racket(ScriptClient):
    """Gives text, in lines, header and body."""

    name = "Racket's net/pop3"
    needs = ("racket",)
    interpreter = ("racket",)
    script = "racket_pop3.rkt"

    @classmethod
    def carries(cls, message):
        return is_utf8(message)

    def stored(self, sent):
        header, empty_line, body = lf(b"\r\n" + sent).partition(b"\n\n")
        header = header[1:] + (b"\n" if empty_line and header else b"")
        return header + b"\n" + body


class Etpan(CompiledClient):
    """A NUL ends a line: the rest of it is dropped. Its APOP makes a wrong digest on 64-bit machines."""

    name = "libetpan"
    needs = ("cc", "/usr/include/libetpan/libetpan.h")
    script = "etpan.c"
    compiler = 'cc -O1 "$1" -o "$2" -letpan'
    securities = (None, "stls", "pop3s")
    mechanisms = ("user", "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")

    def stored(self, sent):
        return cut_at_nul(sent)


class Poco(CompiledClient):
    """Refuses lines of more than 4 KiB; of a message without octets it makes a line end."""

    name = "Poco"
    needs = ("c++", "/usr/include/Poco/Net/POP3ClientSession.h")
    script = "poco.cpp"
    compiler = 'c++ -O1 "$1" -o "$2" -lPocoNet -lPocoFoundation'

    @classmethod
    def carries(cls, message):
        return max(map(len, message.split(b"\n"))) < 4096

    def stored(self, sent):
        return sent or b"\n"


class Netpop(CompiledClient):
    """Turns each CRLF into LF, and drops the last."""

    name = "Ocamlnet's Netpop"
    needs = ("ocamlfind", "/usr/lib/ocaml/netclient/netpop.cmi")
    script = "ocaml_netpop.ml"
    compiler = 'ocamlfind ocamlc -package netclient,unix -linkpkg "$1" -o "$2"'
    mechanisms = ("user", "apop")

    def stored(self, sent):
        return lf(sent).removesuffix(b"\n")


class Camel(ScriptClient):
    """Drops each CR; what it keeps has an octet before the message."""

    name = "Evolution's Camel"
    needs = ("/usr/lib/x86_64-linux-gnu/girepository-1.0/Camel-1.2.typelib",)
    interpreter = ("/usr/bin/python3",)
    script = "camel.py"
    securities = (None, "stls", "pop3s")
    mechanisms = ("user", "apop", "PLAIN", "LOGIN", "CRAM-MD5")

    def stored(self, sent):
        return b"#" + sent.replace(b"\r", b"")


LIBRARIES = [
    NetPop3, NetPop3Tls, MailPop3Client, MailTransportPop3, RubyNetPop, TclPop3, CClient, Horde, JakartaMail,
    JavaMail, NodePop3, NodePoplib, Mailpop3, Yapople, Pycurl, Twisted, Pop3El, Racket, Etpan, Poco, Netpop,
    Camel,
]
