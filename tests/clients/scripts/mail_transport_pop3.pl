use strict; use warnings; use Mail::Transport::POP3;
my ($host, $port, $user, $password, $delete, $security, $mechanism) = @ARGV;
if ($security) {
    require IO::Socket::SSL;
    IO::Socket::SSL::set_defaults(SSL_verify_mode => 0);
}
my $pop = Mail::Transport::POP3->new(hostname => $host, port => $port, username => $user, password => $password,
    authenticate => $mechanism eq 'apop' ? 'APOP' : 'LOGIN', use_ssl => $security eq 'pop3s') or die 'cannot log in';
my $number = 0;
for my $id ($pop->ids) {
    my $lines = $pop->message($id) or die "no message $id";
    open my $file, '>:raw', 'out/' . ++$number or die $!;
    print $file @$lines;
    close $file or die $!;
}
$pop->deleteFetched if $delete;
$pop->disconnect or die 'no answer to QUIT';
