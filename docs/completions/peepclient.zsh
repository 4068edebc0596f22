#compdef peepclient

autoload -U is-at-least

_peepclient() {
    typeset -A opt_args
    typeset -a _arguments_options
    local ret=1

    if is-at-least 5.2; then
        _arguments_options=(-s -S -C)
    else
        _arguments_options=(-s -C)
    fi

    local context curcontext="$curcontext" state line
    _arguments "${_arguments_options[@]}" : \
'-a+[The host of the server, by name or address \[default\: localhost\]]:HOST:_hosts' \
'--address=[The host of the server, by name or address \[default\: localhost\]]:HOST:_hosts' \
'-p+[Its port \[default\: 2110, in TLS 2995\]]:PORT:_default' \
'--port=[Its port \[default\: 2110, in TLS 2995\]]:PORT:_default' \
'-u+[The administrator]:USER:_default' \
'--user=[The administrator]:USER:_default' \
'(--password-file)--pass=[The administrator'\''s password. It can be seen in the list of processes\: better is a file, the environment (PEEP_PASSWORD), or to be asked]:PASSWORD:_default' \
'--password-file=[A file whose first line is the password]:FILE:_files' \
'(-a --address -p --port -u --user --pass --password-file --tls --tls-ca --tls-name --tls-fingerprint --tls-insecure --tls-certificate --tls-key)-s+[The Unix socket of a server on this machine, for root and the user of the server \[default\: /var/lib/pop3d/peep.sock as root, else \$XDG_STATE_HOME/pop3d/peep.sock\]]:PATH:_files' \
'(-a --address -p --port -u --user --pass --password-file --tls --tls-ca --tls-name --tls-fingerprint --tls-insecure --tls-certificate --tls-key)--socket=[The Unix socket of a server on this machine, for root and the user of the server \[default\: /var/lib/pop3d/peep.sock as root, else \$XDG_STATE_HOME/pop3d/peep.sock\]]:PATH:_files' \
'--tls-ca=[The file of the authorities that may vouch for the server, as PEM\: those of the system count no more]:FILE:_files' \
'--tls-name=[The name that its certificate has to have, where that is not the host'\''s]:NAME:_default' \
'(--tls-ca --tls-name)--tls-fingerprint=[The SHA-256 of its certificate\: then no one has to vouch for it, and its name does not matter]:SHA256:_default' \
'--tls-certificate=[The administrator'\''s own certificate, as PEM, where the server asks for one]:FILE:_files' \
'--tls-key=[Its key, as PEM \[default\: in the file of the certificate\]]:FILE:_files' \
'--tls[Connects in TLS. The server has to have a certificate of the host'\''s name that an authority of this system vouches for; the options below ask for something else, and for TLS too]' \
'(--tls-ca --tls-name --tls-fingerprint)--tls-insecure[Takes any certificate. Whoever stands in between reads along, the password too\: for trials only]' \
'-j[Answers in JSON\: one object or array for each command, each on one line]' \
'--json[Answers in JSON\: one object or array for each command, each on one line]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
'-V[Print version]' \
'--version[Print version]' \
'*::command -- "top", or a command such as "add user bob secret"; several with ";" between them:(add all amount bans bytes capa connection connections current delete emails error help kick level load log logged maildir max option password program quit reload removed retrieved sessions set statistics stats time timeout top transform transforms unban unload uptime user users version)' \
&& ret=0
}

(( $+functions[_peepclient_commands] )) ||
_peepclient_commands() {
    local commands; commands=()
    _describe -t commands 'peepclient commands' commands "$@"
}

if [ "$funcstack[1]" = "_peepclient" ]; then
    _peepclient "$@"
else
    compdef _peepclient peepclient
fi
