#!/bin/sh
# Decrypts mail whose body is one armoured PGP message; other mail passes as it is. The header stays. The message is
# kept in a file first, so that nothing is written where gpg fails: the client hears -ERR and the mail stays.
set -eu
umask 077
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/message"
if sed '0,/^\r*$/d' "$folder/message" | LC_ALL=C grep -m1 '[^[:space:]]' | grep -q '^-----BEGIN PGP MESSAGE-----'; then
    sed '0,/^\r*$/d' "$folder/message" | gpg --batch --quiet --decrypt >"$folder/plain"
    sed '/^\r*$/q' "$folder/message"
    cat "$folder/plain"
else
    cat "$folder/message"
fi
