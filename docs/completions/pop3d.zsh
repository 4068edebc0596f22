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
'--pop3s-port=[The port of POP3 in TLS, on all addresses of this machine; 0 takes any that is free \[default\: 1995, where there is a certificate\]]:PORT:_default' \
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
'--state=[The folder for what outlives the process\: accounts and settings that PEEP changed, statistics, indexes, locks, and PEEP'\''s socket \[default\: \$XDG_STATE_HOME/pop3d, or ~/.local/state/pop3d; /var/lib/pop3d as root\]]:FOLDER:_files' \
'--log-level=[What is logged\: off, error, warn, info, debug or trace \[default\: info\]]:LEVEL:_default' \
'--tls-self-signed[Makes a certificate that nobody vouches for, for a trial of TLS, where the configuration names none]' \
'--check[Reads the configuration, says what is wrong with it, and starts nothing]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_pop3d_commands" \
"*::: :->pop3d" \
&& ret=0
    case $state in
    (pop3d)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:pop3d-command-$line[1]:"
        case $line[1] in
            (passwd)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration file; the accounts file that it names is changed]:FILE.toml:_files' \
'--config=[The configuration file; the accounts file that it names is changed]:FILE.toml:_files' \
'-f+[The accounts file; made where there is none]:FILE:_files' \
'--file=[The accounts file; made where there is none]:FILE:_files' \
'(--verify)--app=[Sets a further password, for a program, under a name; with --remove it is taken back]:NAME:_default' \
'--scheme=[How the password is kept. SCRAM-SHA-256\: for logins by SCRAM, also]:SCHEME:(ARGON2ID ARGON2I BLF-CRYPT SCRYPT SHA256-CRYPT SHA512-CRYPT SCRAM-SHA-256 SCRAM-SHA-1)' \
'(--verify --stdin --scheme)--remove[Removes the account. The mail stays]' \
'(--scheme)--verify[Changes nothing, and says whether the password is right\: the status is 0 where it is, and 1 where it is not]' \
'--stdin[Reads the password from the first line of standard input, and asks nobody]' \
'-h[Print help]' \
'--help[Print help]' \
':user -- Whose account:_default' \
&& ret=0
;;
(transform)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
":: :_pop3d__subcmd__transform_commands" \
"*::: :->transform" \
&& ret=0

    case $state in
    (transform)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:pop3d-transform-command-$line[1]:"
        case $line[1] in
            (list)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration file]:FILE.toml:_files' \
'--config=[The configuration file]:FILE.toml:_files' \
'--json[One JSON object for each, on a line]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(check)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration file; for a command or a file none is needed]:FILE.toml:_files' \
'--config=[The configuration file; for a command or a file none is needed]:FILE.toml:_files' \
'--user=[Whose mail the transforms are told that it is]:NAME:_default' \
'()--maildir=[All messages of a Maildir, or of a folder of plain files]:FOLDER:_files' \
'--no-diff[Shows no differences]' \
'--json[One JSON object for each message, and one for all, each on a line; no differences]' \
'-h[Print help]' \
'--help[Print help]' \
':text -- Names, .so and .wasm files, joined by commas; or a command as it is, run in this folder. none\: no transform; default\: the chain of the configuration:_default' \
'*::messages -- Files, folders, or "-" for a message on standard input. Without any\: messages that are built in:_files' \
&& ret=0
;;
(bench)
_arguments "${_arguments_options[@]}" : \
'-c+[The configuration file; for a command or a file none is needed]:FILE.toml:_files' \
'--config=[The configuration file; for a command or a file none is needed]:FILE.toml:_files' \
'--user=[Whose mail the transforms are told that it is]:NAME:_default' \
'--rounds=[How often each is measured, the chain and none in turn; medians are shown]:COUNT:_default' \
'--time=[How long each is measured in a round]:TIME:_default' \
'--at-once=[Messages under way at the same time]:COUNT:_default' \
'--json[One JSON object]' \
'-h[Print help]' \
'--help[Print help]' \
':text -- Names, .so and .wasm files, joined by commas; or a command as it is, run in this folder. none\: no transform; default\: the chain of the configuration:_default' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_pop3d__subcmd__transform__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:pop3d-transform-help-command-$line[1]:"
        case $line[1] in
            (list)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(check)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(bench)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_pop3d__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:pop3d-help-command-$line[1]:"
        case $line[1] in
            (passwd)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(transform)
_arguments "${_arguments_options[@]}" : \
":: :_pop3d__subcmd__help__subcmd__transform_commands" \
"*::: :->transform" \
&& ret=0

    case $state in
    (transform)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:pop3d-help-transform-command-$line[1]:"
        case $line[1] in
            (list)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(check)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(bench)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
}

(( $+functions[_pop3d_commands] )) ||
_pop3d_commands() {
    local commands; commands=(
'passwd:Sets the password of an account in an accounts file, adds one, removes it, or checks its password' \
'transform:Tries transforms without a server and without clients' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'pop3d commands' commands "$@"
}
(( $+functions[_pop3d__subcmd__help_commands] )) ||
_pop3d__subcmd__help_commands() {
    local commands; commands=(
'passwd:Sets the password of an account in an accounts file, adds one, removes it, or checks its password' \
'transform:Tries transforms without a server and without clients' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'pop3d help commands' commands "$@"
}
(( $+functions[_pop3d__subcmd__help__subcmd__help_commands] )) ||
_pop3d__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'pop3d help help commands' commands "$@"
}
(( $+functions[_pop3d__subcmd__help__subcmd__passwd_commands] )) ||
_pop3d__subcmd__help__subcmd__passwd_commands() {
    local commands; commands=()
    _describe -t commands 'pop3d help passwd commands' commands "$@"
}
(( $+functions[_pop3d__subcmd__help__subcmd__transform_commands] )) ||
_pop3d__subcmd__help__subcmd__transform_commands() {
    local commands; commands=(
'list:Lists the transforms of a configuration\: name, kind, state, what each is made of, and why it failed' \
'check:Passes messages through a chain, and shows what becomes of each\: the difference, sizes and times. The status is 0 where all have passed, and 1 where one has failed' \
'bench:Measures a chain beside none\: octets and messages a second, and processor time' \
    )
    _describe -t commands 'pop3d help transform commands' commands "$@"
}
(( $+functions[_pop3d__subcmd__help__subcmd__transform__subcmd__bench_commands] )) ||
_pop3d__subcmd__help__subcmd__transform__subcmd__bench_commands() {
    local commands; commands=()
    _describe -t commands 'pop3d help transform bench commands' commands "$@"
}
(( $+functions[_pop3d__subcmd__help__subcmd__transform__subcmd__check_commands] )) ||
_pop3d__subcmd__help__subcmd__transform__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'pop3d help transform check commands' commands "$@"
}
(( $+functions[_pop3d__subcmd__help__subcmd__transform__subcmd__list_commands] )) ||
_pop3d__subcmd__help__subcmd__transform__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'pop3d help transform list commands' commands "$@"
}
(( $+functions[_pop3d__subcmd__passwd_commands] )) ||
_pop3d__subcmd__passwd_commands() {
    local commands; commands=()
    _describe -t commands 'pop3d passwd commands' commands "$@"
}
(( $+functions[_pop3d__subcmd__transform_commands] )) ||
_pop3d__subcmd__transform_commands() {
    local commands; commands=(
'list:Lists the transforms of a configuration\: name, kind, state, what each is made of, and why it failed' \
'check:Passes messages through a chain, and shows what becomes of each\: the difference, sizes and times. The status is 0 where all have passed, and 1 where one has failed' \
'bench:Measures a chain beside none\: octets and messages a second, and processor time' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'pop3d transform commands' commands "$@"
}
(( $+functions[_pop3d__subcmd__transform__subcmd__bench_commands] )) ||
_pop3d__subcmd__transform__subcmd__bench_commands() {
    local commands; commands=()
    _describe -t commands 'pop3d transform bench commands' commands "$@"
}
(( $+functions[_pop3d__subcmd__transform__subcmd__check_commands] )) ||
_pop3d__subcmd__transform__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'pop3d transform check commands' commands "$@"
}
(( $+functions[_pop3d__subcmd__transform__subcmd__help_commands] )) ||
_pop3d__subcmd__transform__subcmd__help_commands() {
    local commands; commands=(
'list:Lists the transforms of a configuration\: name, kind, state, what each is made of, and why it failed' \
'check:Passes messages through a chain, and shows what becomes of each\: the difference, sizes and times. The status is 0 where all have passed, and 1 where one has failed' \
'bench:Measures a chain beside none\: octets and messages a second, and processor time' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'pop3d transform help commands' commands "$@"
}
(( $+functions[_pop3d__subcmd__transform__subcmd__help__subcmd__bench_commands] )) ||
_pop3d__subcmd__transform__subcmd__help__subcmd__bench_commands() {
    local commands; commands=()
    _describe -t commands 'pop3d transform help bench commands' commands "$@"
}
(( $+functions[_pop3d__subcmd__transform__subcmd__help__subcmd__check_commands] )) ||
_pop3d__subcmd__transform__subcmd__help__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'pop3d transform help check commands' commands "$@"
}
(( $+functions[_pop3d__subcmd__transform__subcmd__help__subcmd__help_commands] )) ||
_pop3d__subcmd__transform__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'pop3d transform help help commands' commands "$@"
}
(( $+functions[_pop3d__subcmd__transform__subcmd__help__subcmd__list_commands] )) ||
_pop3d__subcmd__transform__subcmd__help__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'pop3d transform help list commands' commands "$@"
}
(( $+functions[_pop3d__subcmd__transform__subcmd__list_commands] )) ||
_pop3d__subcmd__transform__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'pop3d transform list commands' commands "$@"
}

if [ "$funcstack[1]" = "_pop3d" ]; then
    _pop3d "$@"
else
    compdef _pop3d pop3d
fi
