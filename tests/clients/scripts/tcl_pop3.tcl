package require pop3
lassign $argv host port user password delete security mechanism
set options {}
if {$security ne ""} {
    package require tls
    if {$security eq "pop3s"} { set options {-socketcmd ::tls::socket} } else { set options {-stls 1} }
}
set pop [pop3::open {*}$options $host $user $password $port]
set count [lindex [pop3::status $pop] 0]
for {set number 1} {$number <= $count} {incr number} {
    set message [lindex [pop3::retrieve $pop $number] 0]
    set file [open out/$number wb]
    puts -nonewline $file $message
    close $file
    if {$delete} { pop3::delete $pop $number }
}
pop3::close $pop
