use strict; use warnings; use Net::POP3;
my ($host, $port, $user, $password, $delete, $security, $mechanism) = @ARGV;
my @tls = $security eq 'pop3s' ? (SSL => 1, SSL_verify_mode => 0) : ();
my $pop = Net::POP3->new($host, Port => $port, Timeout => 60, @tls) or die 'cannot connect';
$security ne 'stls' or $pop->starttls(SSL_verify_mode => 0) or die 'no STLS';
my $count;
if ($mechanism eq 'sasl') {
    $pop->auth($user, $password) or die 'cannot log in: ' . $pop->message;
    ($count) = $pop->popstat;
} elsif ($mechanism eq 'apop') {
    $count = $pop->apop($user, $password);
} else {
    $count = $pop->login($user, $password);
}
defined $count or die 'cannot log in';
for my $number (1 .. $count) {
    open my $file, '>:raw', "out/$number" or die $!;
    $pop->get($number, $file) or die "no message $number";
    close $file or die $!;
    !$delete or $pop->delete($number) or die 'cannot delete';
}
$pop->quit or die 'no answer to QUIT';
