"""The bare loop: prepared replies, the bound of what any server can do on this machine."""

from . import pop3d


def prepare(setting, way):
    """The command that serves."""
    command = [str(pop3d.release("bare")), str(setting.mail), "--listen", f"127.0.0.1:{setting.port}"]
    return command + ["--by", way]
