#!/usr/bin/env python3
# Puts "[ext] " before the subject, line by line in octets, for mail is not text of one charset.
import re
import shutil
import sys

source, sink = sys.stdin.buffer, sys.stdout.buffer
for line in source:
    sink.write(re.sub(rb"(?i)^(subject: *)", rb"\1[ext] ", line))
    if not line.strip(b"\r\n"):
        break
shutil.copyfileobj(source, sink)
