<?php // c-client, by PHP's imap functions
[, $host, $port, $user, $password, $delete, $security, $mechanism] = $argv;
$flags = ['' => '/notls', 'stls' => '/tls/novalidate-cert', 'pop3s' => '/ssl/novalidate-cert'][$security];
$unwanted = array_diff(['PLAIN', 'LOGIN', 'CRAM-MD5', 'GSSAPI'], [$mechanism]);
$options = ['DISABLE_AUTHENTICATOR' => array_values($unwanted)];
$folder = imap_open('{' . "$host:$port/pop3$flags" . '}INBOX', $user, $password, 0, 0, $options);
if (!$folder) {
    fwrite(STDERR, implode(' | ', imap_errors() ?: ['cannot log in']));
    exit(1);
}
for ($number = 1; $number <= imap_num_msg($folder); $number++) {
    $header = imap_fetchheader($folder, $number, FT_PREFETCHTEXT);
    if ($header === false || imap_errors()) {
        fwrite(STDERR, "no message $number");
        exit(1);
    }
    file_put_contents("out/$number", $header . imap_body($folder, $number, FT_PEEK));
    if ($delete === '1') {
        imap_delete($folder, (string) $number);
    }
}
if ($errors = imap_errors()) {
    fwrite(STDERR, implode(' | ', $errors));
    exit(1);
}
imap_close($folder, $delete === '1' ? CL_EXPUNGE : 0) || exit(1);
