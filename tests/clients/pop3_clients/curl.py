"""curl, which stores what was sent."""

from .client import ANY_SECURITY, CLIENT_SECONDS, HOST, PASSWORD, Client, call, delivered, private
from .mail import USER


class Curl(Client):
    """Stores what was sent, octet for octet; of a message without octets it makes one line end."""

    name = "curl"
    needs = ("curl",)
    securities = ANY_SECURITY
    mechanisms = ("user", "apop", "PLAIN", "LOGIN", "CRAM-MD5")
    deletes = False

    def fetch(self, port, count, home, delete=False):
        (home / "out").mkdir()
        configuration = [f'user = "{USER}:{PASSWORD}"', "silent", "show-error", "globoff"]
        configuration += ["fail-early", f"max-time = {CLIENT_SECONDS}"]
        if self.security:
            configuration += ["ssl-reqd", "insecure"]
        if self.mechanism == "apop":
            configuration.append('login-options = "AUTH=+APOP"')
        elif self.mechanism != "user":
            configuration.append(f'login-options = "AUTH={self.mechanism}"')
        for number in range(1, count + 1):
            scheme = "pop3s" if self.security == "pop3s" else "pop3"
            configuration.append(f'url = "{scheme}://{HOST}:{port}/{number}"')
            configuration.append(f'output = "out/{number}"')
        curlrc = private(home / "curlrc", "\n".join(configuration) + "\n")
        call(["curl", "-q", "--noproxy", "*", "-K", curlrc], home)
        for number in range(1, count + 1):
            # No file is written where no octet came.
            (home / "out" / str(number)).touch()
        return delivered(home)

    def stored(self, sent):
        return sent or b"\r\n"
