"""mpop."""

from .client import ANY_SECURITY, HOST, PASSWORD, Client, call, delivered, delivery_script, private
from .mail import USER


class Mpop(Client):
    """Turns each CRLF into LF; without its Received field all else stays."""

    name = "mpop"
    needs = ("mpop",)
    securities = ANY_SECURITY
    mechanisms = ("user", "apop", "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
    remembers = True

    def fetch(self, port, count, home, delete=False):
        script = delivery_script(home)
        tls = {"stls": "tls on\ntls_starttls on", "pop3s": "tls on\ntls_starttls off"}
        tls = tls[self.security] + "\ntls_certcheck off" if self.security else "tls off"
        configuration = private(
            home / "mpoprc",
            f"account default\nhost {HOST}\nport {port}\nuser {USER}\n"
            f'password "{PASSWORD}"\nauth {self.mechanism.lower()}\n{tls}\n'
            f"keep {'off' if delete else 'on'}\nreceived_header off\n"
            f"uidls_file {home}/uidls\ndelivery mda {script}\n",
        )
        call(["mpop", "-q", "-C", configuration], home)
        return delivered(home)
