"""The mail that is served: each group of users has maildrops of its own kind."""

import os
import subprocess

from . import pop3d


class Group:
    """Users who have the same sort of mail; where it is shared, all have the same messages in their maildrops."""

    def __init__(self, first_user, users, messages, octets, crlf=False, dotted=False, shared=False):
        self.first_user = first_user
        self.users = users
        self.messages = messages
        self.octets = octets
        self.crlf = crlf
        self.dotted = dotted
        self.shared = shared

    def names(self):
        return [f"user{number:04d}" for number in range(self.first_user, self.first_user + self.users)]


class Sizes:
    """How much there is of what is much: all of it, or so little that a try takes minutes."""

    def __init__(self, big_octets, is_quick):
        self.big_octets = big_octets
        self.idle = 2_000 if is_quick else 19_000
        self.idle_beside = [200, 1_000, 2_000] if is_quick else [1_000, 10_000, 19_000]
        self.slow = 500 if is_quick else 5_000
        self.large = 10_000 if is_quick else 100_000
        # The large one is between them in the curve, and measured for its own sake.
        self.grown = [100, 1_000, 20_000] if is_quick else [100, 10_000, 1_000_000]


def groups(sizes):
    """The groups by name; their users do not overlap."""
    found = {
        # As a mail transport agent leaves it: LF, and a line that begins with "." now and then.
        "lf": Group(0, 64, 20, 75 << 10, dotted=True),
        # As it goes over the wire: nothing to change.
        "crlf": Group(100, 64, 20, 75 << 10, crlf=True),
        "big-lf": Group(200, 4, 1, sizes.big_octets, dotted=True),
        "big-crlf": Group(210, 4, 1, sizes.big_octets, crlf=True),
        "noop": Group(300, 1, 1, 1000),
        # For sessions that do nothing: as many as a process may hold, with some descriptors to spare.
        "idle": Group(20000, sizes.idle, 1, 500),
        # What slow readers are at for the whole of a measurement.
        "slow": Group(40000, sizes.slow, 1, 64 << 20, dotted=True, shared=True),
        "large": Group(400, 1, sizes.large, 1000),
        "short": Group(1000, 1000, 5, 3000, dotted=True),
    }
    for place, messages in enumerate(sizes.grown):
        found[grown(messages)] = Group(410 + place, 1, messages, 100)
    return found


def grown(messages):
    """The name of the group whose maildrop has so many messages."""
    return f"grown-{messages}"


def make(folder, wanted):
    """Makes the maildrops of the groups that are wanted."""
    folder.mkdir()
    for group in wanted:
        command = [str(pop3d.release("mail")), str(folder)]
        users = 1 if group.shared else group.users
        command += ["--first-user", str(group.first_user), "--users", str(users)]
        command += ["--messages", str(group.messages), "--octets", str(group.octets)]
        command += ["--crlf"] * group.crlf + ["--dotted"] * group.dotted
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        names = group.names()
        if group.shared:
            tell_sizes(folder / names[0] / "cur")
        for name in names[users:]:
            link(folder / names[0], folder / name)


def tell_sizes(folder):
    """Has the names of messages with LF tell their sizes, stored and as sent, as mail transport agents do: else each
    first login would read all of the message."""
    for path in list(folder.iterdir()):
        size, lines = path.stat().st_size, 0
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                lines += block.count(b"\n")
        base, colon, flags = path.name.partition(":")
        path.rename(folder / f"{base},S={size},W={size + lines}{colon}{flags}")


def link(source, target):
    """A tree with the same files as another; `shutil.copytree` takes ten times as long for a million."""
    os.mkdir(target)
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                link(entry.path, os.path.join(target, entry.name))
            else:
                os.link(entry.path, os.path.join(target, entry.name))
