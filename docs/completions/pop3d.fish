# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_pop3d_global_optspecs
    string join \n u/user= m/mailbox= p/pop3-port= pop3s-port= tls-self-signed t/transform= T/timeout= P/peep-port= a/peep-admin= c/config= state= log-level= check h/help V/version
end

function __fish_pop3d_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_pop3d_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_pop3d_using_subcommand
    set -l cmd (__fish_pop3d_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c pop3d -n "__fish_pop3d_needs_command" -s u -l user -d 'An account; may be given several times. The password may contain ":". It can be seen in the list of processes: for more than a trial use the configuration file' -r
complete -c pop3d -n "__fish_pop3d_needs_command" -s m -l mailbox -d 'The mail folder: the mail of a user is in the folder of that name in it, a Maildir or plain files' -r -F
complete -c pop3d -n "__fish_pop3d_needs_command" -s p -l pop3-port -d 'The port, on all addresses of this machine; 0 takes any that is free [default: 1110]' -r
complete -c pop3d -n "__fish_pop3d_needs_command" -l pop3s-port -d 'The port of POP3 in TLS, on all addresses of this machine; 0 takes any that is free [default: 1995, where there is a certificate]' -r
complete -c pop3d -n "__fish_pop3d_needs_command" -s t -l transform -d 'A program that each message passes through, from its standard input to its standard output; may be given several times, which makes a chain. \'\': none' -r
complete -c pop3d -n "__fish_pop3d_needs_command" -s T -l timeout -d 'Seconds of silence after which a session is closed; 0: never [default: 600]' -r
complete -c pop3d -n "__fish_pop3d_needs_command" -s P -l peep-port -d 'The port of PEEP, the admin protocol, on the loopback addresses; 0 takes any that is free [default: 2110]. It is listened on only where there is an administrator' -r
complete -c pop3d -n "__fish_pop3d_needs_command" -s a -l peep-admin -d 'An administrator for PEEP; may be given several times. As with --user, it can be seen in the list of processes' -r
complete -c pop3d -n "__fish_pop3d_needs_command" -s c -l config -d 'The configuration file' -r -F
complete -c pop3d -n "__fish_pop3d_needs_command" -l state -d 'The folder for what outlives the process: accounts and settings that PEEP changed, statistics, indexes, locks, and PEEP\'s socket [default: $XDG_STATE_HOME/pop3d, or ~/.local/state/pop3d; /var/lib/pop3d as root]' -r -F
complete -c pop3d -n "__fish_pop3d_needs_command" -l log-level -d 'What is logged: off, error, warn, info, debug or trace [default: info]' -r
complete -c pop3d -n "__fish_pop3d_needs_command" -l tls-self-signed -d 'Makes a certificate that nobody vouches for, for a trial of TLS, where the configuration names none'
complete -c pop3d -n "__fish_pop3d_needs_command" -l check -d 'Reads the configuration, says what is wrong with it, and starts nothing'
complete -c pop3d -n "__fish_pop3d_needs_command" -s h -l help -d 'Print help'
complete -c pop3d -n "__fish_pop3d_needs_command" -s V -l version -d 'Print version'
complete -c pop3d -n "__fish_pop3d_needs_command" -f -a "passwd" -d 'Sets the password of an account in an accounts file, adds one, removes it, or checks its password'
complete -c pop3d -n "__fish_pop3d_needs_command" -f -a "transform" -d 'Tries transforms without a server and without clients'
complete -c pop3d -n "__fish_pop3d_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pop3d -n "__fish_pop3d_using_subcommand passwd" -s c -l config -d 'The configuration file; the accounts file that it names is changed' -r -F
complete -c pop3d -n "__fish_pop3d_using_subcommand passwd" -s f -l file -d 'The accounts file; made where there is none' -r -F
complete -c pop3d -n "__fish_pop3d_using_subcommand passwd" -l app -d 'Sets a further password, for a program, under a name; with --remove it is taken back' -r
complete -c pop3d -n "__fish_pop3d_using_subcommand passwd" -l scheme -d 'How the password is kept. SCRAM-SHA-256: for logins by SCRAM, also' -r -f -a "ARGON2ID\t''
ARGON2I\t''
BLF-CRYPT\t''
SCRYPT\t''
SHA256-CRYPT\t''
SHA512-CRYPT\t''
SCRAM-SHA-256\t''
SCRAM-SHA-1\t''"
complete -c pop3d -n "__fish_pop3d_using_subcommand passwd" -l remove -d 'Removes the account. The mail stays'
complete -c pop3d -n "__fish_pop3d_using_subcommand passwd" -l verify -d 'Changes nothing, and says whether the password is right: the status is 0 where it is, and 1 where it is not'
complete -c pop3d -n "__fish_pop3d_using_subcommand passwd" -l stdin -d 'Reads the password from the first line of standard input, and asks nobody'
complete -c pop3d -n "__fish_pop3d_using_subcommand passwd" -s h -l help -d 'Print help'
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and not __fish_seen_subcommand_from list check bench help" -s h -l help -d 'Print help'
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and not __fish_seen_subcommand_from list check bench help" -f -a "list" -d 'Lists the transforms of a configuration: name, kind, state, what each is made of, and why it failed'
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and not __fish_seen_subcommand_from list check bench help" -f -a "check" -d 'Passes messages through a chain, and shows what becomes of each: the difference, sizes and times. The status is 0 where all have passed, and 1 where one has failed'
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and not __fish_seen_subcommand_from list check bench help" -f -a "bench" -d 'Measures a chain beside none: octets and messages a second, and processor time'
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and not __fish_seen_subcommand_from list check bench help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and __fish_seen_subcommand_from list" -s c -l config -d 'The configuration file' -r -F
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and __fish_seen_subcommand_from list" -l json -d 'One JSON object for each, on a line'
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and __fish_seen_subcommand_from check" -s c -l config -d 'The configuration file; for a command or a file none is needed' -r -F
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and __fish_seen_subcommand_from check" -l user -d 'Whose mail the transforms are told that it is' -r
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and __fish_seen_subcommand_from check" -l maildir -d 'All messages of a Maildir, or of a folder of plain files' -r -F
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and __fish_seen_subcommand_from check" -l no-diff -d 'Shows no differences'
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and __fish_seen_subcommand_from check" -l json -d 'One JSON object for each message, and one for all, each on a line; no differences'
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and __fish_seen_subcommand_from bench" -s c -l config -d 'The configuration file; for a command or a file none is needed' -r -F
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and __fish_seen_subcommand_from bench" -l user -d 'Whose mail the transforms are told that it is' -r
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and __fish_seen_subcommand_from bench" -l rounds -d 'How often each is measured, the chain and none in turn; medians are shown' -r
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and __fish_seen_subcommand_from bench" -l time -d 'How long each is measured in a round' -r
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and __fish_seen_subcommand_from bench" -l at-once -d 'Messages under way at the same time' -r
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and __fish_seen_subcommand_from bench" -l json -d 'One JSON object'
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and __fish_seen_subcommand_from bench" -s h -l help -d 'Print help'
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and __fish_seen_subcommand_from help" -f -a "list" -d 'Lists the transforms of a configuration: name, kind, state, what each is made of, and why it failed'
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and __fish_seen_subcommand_from help" -f -a "check" -d 'Passes messages through a chain, and shows what becomes of each: the difference, sizes and times. The status is 0 where all have passed, and 1 where one has failed'
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and __fish_seen_subcommand_from help" -f -a "bench" -d 'Measures a chain beside none: octets and messages a second, and processor time'
complete -c pop3d -n "__fish_pop3d_using_subcommand transform; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pop3d -n "__fish_pop3d_using_subcommand help; and not __fish_seen_subcommand_from passwd transform help" -f -a "passwd" -d 'Sets the password of an account in an accounts file, adds one, removes it, or checks its password'
complete -c pop3d -n "__fish_pop3d_using_subcommand help; and not __fish_seen_subcommand_from passwd transform help" -f -a "transform" -d 'Tries transforms without a server and without clients'
complete -c pop3d -n "__fish_pop3d_using_subcommand help; and not __fish_seen_subcommand_from passwd transform help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pop3d -n "__fish_pop3d_using_subcommand help; and __fish_seen_subcommand_from transform" -f -a "list" -d 'Lists the transforms of a configuration: name, kind, state, what each is made of, and why it failed'
complete -c pop3d -n "__fish_pop3d_using_subcommand help; and __fish_seen_subcommand_from transform" -f -a "check" -d 'Passes messages through a chain, and shows what becomes of each: the difference, sizes and times. The status is 0 where all have passed, and 1 where one has failed'
complete -c pop3d -n "__fish_pop3d_using_subcommand help; and __fish_seen_subcommand_from transform" -f -a "bench" -d 'Measures a chain beside none: octets and messages a second, and processor time'
