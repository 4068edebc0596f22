#!/usr/bin/perl
# Puts "[ext] " before the subject. Octets in, octets out: no layer may change them.
use strict;
use warnings;
binmode STDIN;
binmode STDOUT;
my $header = 1;
while (1) {
    $! = 0;
    my $line = <STDIN>;
    last unless defined $line;
    $line =~ s/^(subject: *)/$1\[ext] /i if $header;
    $header = 0 if $line =~ /^\r*\n?$/;
    print $line or die "cannot write: $!\n";
}
# Perl takes what cannot be read for an end, and says why only here.
die "cannot read: $!\n" if $!;
