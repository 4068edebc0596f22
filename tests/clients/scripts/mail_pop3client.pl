use strict; use warnings; use Mail::POP3Client;
my ($host, $port, $user, $password, $delete, $security, $mechanism) = @ARGV;
my %mode = (user => 'PASS', apop => 'APOP', 'CRAM-MD5' => 'CRAM-MD5');
if ($security) {
    require IO::Socket::SSL;
    IO::Socket::SSL::set_defaults(SSL_verify_mode => 0);
}
my $pop = Mail::POP3Client->new(HOST => $host, PORT => $port, USER => $user, PASSWORD => $password,
    AUTH_MODE => $mode{$mechanism}, TIMEOUT => 60, USESSL => $security eq 'pop3s');
$pop->Count >= 0 or die 'cannot log in: ' . $pop->Message;
for my $number (1 .. $pop->Count) {
    open my $file, '>:raw', "out/$number" or die $!;
    $pop->RetrieveToFile($file, $number) or die "no message $number";
    close $file or die $!;
    !$delete or $pop->Delete($number) or die 'cannot delete';
}
$pop->Close or die 'no answer to QUIT';
