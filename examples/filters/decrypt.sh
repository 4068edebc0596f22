#!/bin/sh
# Decrypts mail whose body is one armoured PGP message; other mail passes as it is. The header stays. The message is
# kept in a file first, so that nothing is written where gpg fails: the client hears -ERR and the mail stays.
set -eu
umask 077
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# A shell such as dash runs that at a signal only if it exits by itself.
trap 'exit 143' HUP INT TERM
cat >"$folder/message"

body() {
    sed '0,/^\r*$/d' "$folder/message"
}

# Whether the body is one armoured message and nothing else: what stands below its checksum, gpg drops without a word.
is_encrypted() {
    body | LC_ALL=C awk '
        { sub(/[ \t\r]+$/, "") }
        $0 == "" { if (at == "header") at = "data"; next }
        at == "" && $0 == "-----BEGIN PGP MESSAGE-----" { at = "header"; next }
        at == "header" && /^[A-Za-z]+:/ { next }
        (at == "header" || at == "data") && /^[A-Za-z0-9+\/]+$/ { at = "data"; next }
        (at == "header" || at == "data") && /^[A-Za-z0-9+\/]+==?$/ { at = "padding"; next }
        (at == "data" || at == "padding") && /^=[A-Za-z0-9+\/]+$/ { at = "checksum"; next }
        (at == "data" || at == "padding" || at == "checksum") && $0 == "-----END PGP MESSAGE-----" { at = "end"; next }
        { at = "more"; exit }
        END { exit at != "end" }
    '
}

if is_encrypted; then
    body | gpg --batch --quiet --decrypt >"$folder/plain"
    sed '/^\r*$/q' "$folder/message"
    cat "$folder/plain"
else
    cat "$folder/message"
fi
