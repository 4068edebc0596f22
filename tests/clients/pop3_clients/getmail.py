"""getmail6."""

import shutil

from .client import HOST, PASSWORD, USER_OR_APOP, WITHOUT_STLS, Client, call, delivered, delivery_script, private
from .mail import USER


class Getmail(Client):
    """Parses each message and writes it anew, with a Return-Path in front.

    What that makes of a message is asked of getmail's own class, given the very lines that were
    sent. Received and Delivered-To are switched off.

    getmail 6.18 misses the end of a delivery that ends before getmail waits for it (ForkingBase:
    the handler of SIGCHLD notifies a condition that nobody waits for yet), and then reports that
    "waiting child pid N timed out". So the delivery goes on until getmail is asleep.
    """

    UNTIL_ASLEEP = (
        "while read -r status < /proc/$PPID/stat; do\n"
        '    case $status in *") S "*) break ;; esac\n'
        "done 2>/dev/null\n"
        "exit 0\n"
    )

    name = "getmail"
    needs = ("getmail",)
    securities = WITHOUT_STLS
    mechanisms = USER_OR_APOP
    remembers = True

    def fetch(self, port, count, home, delete=False):
        script = delivery_script(home, self.UNTIL_ASLEEP)
        kind = "SimplePOP3SSLRetriever" if self.security else "SimplePOP3Retriever"
        configuration = private(
            home / "getmailrc",
            f"[retriever]\ntype = {kind}\nserver = {HOST}\nport = {port}\n"
            f"username = {USER}\npassword = {PASSWORD}\ntimeout = 60\nuse_apop = {self.mechanism == 'apop'}\n"
            f"[destination]\ntype = MDA_external\npath = {script}\nallow_root_commands = true\n"
            f"[options]\nread_all = {not self.only_new}\ndelete = {str(delete).lower()}\nverbose = 0\n"
            "delivered_to = false\nreceived = false\n",
        )
        call(["getmail", f"--getmaildir={home}", f"--rcfile={configuration}"], home)
        return delivered(home)

    def stored_all(self, sent, _fetched, home):
        folder = home / "sent"
        folder.mkdir()
        for number, one in enumerate(sent, 1):
            (folder / str(number)).write_bytes(one)
        script = home / "flatten.py"
        script.write_text(
            "import sys\n"
            "from getmailcore.message import Message\n"
            "for number in range(1, int(sys.argv[1]) + 1):\n"
            "    with open(f'sent/{number}', 'rb') as file:\n"
            "        lines = file.read().split(b'\\r\\n')\n"
            "    with open(f'sent/{number}', 'wb') as file:\n"
            "        file.write(Message(fromlines=lines).flatten(False, False))\n"
        )
        with open(shutil.which("getmail"), "rb") as program:
            interpreter = program.readline().decode().removeprefix("#!").split()
        call(interpreter + [script, len(sent)], home)
        return [(folder / str(number)).read_bytes() for number in range(1, len(sent) + 1)]
