"""The mail that is served: each group of users has maildrops of its own kind."""

import subprocess

from . import pop3d


class Group:
    """Users who have the same sort of mail."""

    def __init__(self, first_user, users, messages, octets, crlf=False, dotted=False):
        self.first_user = first_user
        self.users = users
        self.messages = messages
        self.octets = octets
        self.crlf = crlf
        self.dotted = dotted

    def names(self):
        return [f"user{number:04d}" for number in range(self.first_user, self.first_user + self.users)]


def groups(big_octets):
    """The groups by name; their users do not overlap."""
    return {
        # As a mail transport agent leaves it: LF, and a line that begins with "." now and then.
        "lf": Group(0, 64, 20, 75 << 10, dotted=True),
        # As it goes over the wire: nothing to change.
        "crlf": Group(100, 64, 20, 75 << 10, crlf=True),
        "big-lf": Group(200, 4, 1, big_octets, dotted=True),
        "big-crlf": Group(210, 4, 1, big_octets, crlf=True),
        "noop": Group(300, 1, 1, 1000),
        # For sessions that do nothing: as many as a process may hold, with some descriptors to spare.
        "idle": Group(20000, 19000, 1, 500),
        "large": Group(400, 1, 100_000, 1000),
        "short": Group(1000, 1000, 5, 3000, dotted=True),
    }


def make(folder, wanted):
    """Makes the maildrops of the groups that are wanted."""
    folder.mkdir()
    for group in wanted:
        command = [str(pop3d.program("mail")), str(folder)]
        command += ["--first-user", str(group.first_user), "--users", str(group.users)]
        command += ["--messages", str(group.messages), "--octets", str(group.octets)]
        command += ["--crlf"] * group.crlf + ["--dotted"] * group.dotted
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
