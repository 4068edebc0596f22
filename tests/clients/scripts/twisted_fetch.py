"""Twisted's POP3Client."""
import sys

from twisted.internet import defer, endpoints, protocol, reactor, ssl
from twisted.mail.pop3client import POP3Client

host, port, user, password, delete, security, mechanism = sys.argv[1:]
status = 1


@defer.inlineCallbacks
def fetch(client):
    global status
    try:
        if security == "stls":
            yield client.startTLS(ssl.CertificateOptions())
        yield client.login(user.encode(), password.encode())
        count, _ = yield client.stat()
        for number in range(count):
            with open(f"out/{number + 1}", "wb") as file:
                yield client.retrieve(number, lambda line: file.write(line + b"\r\n"))
            if delete == "1":
                yield client.delete(number)
        yield client.quit()
        status = 0
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
    reactor.stop()


class Client(POP3Client):
    allowInsecureLogin = mechanism == "user"
    timeout = 60
    # Longer lines close the connection.
    MAX_LENGTH = 1 << 27

    def serverGreeting(self, greeting):
        fetch(self)


address = f"ssl:{host}:{port}" if security == "pop3s" else f"tcp:{host}:{port}"
if security == "pop3s":
    endpoint = endpoints.SSL4ClientEndpoint(reactor, host, int(port), ssl.CertificateOptions())
else:
    endpoint = endpoints.TCP4ClientEndpoint(reactor, host, int(port))
endpoint.connect(protocol.Factory.forProtocol(Client)).addErrback(lambda _: reactor.stop())
reactor.run()
sys.exit(status)
