complete -c peepclient -s a -l address -d 'The host of the server, by name or address [default: localhost]' -r -f -a "(__fish_print_hostnames)"
complete -c peepclient -s p -l port -d 'Its port [default: 2110, in TLS 2995]' -r
complete -c peepclient -s u -l user -d 'The administrator' -r
complete -c peepclient -l pass -d 'The administrator\'s password. It can be seen in the list of processes: better is a file, the environment (PEEP_PASSWORD), or to be asked' -r
complete -c peepclient -l password-file -d 'A file whose first line is the password' -r -F
complete -c peepclient -s s -l socket -d 'The Unix socket of a server on this machine, for root and the user of the server [default: /var/lib/pop3d/peep.sock as root, else $XDG_STATE_HOME/pop3d/peep.sock]' -r -F
complete -c peepclient -l tls-ca -d 'The file of the authorities that may vouch for the server, as PEM: those of the system count no more' -r -F
complete -c peepclient -l tls-name -d 'The name that its certificate has to have, where that is not the host\'s' -r
complete -c peepclient -l tls-fingerprint -d 'The SHA-256 of its certificate: then no one has to vouch for it, and its name does not matter' -r
complete -c peepclient -l tls-certificate -d 'The administrator\'s own certificate, as PEM, where the server asks for one' -r -F
complete -c peepclient -l tls-key -d 'Its key, as PEM [default: in the file of the certificate]' -r -F
complete -c peepclient -l tls -d 'Connects in TLS. The server has to have a certificate of the host\'s name that an authority of this system vouches for; the options below ask for something else, and for TLS too'
complete -c peepclient -l tls-insecure -d 'Takes any certificate. Whoever stands in between reads along, the password too: for trials only'
complete -c peepclient -s j -l json -d 'Answers in JSON: one object or array for each command, each on one line'
complete -c peepclient -s h -l help -d 'Print help (see more with \'--help\')'
complete -c peepclient -s V -l version -d 'Print version'
