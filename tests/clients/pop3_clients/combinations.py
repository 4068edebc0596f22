"""Which client fetches what, from which server, and what has to come of it."""

import contextlib
import tempfile
import time
from pathlib import Path

from .client import Failed, StillRunning
from .mail import LINE_ENDS, as_sent, files_in, store, with_line_ends
from .python_poplib import Poplib
from .report import compare
from .server import Server

# What the failing transform gives before it fails: more than the server holds back.
CUT_OCTETS = 100 * 1024
# Many messages, and a large one; how long a client may take for each is a limit against loops.
MANY = 5000
LARGE_OCTETS = 60 * 1024 * 1024


@contextlib.contextmanager
def serving(report, title, program, layout, messages, **options):
    """A server with these messages: itself, its folder for temporary files, and the maildrop."""
    with tempfile.TemporaryDirectory(prefix="pop3d-clients-") as name:
        folder = Path(name)
        maildrop = store(folder / "mail", layout, messages)
        server = Server(program, folder, **options)
        try:
            yield server, folder, maildrop
        finally:
            report.case(f"the server ends: {title}", server.stop)


def home_of(client, folder):
    """An empty home for a client that is installed."""
    missing = client.missing()
    if missing:
        raise Failed(f"not installed: {missing}")
    return Path(tempfile.mkdtemp(prefix="home-", dir=folder))


def fetch_and_compare(client, port, names, mail, folder, delete=False):
    """Fetches all, and raises `Failed` where it is not what was sent."""
    home = home_of(client, folder)
    sent = [as_sent(message) for message in mail]
    fetched = client.fetch(port, len(mail), home, delete)
    compare_stored(client, names, sent, fetched, home)


def compare_stored(client, names, sent, fetched, home):
    """Raises `Failed` where what was stored is not what the client makes of what was sent."""
    expected = client.stored_all(sent, fetched, home)
    if not client.ordered:
        pairs = sorted(zip(expected, names))
        expected, names = [one for one, _ in pairs], [name for _, name in pairs]
        fetched = sorted(fetched)
    compare(names, expected, fetched)


def by_what_they_carry(kinds, mail, names):
    """Clients with the messages that they get through: those who get through the same ones together."""
    groups = {}
    for kind in kinds:
        carried = tuple(at for at, message in enumerate(mail) if kind.carries(as_sent(message)))
        groups.setdefault(carried, []).append(kind)
    for carried, group in groups.items():
        yield group, [mail[at] for at in carried], [names[at] for at in carried]


def fetch_everything(report, program, clients, mail, names, line_end, layout, transform):
    """Every client fetches every message."""
    messages = [with_line_ends(message, LINE_ENDS[line_end]) for message in mail]
    title = f"{line_end}, {layout}, " + (f"-t {transform}" if transform else "no transform")
    kinds = [kind for kind in clients if None in kind.securities]
    for group, carried, their_names in by_what_they_carry(kinds, messages, names):
        service = serving(report, title, program, layout, carried, transform=transform)
        with service as (server, folder, maildrop):
            for client in [kind() for kind in group]:

                def fetch(client=client):
                    fetch_and_compare(client, server.port, their_names, carried, folder)
                    if len(files_in(maildrop)) != len(carried):
                        raise Failed("a message is gone from the maildrop")

                report.case(f"{client.name}: {title}", fetch)


def fetch_over_tls(report, program, clients, mail, names, security):
    """Clients that speak TLS fetch every message through it."""
    kinds = [kind for kind in clients if security in kind.securities]
    for group, carried, their_names in by_what_they_carry(kinds, mail, names):
        service = serving(report, security, program, "maildir", carried, tls=True)
        with service as (server, folder, _):
            for client in [kind(security) for kind in group]:

                def fetch(client=client):
                    port = server.port_for(security)
                    fetch_and_compare(client, port, their_names, carried, folder)

                report.case(f"{client.name}: {security}", fetch)


def log_in_by_each_mechanism(report, program, clients, mail, names):
    """Clients log in by each mechanism that they know, in the clear and in TLS."""
    title = "mechanisms"
    service = serving(report, title, program, "maildir", mail, tls=True, plain_secrets=True)
    with service as (server, folder, _):
        for client in [
            kind(security, mechanism)
            for kind in clients
            for mechanism in kind.mechanisms
            for security in kind.securities
        ]:

            def fetch(client=client):
                fetch_and_compare(client, server.port_for(client.security), names, mail, folder)

            security = client.security or "in the clear"
            report.case(f"{client.name}: {title}, {client.mechanism}, {security}", fetch)


def delete_everything(report, program, clients, mail, names, layout):
    """Clients that delete what they fetched leave an empty maildrop, and have all of it."""
    for kind in clients:
        if not kind.deletes:
            continue
        client = kind(kind.securities[0])
        title = f"{client.name} deletes: {layout}"
        ((_, carried, their_names),) = by_what_they_carry([kind], mail, names)
        service = serving(report, title, program, layout, carried, tls=bool(client.security))
        with service as (server, folder, maildrop):

            def fetch(client=client, carried=carried, their_names=their_names):
                port = server.port_for(client.security)
                fetch_and_compare(client, port, their_names, carried, folder, delete=True)
                left = files_in(maildrop)
                if left:
                    raise Failed(f"{len(left)} messages are still there, such as {left[0].name}")
                if Poplib().fetch(server.port, 0, folder):
                    raise Failed("the maildrop is still served with messages in it")

            report.case(title, fetch)


def leave_on_server(report, program, clients, mail, names):
    """Clients that remember unique-ids fetch in a second run what came since, and nothing twice."""
    came, comes = mail[: len(mail) // 2], mail[len(mail) // 2 :]
    for kind in clients:
        if not kind.remembers:
            continue
        title = f"{kind.name} leaves mail on the server"
        with serving(report, title, program, "flat", came) as (server, folder, maildrop):

            def fetch():
                client = kind(only_new=True)
                home = home_of(client, folder)
                client.fetch(server.port, len(came), home)
                for number, message in enumerate(comes, len(came) + 1):
                    (maildrop / f"{number:04}.eml").write_bytes(message)
                fetched = client.fetch(server.port, len(comes), home)
                compare_stored(client, names, [as_sent(one) for one in mail], fetched, home)
                if len(files_in(maildrop)) != len(mail):
                    raise Failed("a message is gone from the maildrop")

            report.case(title, fetch)


def cut_message(report, program, clients, layout, security=None):
    """A transform fails behind its first 100 KiB: an error for the client, and nothing deleted.

    A client that takes the end of a connection for the end of a message (`trusts_the_end`) cannot
    be told, and is left out.
    """
    message = b"Subject: kept\n\n" + b"a line of the message\n" * 20_000
    title = f"a cut message, {layout}" + (f", {security}" if security else "")
    with contextlib.ExitStack() as stack:
        # Shows that it was the message that failed, and not the login.
        begun = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pop3d-begun-"))) / "n"
        transform = f"echo begun >> '{begun}'; head -c {CUT_OCTETS}; exit 3"
        options = {"transform": transform, "tls": bool(security)}
        service = serving(report, title, program, layout, [message], **options)
        server, folder, maildrop = stack.enter_context(service)
        kinds = [kind for kind in clients if security in kind.securities and not kind.trusts_the_end]
        for client in [kind(security) for kind in kinds]:

            def fetch(client=client):
                home = home_of(client, folder)
                begun.unlink(missing_ok=True)
                try:
                    client.fetch(server.port_for(security), 1, home, delete=client.deletes)
                except Failed as error:
                    if isinstance(error, StillRunning):
                        raise
                else:
                    raise Failed("no error reported")
                if not begun.exists():
                    raise Failed("it did not come as far as the message")
                if [path.read_bytes() for path in files_in(maildrop)] != [message]:
                    raise Failed("the message is gone from the maildrop")

            report.case(f"{client.name}: {title}", fetch)


def large_message(report, program, clients):
    """A message of 60 MiB, and whether a client waits for anything but its octets."""
    line = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.+\n"
    message = b"Subject: large\n\n" + line * (LARGE_OCTETS // len(line))
    with serving(report, "large", program, "flat", [message]) as (server, folder, _):
        for client in [kind() for kind in clients if None in kind.securities]:

            def fetch(client=client):
                fetch_and_compare(client, server.port, ["large"], [message], folder)

            report.case(f"{client.name}: a message of 60 MiB", fetch)


def many_messages(report, program, clients):
    """5,000 messages."""
    messages = [b"Subject: %d\n\nbody %d\n" % (number, number) for number in range(MANY)]
    names = [str(number) for number in range(MANY)]
    with serving(report, "many", program, "maildir", messages) as (server, folder, _):
        for client in [kind() for kind in clients if None in kind.securities]:

            def fetch(client=client):
                fetch_and_compare(client, server.port, names, messages, folder)

            report.case(f"{client.name}: {MANY} messages", fetch)
