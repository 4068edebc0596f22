"""The mail that is served, and how it has to be sent."""

import os
import re
from pathlib import Path

LINE_ENDS = {"LF": b"\n", "CRLF": b"\r\n"}
ROOT = Path(__file__).resolve().parents[3]
# Whose maildrop it is.
USER = "user"


def hard_messages():
    """Messages at which servers and clients have failed."""
    head = b"From: a@example.org\nTo: user@example.org\nSubject: %s\n\n"
    return [
        ("first-octet-dot", b".hidden: yes\nSubject: x\n\nbody\n"),
        ("only-a-dot", b"."),
        ("no-final-line-end", head % b"no final line end" + b"one\ntwo"),
        ("no-final-line-end-dot", head % b"dot without line end" + b"one\n."),
        ("empty", b""),
        ("one-line-end", b"\n"),
        ("no-body", b"Subject: header only\n"),
        ("nul", head % b"NUL" + b"a\0b\n\0\n\0\0end\n" + b"x\0" * 5000 + b"\n"),
        ("lone-cr", head % b"lone CR" + b"a\rb\n\rc\nd\r.\re\n"),
        ("doubled-cr", head % b"two CR" + b"a\r\r\nb\r\r\r\n.\r\r\n"),
        ("final-cr", head % b"CR at the end" + b"one\r"),
        ("8-bit", head % b"8-bit" + bytes(range(128, 256)) * 40 + b"\n\xff\xfe\n"),
        ("long-line", head % b"long line" + b"0123456789" * 20_000 + b"\nend\n"),
        ("long-line-of-dots", head % b"dots" + b"." * 200_000 + b"\n.\n"),
        ("dots", head % b"dots" + b".\n..\n.\n...x\n. \n.\n\n.\n"),
        ("empty-lines", head % b"empty lines" + b"\n" * 3000),
        ("many-dots", head % b"many dots" + b".\n" * 40_000),
        ("from-lines", head % b"From lines" + b"From me\n>From you\n"),
    ]


def corpus():
    """The messages: name and octets."""
    candidates = [
        os.environ.get("POP3D_CORPUS", ""),
        str(ROOT.parent / "shared" / "corpus"),
        str(ROOT / "examples" / "mail"),
    ]
    for candidate in candidates:
        folder = Path(candidate)
        if candidate and folder.is_dir():
            files = sorted(
                path
                for path in folder.rglob("*")
                if path.is_file() and path.name != "README.md" and not path.is_symlink()
            )
            return [(path.name, path.read_bytes()) for path in files]
    return []


def with_line_ends(message, line_end):
    """The message with each LF or CRLF turned into `line_end`; a lone CR stays."""
    return re.sub(rb"\r?\n", lambda _: line_end, message)


def as_sent(message):
    """The message as the server has to send it, before byte-stuffing."""
    sent = re.sub(rb"(?<!\r)\n", b"\r\n", message)
    if sent and not sent.endswith(b"\r\n"):
        sent += b"\r\n"
    return sent


def lf(sent):
    """What is left where a client turns each CRLF into LF."""
    return sent.replace(b"\r\n", b"\n")


def store(mail, layout, messages):
    """Writes the messages as the maildrop of the user, named so that their order is the list's."""
    folder = mail / USER
    if layout == "maildir":
        for name in ("tmp", "new", "cur"):
            (folder / name).mkdir(parents=True)
    else:
        folder.mkdir(parents=True)
    for number, message in enumerate(messages, 1):
        if layout == "flat":
            path = folder / f"{number:04}.eml"
        elif number % 2:
            path = folder / "new" / f"{1700000000 + number}.M{number}P1.host"
        else:
            path = folder / "cur" / f"{1700000000 + number}.M{number}P1.host:2,S"
        path.write_bytes(message)
    return folder


def files_in(folder):
    """Every file of a maildrop."""
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
