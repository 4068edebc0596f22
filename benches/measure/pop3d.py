"""The server of this repository, release build."""

import functools
import json
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

CONFIGURATION = """\
listen = ["127.0.0.1:{port}"]
mailbox = "{mail}"
state = "{folder}/state"

# As much as Dovecot's configuration allows; the default protects against one greedy address.
[limits]
connections = 19000
connections_per_address = 19000

[log]
level = "info"
file = "{folder}/pop3d.log"

[users]
"""


def prepare(setting):
    """Writes the configuration; the command that serves by it."""
    text = CONFIGURATION.format(port=setting.port, mail=setting.mail, folder=setting.folder)
    text += "".join(f'{user} = "{setting.password}"\n' for user in setting.users)
    configuration = setting.folder / "pop3d.toml"
    configuration.write_text(text, encoding="ascii")
    (setting.folder / "state").mkdir()
    return [str(program("pop3d")), "-c", str(configuration)]


def build(names):
    """Builds packages, one at a time: together they would get features that the server alone has not."""
    for name in names:
        subprocess.run(["cargo", "build", "--release", "--quiet", "-p", name], cwd=REPOSITORY, check=True)


def program(name):
    """A program of the release build."""
    return target() / "release" / name


@functools.cache
def target():
    """The folder that cargo builds into."""
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
    output = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return Path(json.loads(output.stdout)["target_directory"])


def version():
    """The commit that is measured, and whether it is all of what is measured."""

    def git(*words):
        output = subprocess.run(["git", *words], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        return output.stdout.strip()

    commit = git("rev-parse", "--short", "HEAD") or "without a commit"
    changed = ", with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return f"pop3d {commit}{changed}"
