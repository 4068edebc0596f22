"""Libraries, by their scripts; what each makes of a message is said with it."""

import glob
import re

from .client import ANY_SECURITY, USER_OR_APOP, WITHOUT_STLS
from .mail import lf
from .script import CompiledClient, ScriptClient, node_module


def stuffed(sent):
    """The message as a client stores it that undoes no byte-stuffing."""
    return re.sub(rb"(?m)^\.", b"..", sent)


def cut_at_nul(sent):
    """The message as a client stores it that takes lines for strings of C."""
    return re.sub(rb"\0[^\n]*\n", b"\r\n", sent)


def whole(sent):
    """The message as a client stores it that changes nothing."""
    return sent


def never_empty(sent):
    """The message as a client stores it that makes a line end of nothing."""
    return sent or b"\r\n"


def stuffed_without_end(sent):
    """The message as a client stores it that undoes no byte-stuffing, and drops the last line end."""
    return stuffed(sent).removesuffix(b"\r\n")


def has_octets(message):
    """Whether the message is not one without octets."""
    return message != b""


def is_utf8(message):
    """Whether the message survives that a client makes text of it."""
    return message.decode(errors="ignore").encode() == message


class PerlClient(ScriptClient):
    interpreter = ("perl",)


class PhpClient(ScriptClient):
    interpreter = ("php",)


class PythonClient(ScriptClient):
    """A module that Debian has for its own Python."""

    interpreter = ("/usr/bin/python3",)


class NodeClient(ScriptClient):
    """A package of npm."""

    interpreter = ("node",)
    package = ""

    @property
    def needs(self):
        return (node_module(self.package),)

    @property
    def environment(self):
        return {"NODE_PATH": node_module(""), "POP3_MODULE": self.package}


class NetPop3(PerlClient):
    """Perl's Net::POP3 turns each CRLF into LF; all else stays."""

    name = "Net::POP3"
    optional = False
    script = "net_pop3.pl"
    mechanisms = USER_OR_APOP
    stored = staticmethod(lf)


class NetPop3Tls(NetPop3):
    """Net::POP3 with the modules that it takes TLS and SASL from: in TLS it stores what was sent."""

    name = "Net::POP3 with IO::Socket::SSL and Authen::SASL"
    optional = True
    small = True
    needs = ("/usr/share/perl5/IO/Socket/SSL.pm", "/usr/share/perl5/Authen/SASL.pm")
    securities = ("stls", "pop3s")
    mechanisms = ("user", "sasl")
    stored = staticmethod(whole)


class MailPop3Client(PerlClient):
    name = "Mail::POP3Client"
    small = True
    needs = ("/usr/share/perl5/Mail/POP3Client.pm",)
    script = "mail_pop3client.pl"
    securities = WITHOUT_STLS
    mechanisms = ("user", "apop", "CRAM-MD5")


class MailTransportPop3(PerlClient):
    """Perl's Mail::Transport::POP3, below Mail::Box, drops an empty last line."""

    name = "Mail::Transport::POP3"
    needs = ("/usr/share/perl5/Mail/Transport/POP3.pm",)
    script = "mail_transport_pop3.pl"
    securities = WITHOUT_STLS
    mechanisms = USER_OR_APOP

    def stored(self, sent):
        lines = re.findall(rb"[^\n]*\n", sent)
        if lines and not lines[-1].strip(b"\r\n"):
            lines.pop()
        return b"".join(lines)


class RubyNetPop(ScriptClient):
    name = "Ruby's net-pop"
    small = True
    interpreter = ("ruby",)
    script = "net_pop.rb"
    securities = WITHOUT_STLS
    mechanisms = USER_OR_APOP


class TclPop3(ScriptClient):
    """Turns each CRLF, and each lone CR, into LF; leaves a first line stuffed.

    It waits for ever behind a message without octets, and behind one that is cut. Its STLS asks for SSL 3, which no library has.
    """

    name = "Tcl's pop3"
    small = True
    needs = ("/usr/share/tcltk/tcllib1.21/pop3/pop3.tcl",)
    interpreter = ("tclsh",)
    script = "tcl_pop3.tcl"
    misses_a_cut = True
    mechanisms = USER_OR_APOP
    # Its TLS is a package of its own.
    securities = WITHOUT_STLS if glob.glob("/usr/lib/tcltk/*/tcltls*") else (None,)
    carries = staticmethod(has_octets)

    def stored(self, sent):
        first = b"." if sent.startswith(b".") else b""
        return first + lf(sent).replace(b"\r", b"\n")


class CClient(PhpClient):
    """The library of UW IMAP, Alpine and PHP. A NUL ends a line: the rest of it is dropped.

    It stores what came of a message that is cut, and reports nothing.

    Its STLS speaks TLS 1.0 only, which this server does not. Without TLS it knows no PLAIN.
    """

    name = "c-client, by PHP's imap"
    needs = ("/usr/share/php8.2-imap/imap/imap.ini",)
    script = "c_client.php"
    misses_a_cut = True
    mechanisms = ("user", "LOGIN", "CRAM-MD5")
    securities = WITHOUT_STLS
    stored = staticmethod(cut_at_nul)


class Horde(PhpClient):
    """Leaves each line that begins with "." stuffed."""

    name = "Horde_Imap_Client"
    interpreter = ("php", "-d", "error_reporting=0")
    needs = ("/usr/share/php/Horde/Imap/Client/Socket/Pop3.php",)
    script = "horde.php"
    securities = ANY_SECURITY
    stored = staticmethod(stuffed)


class JakartaMail(CompiledClient):
    name = "Jakarta Mail"
    needs = ("javac", "/usr/share/java/jakarta-mail.jar")
    script = "FetchMail.java"
    jars = "/usr/share/java/jakarta-mail.jar:/usr/share/java/jakarta-activation.jar"
    package = "jakarta.mail"
    securities = ANY_SECURITY
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


class NodePop3(NodeClient):
    """Gives text: of messages that are not UTF-8 it makes what they are not.

    It leaves lines stuffed, and drops the last line end.
    """

    name = "node-pop3"
    package = "node-pop3"
    script = "node_pop3.js"
    securities = WITHOUT_STLS
    carries = staticmethod(is_utf8)
    stored = staticmethod(stuffed_without_end)


class NodePoplib(NodeClient):
    """Gives text; leaves lines stuffed, and drops the last line end.

    Its STLS needs what Node.js has no more; without TLS it begins that for each mechanism. In its
    answer to AUTH PLAIN is a "=" too many.
    """

    name = "poplib of npm"
    package = "poplib"
    script = "node_poplib.js"
    mechanisms = USER_OR_APOP
    securities = WITHOUT_STLS
    carries = staticmethod(bytes.isascii)
    stored = staticmethod(stuffed_without_end)


class Mailpop3(NodePoplib):
    name = "mailpop3 of npm"
    package = "mailpop3"


class Yapople(NodeClient):
    """Leaves lines stuffed, and drops the last line end; of a message without octets it makes a "."."""

    name = "yapople of npm"
    package = "yapople"
    script = "yapople.js"
    securities = WITHOUT_STLS

    def stored(self, sent):
        return stuffed_without_end(sent) if sent else b"."


class Pycurl(PythonClient):
    name = "pycurl"
    needs = ("/usr/lib/python3/dist-packages/pycurl.cpython-311-x86_64-linux-gnu.so",)
    script = "pycurl_fetch.py"
    securities = ANY_SECURITY
    mechanisms = ("user", "apop", "PLAIN", "LOGIN", "CRAM-MD5")
    stored = staticmethod(never_empty)


class Twisted(PythonClient):
    name = "Twisted"
    needs = ("/usr/lib/python3/dist-packages/twisted/mail/pop3client.py",)
    script = "twisted_fetch.py"
    securities = ANY_SECURITY
    mechanisms = USER_OR_APOP


class Pop3El(ScriptClient):
    """Writes an mbox, in which each CRLF is LF: that each message is in it is all that is looked at.

    It asks for all messages at once. In the clear it wants to ask somebody first. Where mail is left on the server,
    a message gets the field X-UIDL.
    """

    name = "Emacs's pop3.el"
    interpreter = ("emacs", "-Q", "--batch", "-l")
    script = "pop3.el"
    securities = ("stls", "pop3s")
    mechanisms = USER_OR_APOP

    def fetch(self, port, count, home, delete=False):
        (home / ".emacs.d").mkdir()
        self.run(port, home, delete)
        self.mbox = (home / "mbox").read_bytes()
        return [self.mbox] * count

    def stored_all(self, sent, _fetched, _home):
        return [self.mbox if self.has(lf(one)) else lf(one) for one in sent]

    def has(self, message):
        header, _, body = message.partition(b"\n\n")
        return header in self.mbox and body in self.mbox


class Racket(ScriptClient):
    """Gives text, in lines, header and body."""

    name = "Racket's net/pop3"
    interpreter = ("racket",)
    script = "racket_pop3.rkt"
    carries = staticmethod(is_utf8)

    def stored(self, sent):
        header, empty_line, body = lf(b"\r\n" + sent).partition(b"\n\n")
        header = header[1:] + (b"\n" if empty_line and header else b"")
        return header + b"\n" + body


class Etpan(CompiledClient):
    """A NUL ends a line: the rest of it is dropped. Its APOP makes a wrong digest on 64-bit machines."""

    name = "libetpan"
    small = True
    needs = ("cc", "/usr/include/libetpan/libetpan.h")
    script = "etpan.c"
    compiler = 'cc -O1 "$1" -o "$2" -letpan'
    securities = ANY_SECURITY
    mechanisms = ("user", "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
    stored = staticmethod(cut_at_nul)


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
    mechanisms = USER_OR_APOP

    def stored(self, sent):
        return lf(sent).removesuffix(b"\n")


class Camel(PythonClient):
    """Drops each CR; what it keeps has an octet before the message."""

    name = "Evolution's Camel"
    needs = ("/usr/lib/x86_64-linux-gnu/girepository-1.0/Camel-1.2.typelib",)
    script = "camel.py"
    securities = ANY_SECURITY
    mechanisms = ("user", "apop", "PLAIN", "LOGIN", "CRAM-MD5")

    def stored(self, sent):
        return b"#" + sent.replace(b"\r", b"")


LIBRARIES = [
    NetPop3, NetPop3Tls, MailPop3Client, MailTransportPop3, RubyNetPop, TclPop3, CClient, Horde, JakartaMail,
    JavaMail, NodePop3, NodePoplib, Mailpop3, Yapople, Pycurl, Twisted, Pop3El, Racket, Etpan, Poco, Netpop,
    Camel,
]
