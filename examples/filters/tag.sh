#!/bin/sh
# Puts "[ext] " before the subject. The header ends at the first empty line; what follows passes as it is.
LC_ALL=C exec sed '0,/^\r*$/s/^Subject: */&[ext] /I'
