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
{more}
# As much as Dovecot's configuration allows, and what the short sessions beside those need; the default protects
# against one greedy address.
[limits]
connections = 19200
connections_per_address = 19200

[log]
level = "info"
file = "{folder}/pop3d.log"

[users]
"""


def prepare(setting, program=None, more="", tls_port=None):
    """Writes the configuration; the command that serves by it. `more` are keys that stand before all tables."""
    text = CONFIGURATION.format(port=setting.port, mail=setting.mail, folder=setting.folder, more=more)
    text += "".join(f'{user} = "{setting.password}"\n' for user in setting.users)
    configuration = setting.folder / "pop3d.toml"
    configuration.write_text(text, encoding="ascii")
    configuration.chmod(0o600)
    (setting.folder / "state").mkdir()
    command = [str(program or release("pop3d")), "-c", str(configuration)]
    if tls_port is None:
        return command
    with open(configuration, "a", encoding="ascii") as file:
        file.write(f'\n[tls]\nlisten = ["127.0.0.1:{tls_port}"]\n')
    return [*command, "--tls-self-signed"]


def build(names, *options):
    """Builds packages, one at a time: together they would get features that the server alone has not."""
    for name in names:
        command = ["cargo", "build", "--release", "--quiet", "-p", name, *options]
        subprocess.run(command, cwd=REPOSITORY, check=True)


def release(name):
    """A program of the release build."""
    return target() / "release" / name


@functools.cache
def target():
    """The folder that cargo builds into."""
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
    output = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return Path(json.loads(output.stdout)["target_directory"])


def revision():
    """The commit that is checked out, and whether it is all of what is there."""

    def git(*words):
        output = subprocess.run(["git", *words], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        return output.stdout.strip()

    commit = git("rev-parse", "--short", "HEAD") or "without a commit"
    changed = ", with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return f"pop3d {commit}{changed}"
