<?php // Horde_Imap_Client_Socket_Pop3
spl_autoload_register(function ($name) {
    $file = stream_resolve_include_path(strtr($name, '_\\', '//') . '.php');
    if ($file !== false) {
        require_once $file;
    }
});
[, $host, $port, $user, $password, $delete, $security, $mechanism] = $argv;
$client = new Horde_Imap_Client_Socket_Pop3([
    'hostspec' => $host, 'port' => (int) $port, 'username' => $user, 'password' => $password, 'timeout' => 60,
    'secure' => ['' => false, 'stls' => 'tls', 'pop3s' => 'ssl'][$security],
    'context' => ['ssl' => ['verify_peer' => false, 'verify_peer_name' => false]],
]);
$client->login();
$query = new Horde_Imap_Client_Fetch_Query();
$query->fullText(['peek' => true]);
$count = $client->status('INBOX', Horde_Imap_Client::STATUS_MESSAGES)['messages'];
for ($number = 1; $number <= $count; $number++) {
    $ids = new Horde_Imap_Client_Ids_Pop3($number, true);
    $found = $client->fetch('INBOX', $query, ['ids' => $ids]);
    $one = null;
    foreach ($found as $item) {
        $one = $item;
    }
    if ($one === null) {
        fwrite(STDERR, "no message $number");
        exit(1);
    }
    file_put_contents("out/$number", $one->getFullMsg(false));
    if ($delete === '1') {
        $client->store('INBOX', ['add' => [Horde_Imap_Client::FLAG_DELETED], 'ids' => $ids]);
    }
}
$client->shutdown();
