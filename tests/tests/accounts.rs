//! Accounts of other servers and other programs, in the running server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64ct::{Base64, Encoding};
use pop3d_tests::{Admin, Client, Mail, Options, Server, checked, processes_with, wait_until};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;

/// Of "secret", by crypt(3).
const WEAK: &str = "{CRYPT}$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.";

/// What a login hears.
fn login(server: &Server, user: &str, password: &str) -> String {
    let mut client = Client::connect(server.address());
    client.says(&format!("USER {user}")).hears("+OK");
    let reply = client.says(&format!("PASS {password}")).line();
    // Its maildrop is free again once this is answered.
    client.says("QUIT").hears("");
    reply
}

#[test]
fn a_weak_hash_of_the_state_folder_is_made_anew_at_login_where_that_is_wanted() {
    let mail = Mail::default();
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("accounts");
    fs::write(&file, format!("ann:{WEAK}\nbob:{WEAK}\n# end\n")).unwrap();
    let kept = || fs::read_to_string(&file).unwrap();
    let start =
        |config| Server::with(&mail, &Options { config, state: Some(state.path()), ..Options::default() });
    {
        let server = start("");
        assert!(login(&server, "ann", "secret").starts_with("+OK"));
        assert!(!kept().contains("{ARGON2ID}"));
    }
    {
        let server = start("rehash = true\n[limits]\nfailed_login_delay = 0\n");
        assert!(login(&server, "ann", "wrong").starts_with("-ERR [AUTH]"));
        assert!(login(&server, "ann", "secret").starts_with("+OK"));
        wait_until("the hash is made anew", || kept().contains("ann:{ARGON2ID}$argon2id$"));
        assert!(kept().contains("bob:{SHA512-CRYPT}$6$"), "{}", kept());
        assert!(login(&server, "ann", "secret").starts_with("+OK"));
        server.logs("user ann");
        assert!(!server.log().contains("secret"), "{}", server.log());
        // By AUTH too.
        let mut client = Client::connect(server.address());
        client.says("AUTH PLAIN AGJvYgBzZWNyZXQ=").hears("+OK");
        wait_until("the other is too", || kept().contains("bob:{ARGON2ID}$argon2id$"));
    }
    let server = start("");
    assert!(login(&server, "ann", "secret").starts_with("+OK"));
    assert!(login(&server, "bob", "secret").starts_with("+OK"));
    assert!(login(&server, "bob", "wrong").starts_with("-ERR [AUTH]"));
}

/// Of "secret", as LDAP servers keep it.
const SALTED: &str = "{SSHA}1G904nLkTkGWjKNnQuB/hpWXC/hzYWx0c2FsdA==";

#[test]
fn a_weak_hash_of_the_accounts_file_is_made_anew_at_login_where_that_is_wanted() {
    let mail = Mail::default();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts");
    let lines = |ann: &str, bob: &str| {
        format!(
            "# who\nann:{ann}:1:1::/home/ann::nodelete\r\nbob:{bob}\ncarl:{SALTED}\neve:{SALTED}\nzoe:{SALTED}"
        )
    };
    fs::write(&file, lines(SALTED, WEAK)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let kept = || fs::read_to_string(&file).unwrap();
    let start = |more: &str| {
        let config = format!(
            "accounts = {:?}\n{more}\n[users]\ncarl = {SALTED:?}\n[limits]\nfailed_login_delay = 0\n",
            file.display()
        );
        Server::with(&mail, &Options { config: &config, ..Options::default() })
    };
    {
        let mut server = start("");
        assert!(login(&server, "ann", "secret").starts_with("+OK"));
        server.signal(Signal::TERM);
        server.wait();
        assert_eq!(kept(), lines(SALTED, WEAK));
    }
    {
        let server = start("rehash = true");
        assert!(login(&server, "ann", "wrong").starts_with("-ERR [AUTH]"));
        // What stands in the configuration is left to who wrote that.
        assert!(login(&server, "carl", "secret").starts_with("+OK"));
        let clients: Vec<_> = ["ann", "bob"].map(|user| login(&server, user, "secret")).into();
        assert!(clients.iter().all(|reply| reply.starts_with("+OK")), "{clients:?}");
        wait_until("the hashes are made anew", || kept().matches("{ARGON2ID}$argon2id$").count() == 2);
        let text = kept();
        let secret = |user: &str| {
            let line = text.lines().find(|line| line.starts_with(&format!("{user}:"))).unwrap();
            line.split(':').nth(1).unwrap().to_owned()
        };
        assert_eq!(text, lines(&secret("ann"), &secret("bob")));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
        server.logs("the password of bob is kept by a stronger hash in");
        assert!(!server.log().contains("secret"), "{}", server.log());
        // What is in force is what stands there: a line that was changed meanwhile is another password.
        let other =
            fs::read_to_string(&file).unwrap().replace(&format!("eve:{SALTED}"), &format!("eve:{WEAK}"));
        fs::write(&file, &other).unwrap();
        assert!(login(&server, "eve", "secret").starts_with("+OK"));
        // Made anew behind eve's, which was left.
        assert!(login(&server, "zoe", "secret").starts_with("+OK"));
        wait_until("zoe's is made anew", || !kept().contains(&format!("zoe:{SALTED}")));
        assert!(login(&server, "ann", "secret").starts_with("+OK"));
        assert!(kept().contains(&format!("eve:{WEAK}")), "{}", kept());
    }
    let server = start("");
    for user in ["ann", "bob", "eve"] {
        assert!(login(&server, user, "secret").starts_with("+OK"));
        assert!(login(&server, user, "wrong").starts_with("-ERR [AUTH]"));
    }
}

#[test]
fn an_accounts_file_that_cannot_be_written_is_told_once_until_the_configuration_is_read_again() {
    let mail = Mail::default();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts");
    let text = format!("ann:{SALTED}\nbob:{SALTED}\ncarl:{SALTED}\n");
    fs::write(&file, &text).unwrap();
    // Where the new one would be written first.
    let obstacle = folder.path().join(".accounts.passwd");
    fs::create_dir(&obstacle).unwrap();
    let config = format!("accounts = {:?}\nrehash = true\n", file.display());
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    assert!(login(&server, "ann", "secret").starts_with("+OK"));
    server.logs(
        "stay as weak as they are until the configuration is read again: cannot write the accounts file",
    );
    assert!(login(&server, "bob", "secret").starts_with("+OK"));
    assert_eq!(server.log().matches("stay as weak").count(), 1);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    fs::remove_dir(&obstacle).unwrap();
    Admin::of(&server).says("cf").hears("+");
    assert!(login(&server, "carl", "secret").starts_with("+OK"));
    wait_until("carl's is made anew", || {
        fs::read_to_string(&file).unwrap().contains("carl:{ARGON2ID}$argon2id$")
    });
    assert!(!obstacle.exists());
}

#[test]
fn a_pipe_in_the_place_of_the_accounts_file_is_not_waited_for() {
    let (mail, folder) = (Mail::default(), tempfile::tempdir().unwrap());
    let file = folder.path().join("accounts");
    fs::write(&file, "ann:{PLAIN}one\n").unwrap();
    let config = format!("accounts = {:?}\n", file.display());
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let mut admin = Admin::of(&server);
    fs::remove_file(&file).unwrap();
    mknodat(CWD, &file, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    admin.says("cf").hears("-11");
    server.logs("it is no regular file");
    assert!(login(&server, "ann", "one").starts_with("+OK"));
    fs::remove_file(&file).unwrap();
    fs::write(&file, "ann:{PLAIN}two\n").unwrap();
    admin.says("cf").hears("+");
    assert!(login(&server, "ann", "two").starts_with("+OK"));
}

#[test]
fn what_scram_shows_of_a_name_is_the_same_behind_a_restart_whether_it_is_an_account_or_not() {
    let mail = Mail::default();
    let state = tempfile::tempdir().unwrap();
    let config = "[users]\nkept = \"{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,\
        WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\"\n";
    let shown = |server: &Server, name: &str| {
        let first = Base64::encode_string(format!("n,,n={name},r=x").as_bytes());
        let mut client = Client::connect(server.address());
        let challenge = client.says(&format!("AUTH SCRAM-SHA-256 {first}")).hears("+");
        let challenge = Base64::decode_vec(challenge.trim_start_matches("+ ").trim_end()).unwrap();
        let challenge = String::from_utf8(challenge).unwrap();
        challenge.split_once(",s=").unwrap().1.to_owned()
    };
    let life = || {
        let server =
            Server::with(&mail, &Options { config, state: Some(state.path()), ..Options::default() });
        (shown(&server, "kept"), shown(&server, "nobody"))
    };
    let first = life();
    assert_eq!(life(), first);
    assert_ne!(first.0, first.1);
}

/// Reads the three parts of checkpassword's message, and lets in ann and "user" with "se cret". "down" is a problem,
/// "stuck" takes for ever. Each call leaves a line with the name.
const CHECKS: &str = "#!/bin/sh
read=$(tr '\\000' '\\n' <&3)
name=$(printf '%s\\n' \"$read\" | sed -n 1p)
pass=$(printf '%s\\n' \"$read\" | sed -n 2p)
printf '%s\\n' \"$name\" >> \"$0.asked\"
case $name in down) exit 111;; stuck) sleep 1000;; esac
{ [ \"$name\" = ann ] || [ \"$name\" = user ]; } && [ \"$pass\" = 'se cret' ] || exit 1
exec \"$@\"
";

#[test]
fn users_without_an_account_are_asked_for_by_checkpassword() {
    let mail = Mail::default();
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("check");
    fs::write(&script, CHECKS).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let config = format!(
        "checkpassword = \"{} /bin/true\"\ncheckpassword_timeout = \"10s\"\n[limits]\nfailed_login_delay = 0\n",
        script.display()
    );
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let asked = |name: &str| {
        let text = fs::read_to_string(folder.path().join("check.asked")).unwrap_or_default();
        text.lines().filter(|line| *line == name).count()
    };
    assert!(login(&server, "ann", "wrong").starts_with("-ERR [AUTH] wrong user name or password"));
    assert!(login(&server, "nobody", "se cret").starts_with("-ERR [AUTH] wrong user name or password"));
    assert!(login(&server, "ann", "se cret").starts_with("+OK"));
    assert_eq!((asked("ann"), asked("nobody")), (2, 1));
    // It is remembered; another password is not.
    assert!(login(&server, "ann", "se cret").starts_with("+OK"));
    assert_eq!(asked("ann"), 2);
    assert!(login(&server, "ann", "wrong").starts_with("-ERR [AUTH]"));
    assert_eq!(asked("ann"), 3);
    // By AUTH too: "\0ann\0se cret", "\0ann\0x".
    let mut client = Client::connect(server.address());
    client.says("AUTH PLAIN AGFubgB4").hears("-ERR [AUTH]");
    client.says("AUTH PLAIN AGFubgBzZSBjcmV0").hears("+OK");
    client.says("QUIT").hears("+OK");
    // An account of the server alone decides.
    assert!(login(&server, "user", "se cret").starts_with("-ERR [AUTH]"));
    assert!(login(&server, "user", "pass").starts_with("+OK"));
    assert_eq!(asked("user"), 0);
    // What may pass is told apart from a wrong password.
    assert!(login(&server, "down", "x").starts_with("-ERR [SYS/TEMP]"));
    assert!(login(&server, "stuck", "x").starts_with("-ERR [SYS/TEMP]"));
    wait_until("what was stuck is gone", || server.children() == 0);
    for said in ["user down", "status 111", "was killed"] {
        server.logs(said);
    }
    assert!(!server.log().contains("se cret"), "{}", server.log());
}

/// Reads the same, and lets in ann and "user" with the token "good-" and 3,000 times "x". "down" is a problem.
const CHECKS_TOKENS: &str = "#!/bin/sh
read=$(tr '\\000' '\\n' <&3)
name=$(printf '%s\\n' \"$read\" | sed -n 1p)
token=$(printf '%s\\n' \"$read\" | sed -n 2p)
printf '%s\\n' \"$name\" >> \"$0.asked\"
[ \"$name\" = down ] && exit 111
case $token in good-x*) ;; *) exit 1;; esac
[ ${#token} = 3005 ] || exit 1
exec \"$@\"
";

#[test]
fn a_program_is_asked_about_tokens_each_time_and_in_vain_about_users_who_may_not_log_in() {
    let mail = Mail::default();
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("check");
    fs::write(&script, CHECKS_TOKENS).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let config = format!(
        "[limits]\nfailed_login_delay = 0\n[oauth]\nprogram = \"{} /bin/true\"\n\
         [users]\noff = {{ password = \"x\", disabled = true }}\n",
        script.display()
    );
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let asked = |name: &str| {
        let text = fs::read_to_string(folder.path().join("check.asked")).unwrap_or_default();
        text.lines().filter(|line| *line == name).count()
    };
    let says = |name: &str, token: &str| {
        let mut client = Client::connect(server.address());
        client.says("AUTH OAUTHBEARER").hears("+ ");
        let message = format!("n,a={name},\u{1}auth=Bearer {token}\u{1}\u{1}");
        let line = client.says(&Base64::encode_string(message.as_bytes())).line();
        // What is wrong is told first.
        if line.starts_with("+ ") { client.says("AQ==").line() } else { line }
    };
    let good = format!("good-{}", "x".repeat(3000));
    for name in ["ann", "user", "ann"] {
        assert!(says(name, &good).starts_with("+OK"), "{name}");
    }
    assert_eq!((asked("ann"), asked("user")), (2, 1), "a token ends by itself, so nothing is remembered");
    assert_eq!(says("ann", "good-x"), "-ERR [AUTH] wrong user name or password");
    assert_eq!(says("off", &good), "-ERR [AUTH] wrong user name or password");
    assert_eq!(says("", &good), "-ERR [AUTH] wrong user name or password");
    assert_eq!(says("ann", &format!("{good}{good}")), "-ERR [AUTH] wrong user name or password");
    // Without a question the refusal would come at once, and tell.
    assert_eq!((asked("ann"), asked("off")), (3, 1));
    assert!(says("down", &good).starts_with("-ERR [SYS/TEMP]"));
    // A token is no password, and a password no token.
    assert!(login(&server, "ann", &good[..200]).starts_with("-ERR [AUTH]"));
    assert_eq!(says("user", "pass"), "-ERR [AUTH] wrong user name or password");
    server.logs("user user");
    let log = server.log();
    assert!(!log.contains("good-"), "{log}");
}

#[test]
fn what_is_missing_for_tokens_is_named_at_its_place() {
    let mail = Mail::default();
    let folder = tempfile::tempdir().unwrap();
    let (short, secret) = (folder.path().join("short"), folder.path().join("secret"));
    fs::write(&short, "x").unwrap();
    fs::write(&secret, "x".repeat(32)).unwrap();
    let with = |keys: &str| format!("[oauth]\n{keys}");
    let named = "issuer = \"a\"\naudience = [\"b\", \"c\"]\n";
    for (config, what) in [
        (format!("secret = {secret:?}"), ":2:10: nobody is named who gives tokens"),
        (format!("secret = {secret:?}\nissuer = \"a\""), "name the audience"),
        (format!("{named}secret = {short:?}"), "at least 32 octets"),
        (format!("{named}secret = \"/nonexistent/x\""), ":4:10: /nonexistent/x: "),
        (format!("{named}keys = {secret:?}"), "neither a public key as PEM"),
        (format!("{named}secret = {secret:?}\nleeway = \"1h\""), "at most 10m"),
        (format!("{named}secret = {secret:?}\nuser_claim = \"\""), ":5:14: no claim has an empty name"),
        (format!("{named}secret = {secret:?}\nscope = \"{}\"", "x".repeat(400)), "375 octets"),
        (format!("{named}secret = {secret:?}\nprogram = \"/bin/true\""), "leave one out"),
        (named.to_owned(), ":2:10: nobody looks at tokens"),
        ("leeway = \"1m\"\nprogram = \"/bin/true\"".to_owned(), ":2:10: a program looks at tokens"),
        ("program = \"\"".to_owned(), ":2:11: no program is named"),
        ("key = \"x\"".to_owned(), "unknown field"),
    ] {
        let (status, said) = checked(&mail, &with(&config));
        assert!(status.code() == Some(78) && said.contains(what), "{config}: {said}");
    }
    let (status, said) = checked(&mail, &with(&format!("{named}secret = {secret:?}")));
    assert!(status.success(), "{said}");
}

#[test]
fn a_checkpassword_that_hangs_holds_up_no_account_and_ends_with_the_server() {
    let mail = Mail::default();
    // Tells these from those of other tests.
    let mark = format!("1000.{}", std::process::id());
    let config = format!("checkpassword = [\"/bin/sleep\", \"{mark}\"]\ncheckpassword_timeout = \"1m\"\n");
    let mut server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let mut waiting: Vec<_> = (0..20).map(|_| Client::connect(server.address())).collect();
    for (number, client) in waiting.iter_mut().enumerate() {
        client.says(&format!("USER x{number}")).hears("+OK");
        client.says("PASS x");
    }
    wait_until("as many programs run as may", || server.children() >= 8);
    assert!(login(&server, "user", "pass").starts_with("+OK"));
    assert!(login(&server, "user", "wrong").starts_with("-ERR [AUTH]"));
    assert_eq!(server.children(), 8);
    server.signal(Signal::TERM);
    server.logs("stopping");
    // It may have ended already.
    server.signal(Signal::TERM);
    let _ = server.wait();
    wait_until("its programs are gone", || processes_with(&mark).is_empty());
}

#[test]
fn a_checkpassword_that_hangs_holds_up_nobody_whose_password_is_known() {
    let mail = Mail::default();
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("check");
    fs::write(&script, CHECKS).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let config =
        format!("checkpassword = \"{} /bin/true\"\ncheckpassword_timeout = \"1m\"\n", script.display());
    let mut server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    assert!(login(&server, "ann", "se cret").starts_with("+OK"));
    let mut waiting: Vec<_> = (0..20).map(|_| Client::connect(server.address())).collect();
    for client in &mut waiting {
        client.says("USER stuck").hears("+OK");
        client.says("PASS x");
    }
    wait_until("programs run", || server.children() >= 8);
    assert!(login(&server, "ann", "se cret").starts_with("+OK"));
    // By AUTH too: "\0ann\0se cret".
    let mut client = Client::connect(server.address());
    client.says("AUTH PLAIN AGFubgBzZSBjcmV0").hears("+OK");
    server.signal(Signal::TERM);
    server.logs("stopping");
    server.signal(Signal::TERM);
    let _ = server.wait();
}

#[test]
fn a_checkpassword_that_cannot_be_is_named_at_its_place() {
    let mail = Mail::default();
    for (config, named) in [
        ("checkpassword = \"\"", ":1:17: no program is named"),
        ("checkpassword = []", ":1:17: no program is named"),
        ("checkpassword = 7", ":1:17: expected a program"),
        ("checkpassword_timeout = \"2m\"", "at most 1m"),
    ] {
        let (status, said) = checked(&mail, config);
        assert!(status.code() == Some(78) && said.contains(named), "{said}");
    }
}

#[test]
fn cram_md5_and_apop_are_offered_while_an_administrator_leaves_a_plain_secret() {
    let mail = Mail::default();
    let server = Server::with(&mail, &Options { config: "apop = true\n", ..Options::default() });
    let offers = || {
        let mut client = Client::silent(server.address());
        let greeting = client.hears("+OK");
        client.says("CAPA").hears("+OK");
        let capabilities = String::from_utf8(client.body().unwrap()).unwrap();
        let sasl = capabilities.lines().find(|line| line.starts_with("SASL ")).unwrap();
        (greeting.contains('<'), sasl.split(' ').any(|mechanism| mechanism == "CRAM-MD5"))
    };
    let mut admin = Admin::of(&server);
    assert_eq!(offers(), (true, true));
    for user in admin.lines("u?") {
        admin.says(&format!("u- {user}")).hears("+");
    }
    assert_eq!(offers(), (false, false));
    admin.says("u+ ann secret").hears("+");
    assert_eq!(offers(), (true, true));
}

#[test]
fn the_last_use_of_an_app_password_outlives_the_server() {
    let mail = Mail::default();
    let state = tempfile::tempdir().unwrap();
    let config = "[users.\"ab%\\\"\"]\npassword = \"x\"\napp_passwords = { tv = \"{PLAIN}watching\" }\n";
    let start = || Server::with(&mail, &Options { config, state: Some(state.path()), ..Options::default() });
    let told = |command: &str| Admin::at(&state.path().join("peep.sock")).lines(command);
    let mut server = start();
    Admin::at(&state.path().join("peep.sock")).says("u+ ann secret").hears("+");
    let mut admin = Admin::at(&state.path().join("peep.sock"));
    let secret = admin.says("ua+ ann phone").line();
    assert!(login(&server, "ann", secret.strip_prefix('+').unwrap()).starts_with("+OK"));
    assert!(login(&server, "ab%\"", "watching").starts_with("+OK"));
    let before = told("ua? ann");
    assert!(!before[0].ends_with(" -"), "{before:?}");
    server.signal(Signal::TERM);
    server.wait();
    let kept = fs::read_to_string(state.path().join("statistics")).unwrap();
    assert!(kept.contains("{user=\"ab%25\"\",app=\"tv\"} "), "{kept}");
    let mut server = start();
    assert_eq!(told("ua? ann"), before);
    assert!(!told("st?").iter().any(|line| line.contains("app_password")));
    // One that is made anew was not used.
    let mut admin = Admin::at(&state.path().join("peep.sock"));
    admin.says("ua- ann phone").hears("+");
    admin.says("ua+ ann phone").line();
    server.signal(Signal::TERM);
    server.wait();
    let _server = start();
    assert!(told("ua? ann")[0].ends_with(" -"));
}
