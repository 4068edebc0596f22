#!/usr/bin/perl
# Puts "[ext] " before the subject. Octets in, octets out: no layer may change them.
use strict;
use warnings;
binmode STDIN;
binmode STDOUT;
my $header = 1;
while (my $line = <STDIN>) {
    $line =~ s/^(subject: *)/$1\[ext] /i if $header;
    $header = 0 if $line =~ /^\r*\n?$/;
    print $line or die "cannot write: $!\n";
}
