complete -c pop3d -s u -l user -d 'An account; may be given several times. The password may contain ":". It can be seen in the list of processes: for more than a trial use the configuration file' -r
complete -c pop3d -s m -l mailbox -d 'The mail folder: the mail of a user is in the folder of that name in it, a Maildir or plain files' -r -F
complete -c pop3d -s p -l pop3-port -d 'The port, on all addresses of this machine; 0 takes any that is free [default: 1110]' -r
complete -c pop3d -s t -l transform -d 'A program that each message passes through, from its standard input to its standard output; may be given several times, which makes a chain. \'\': none' -r
complete -c pop3d -s T -l timeout -d 'Seconds of silence after which a session is closed; 0: never [default: 600]' -r
complete -c pop3d -s P -l peep-port -d 'The port of PEEP, the admin protocol, on the loopback addresses; 0 takes any that is free [default: 2110]. It is listened on only where there is an administrator' -r
complete -c pop3d -s a -l peep-admin -d 'An administrator for PEEP; may be given several times. As with --user, it can be seen in the list of processes' -r
complete -c pop3d -s c -l config -d 'The configuration file' -r -F
complete -c pop3d -l state -d 'The folder for what outlives the process: accounts and settings that PEEP changed, statistics, indexes, locks, and PEEP\'s socket [default: $XDG_STATE_HOME/pop3d, or /var/lib/pop3d as root]' -r -F
complete -c pop3d -l log-level -d 'What is logged: error, warn, info, debug or trace [default: info]' -r
complete -c pop3d -l check -d 'Reads the configuration, says what is wrong with it, and starts nothing'
complete -c pop3d -s h -l help -d 'Print help'
complete -c pop3d -s V -l version -d 'Print version'
