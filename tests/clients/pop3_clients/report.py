"""The lines on standard output, and what is a difference."""

import os
import time

from .client import Failed


def compare(names, expected, fetched):
    """Raises `Failed` with the first difference and how many messages differ."""
    wrong = [
        number
        for number, (one, other) in enumerate(zip(expected, fetched), 1)
        if one != other
    ]
    if wrong:
        number = wrong[0]
        one, other = expected[number - 1], fetched[number - 1]
        at = len(os.path.commonprefix([one, other]))
        others = " ".join(f"{n}={names[n - 1]}" for n in wrong[:12])
        raise Failed(
            f"{len(wrong)} of {len(expected)} differ ({others}); message {number} at octet {at}:"
            f" expected {one[at:at + 40]!r}, stored {other[at:at + 40]!r}"
        )
    if len(expected) != len(fetched):
        raise Failed(f"{len(fetched)} messages stored, not {len(expected)}")


class Report:
    """The lines on standard output, and their count."""

    def __init__(self):
        self.passed = self.failed = 0

    def case(self, title, action):
        """Runs one combination and prints its line."""
        started = time.monotonic()
        try:
            action()
        except Exception as error:  # Whatever it was, the other combinations still run.
            self.failed += 1
            kind = "" if isinstance(error, Failed) else f"{type(error).__name__}: "
            print(f"FAILED  {title}: {kind}{error}", flush=True)
        else:
            self.passed += 1
            print(f"ok      {title} ({time.monotonic() - started:.1f} s)", flush=True)
