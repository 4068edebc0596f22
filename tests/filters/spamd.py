"""Stands in for SpamAssassin's daemon in a test: says of each message that spamc sends that it is spam."""
import socketserver


class Check(socketserver.StreamRequestHandler):
    def handle(self):
        size = None
        for line in iter(self.rfile.readline, b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                size = int(value)
        message = b"X-Spam-Flag: YES\r\n" + self.rfile.read(size)
        self.wfile.write(b"SPAMD/1.1 0 EX_OK\r\nContent-length: %d\r\nSpam: True ; 7.3 / 5.0\r\n\r\n" % len(message) + message)


with socketserver.TCPServer(("127.0.0.1", 0), Check) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
