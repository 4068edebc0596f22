#compdef pop3d

autoload -U is-at-least

_pop3d() {
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
'*-u+[An account; may be given several times. The password may contain "\:". It can be seen in the list of processes\: for more than a trial use the configuration file]:NAME:PASSWORD:_default' \
'*--user=[An account; may be given several times. The password may contain "\:". It can be seen in the list of processes\: for more than a trial use the configuration file]:NAME:PASSWORD:_default' \
'-m+[The mail folder\: the mail of a user is in the folder of that name in it, a Maildir or plain files]:FOLDER:_files' \
'--mailbox=[The mail folder\: the mail of a user is in the folder of that name in it, a Maildir or plain files]:FOLDER:_files' \
'-p+[The port, on all addresses of this machine; 0 takes any that is free \[default\: 1110\]]:PORT:_default' \
'--pop3-port=[The port, on all addresses of this machine; 0 takes any that is free \[default\: 1110\]]:PORT:_default' \
'*-t+[A program that each message passes through, from its standard input to its standard output; may be given several times, which makes a chain. '\'''\''\: none]:COMMAND:_default' \
'*--transform=[A program that each message passes through, from its standard input to its standard output; may be given several times, which makes a chain. '\'''\''\: none]:COMMAND:_default' \
'-T+[Seconds of silence after which a session is closed; 0\: never \[default\: 600\]]:SECONDS:_default' \
'--timeout=[Seconds of silence after which a session is closed; 0\: never \[default\: 600\]]:SECONDS:_default' \
'-P+[The port of PEEP, the admin protocol, on the loopback addresses; 0 takes any that is free \[default\: 2110\]. It is listened on only where there is an administrator]:PORT:_default' \
'--peep-port=[The port of PEEP, the admin protocol, on the loopback addresses; 0 takes any that is free \[default\: 2110\]. It is listened on only where there is an administrator]:PORT:_default' \
'*-a+[An administrator for PEEP; may be given several times. As with --user, it can be seen in the list of processes]:NAME:PASSWORD:_default' \
'*--peep-admin=[An administrator for PEEP; may be given several times. As with --user, it can be seen in the list of processes]:NAME:PASSWORD:_default' \
'-c+[The configuration file]:FILE.toml:_files' \
'--config=[The configuration file]:FILE.toml:_files' \
'--state=[The folder for what outlives the process\: accounts and settings that PEEP changed, statistics, indexes, locks, and PEEP'\''s socket \[default\: \$XDG_STATE_HOME/pop3d, or /var/lib/pop3d as root\]]:FOLDER:_files' \
'--log-level=[What is logged\: error, warn, info, debug or trace \[default\: info\]]:LEVEL:_default' \
'--check[Reads the configuration, says what is wrong with it, and starts nothing]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
}

(( $+functions[_pop3d_commands] )) ||
_pop3d_commands() {
    local commands; commands=()
    _describe -t commands 'pop3d commands' commands "$@"
}

if [ "$funcstack[1]" = "_pop3d" ]; then
    _pop3d "$@"
else
    compdef _pop3d pop3d
fi
