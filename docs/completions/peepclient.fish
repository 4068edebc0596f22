complete -c peepclient -s a -l address -d 'The host of the server, by name or address [default: localhost]' -r -f -a "(__fish_print_hostnames)"
complete -c peepclient -s p -l port -d 'Its port [default: 2110]' -r
complete -c peepclient -s u -l user -d 'The administrator' -r
complete -c peepclient -l pass -d 'The administrator\'s password. It can be seen in the list of processes: better is a file, the environment (PEEP_PASSWORD), or to be asked' -r
complete -c peepclient -l password-file -d 'A file whose first line is the password' -r -F
complete -c peepclient -s s -l socket -d 'The Unix socket of a server on this machine, for root and the user of the server [default: /var/lib/pop3d/peep.sock as root, else $XDG_STATE_HOME/pop3d/peep.sock]' -r -F
complete -c peepclient -s j -l json -d 'Answers in JSON: one object or array for each command, each on one line'
complete -c peepclient -s h -l help -d 'Print help (see more with \'--help\')'
complete -c peepclient -s V -l version -d 'Print version'
