"""Puts "[ext] " before the subject, as a component. Octets come in pieces cut anywhere, so that the header is held until
the subject is there."""

import re

from wit_world import exports
from wit_world.imports import host
from wit_world.imports.types import Flow

SUBJECT = re.compile(rb"^subject:", re.IGNORECASE | re.MULTILINE)
END = re.compile(rb"^\r?\n", re.MULTILINE)


class Filter(exports.Filter):
    # Each call has an object of its own; the message has the class.
    held = b""

    def start(self, msg, options):
        return Flow.MORE

    def push(self, chunk):
        held = Filter.held + chunk
        subject, end = SUBJECT.search(held), END.search(held)
        if subject and (not end or subject.start() < end.start()):
            held = held[: subject.end()] + b" [ext]" + held[subject.end() :]
        elif not end:
            Filter.held = held
            return Flow.MORE
        # The rest needs no look: the server copies it.
        host.write(held)
        Filter.held = b""
        return Flow.PASS

    def finish(self):
        host.write(Filter.held)
