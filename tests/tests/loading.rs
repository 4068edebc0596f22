//! Files of native plugins: loaded, looked for and replaced while the server runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use pop3d_tests::{
    Admin, Client, Mail, Options, Over, Plugins, Server, as_sent, light_or_heavy, message, plugin_config,
    retrieved, rot13, serving_plugin, wait_until,
};
use rustix::process::Signal;

/// The two places where a plugin may run.
const ISOLATIONS: [&str; 2] = ["process", "none"];

#[test]
fn a_refused_option_changes_nothing_for_anybody() {
    let plugins = Plugins::default();
    let file = plugins.build("filter.so", &[]);
    let text = message(300_000, 5);
    let mail = Mail::flat("user", &[&text]);
    fs::create_dir(mail.path().join("other")).unwrap();
    fs::write(mail.path().join("other/1"), &text).unwrap();
    let expected = as_sent(&rot13(&text));
    for isolation in ISOLATIONS {
        let server = serving_plugin(&mail, &file, isolation, "options = { do = \"rot13\" }");
        let mut admin = Admin::of(&server);
        // One message is under way meanwhile: its client takes nothing yet.
        let mut under_way = Client::login_when_free(server.address(), "other");
        under_way.says("RETR 1").hears("+OK");
        for refused in ["do:nothing-that-it-knows", "unknown:1"] {
            admin.says(&format!("tfo= filter {refused}")).hears("-21");
            let why =
                if refused.starts_with("do") { "no%20such%20thing%20to%20do" } else { "unknown%20option" };
            let said = admin.says("tfe? filter").line();
            assert!(said.ends_with(why), "{said}");
            assert_eq!(admin.lines("tfl?"), ["filter native ready 1"], "{isolation}");
            assert_eq!(admin.lines("tf?"), ["filter"]);
            assert!(retrieved(&server).unwrap() == expected, "{isolation}");
        }
        server.logs("no such thing to do");
        // It is not kept beside the next one either.
        admin.says("tfo= filter do:rot13").hears("+");
        assert_eq!(admin.lines("tfl?"), ["filter native ready 2"]);
        assert!(retrieved(&server).unwrap() == expected, "{isolation}");
        assert!(under_way.body().unwrap() == expected, "{isolation}");
        assert_eq!(admin.value("tfs? filter", "failed"), 0);
    }
}

#[test]
fn a_plugin_that_cannot_be_loaded_anew_is_failed_and_its_older_one_serves() {
    let plugins = Plugins::default();
    let file = plugins.build("filter.so", &[]);
    let right = fs::read(&file).unwrap();
    let mail = Mail::flat("user", &["Subject: x\n\nx\n"]);
    let expected = as_sent(&rot13(b"Subject: x\n\nx\n"));
    for isolation in ISOLATIONS {
        let server = serving_plugin(&mail, &file, isolation, "options = { do = \"rot13\" }");
        let mut admin = Admin::of(&server);
        fs::write(&file, "no library\n").unwrap();
        admin.says("tfr filter").hears("-21");
        let is_failed = |admin: &mut Admin| {
            assert_eq!(admin.lines("tfl?"), ["filter native failed 1"], "{isolation}");
            let said = admin.says("tfe? filter").line();
            assert!(said.contains("no%20shared%20library"), "{said}");
            assert_eq!(retrieved(&server).unwrap(), expected);
        };
        is_failed(&mut admin);
        // Neither another attempt, nor a refused option, nor the configuration makes it better.
        admin.says("tfr filter").hears("-21");
        admin.says("tfo= filter do:identity").hears("-21");
        admin.says("cf").hears("+");
        is_failed(&mut admin);
        server.signal(Signal::HUP);
        wait_until("the configuration is read again", || server.log().matches("read again").count() == 2);
        is_failed(&mut admin);
        fs::write(&file, &right).unwrap();
        admin.says("tfr filter").hears("+");
        assert_eq!(admin.lines("tfl?"), ["filter native ready 2"]);
        assert_eq!(retrieved(&server).unwrap(), expected);
    }
}

#[test]
fn a_plugin_that_never_could_be_loaded_is_tried_by_the_configuration_once_its_file_is_another() {
    let plugins = Plugins::default();
    let file = plugins.build("filter.so", &[]);
    let right = fs::read(&file).unwrap();
    let mail = Mail::flat("user", &["Subject: x\n\nx\n"]);
    for isolation in ISOLATIONS {
        fs::write(&file, "no library\n").unwrap();
        // In no chain, so that the server starts.
        let config = plugin_config(&file, isolation, "options = { do = \"rot13\" }");
        let config = config.replace("transform = \"filter\"\n", "");
        let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
        let mut admin = Admin::of(&server);
        admin.says("cf").hears("+");
        assert_eq!(admin.lines("tfl?"), ["filter native failed 1"], "{isolation}");
        fs::write(&file, &right).unwrap();
        admin.says("cf").hears("+");
        assert_eq!(admin.lines("tfl?"), ["filter native ready 2"], "{isolation}");
        admin.says("tf= filter").hears("+");
        assert_eq!(retrieved(&server).unwrap(), as_sent(&rot13(b"Subject: x\n\nx\n")));
    }
}

#[test]
fn what_was_loaded_at_run_time_is_the_same_file_after_a_restart() {
    let plugins = Plugins::default();
    plugins.build("two.so", &["TEST_MARK=\"X-Two: yes\""]);
    let (mail, state) = (Mail::flat("user", &["x\n"]), tempfile::tempdir().unwrap());
    let config = format!("transform_dir = \"{}\"\n", plugins.path().display());
    let options = Options { config: &config, state: Some(state.path()), ..Options::default() };
    let mut server = Server::with(&mail, &options);
    let socket = state.path().join("peep.sock");
    Admin::at(&socket).says("tf+ mark two.so").hears("+").says("tf= mark").hears("+");
    let is_by = |server: &Server, mark: &str| retrieved(server).unwrap().starts_with(mark.as_bytes());
    assert!(is_by(&server, "X-Two"));
    // A file of its name, be it sound or not, is not taken for it, as it is not while the server runs.
    let other = plugins.build("mark.so", &["TEST_MARK=\"X-One: yes\""]);
    for _ in 0..2 {
        server.signal(Signal::TERM);
        server.wait();
        server = Server::with(&mail, &options);
        assert!(is_by(&server, "X-Two"));
        server.logs("is no transform");
        Admin::at(&socket).says("cf").hears("+");
        assert!(is_by(&server, "X-Two"));
        fs::write(&other, "no library\n").unwrap();
    }
    // Once it was taken away at run time, the file has its name.
    plugins.build("mark.so", &["TEST_MARK=\"X-One: yes\""]);
    Admin::at(&socket).says("tf= none").hears("+").says("tf- mark").hears("+");
    server.signal(Signal::TERM);
    server.wait();
    let server = Server::with(&mail, &options);
    Admin::at(&socket).says("tf= mark").hears("+");
    assert!(is_by(&server, "X-One"));
}

#[test]
fn what_was_loaded_at_run_time_stays_over_a_reading_of_the_configuration() {
    let plugins = Plugins::default();
    let file = plugins.build("filter.so", &[]);
    let mail = Mail::flat("user", &["Subject: x\n\nx\n"]);
    let config = format!("transform_dir = \"{}\"\n", plugins.path().display());
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let mut admin = Admin::of(&server);
    admin.says("tf+ again filter.so").hears("+");
    admin.says("tf+ unused filter.so").hears("+");
    admin.says("tf= again").hears("+");
    admin.says("tfo= again do:identity").hears("+");
    assert_eq!(retrieved(&server).unwrap(), b"Subject: x\r\n\r\nx\r\n");
    admin.says("cf").hears("+");
    let (again, unused) = ("again native ready 2", "unused native ready 1");
    assert_eq!(admin.lines("tfl?"), [again, "filter native ready 1", unused]);
    assert_eq!(admin.value("tfs? again", "messages"), 1);

    // Not even a file that is no plugin any more takes them away.
    fs::write(&file, "no library\n").unwrap();
    admin.says("tfr again").hears("-21");
    let failed = ["again native failed 2", "filter native failed 1", "unused native failed 1"];
    wait_until("the others are noticed", || admin.lines("tfl?") == failed);
    admin.says("cf").hears("+");
    assert_eq!(admin.lines("tfl?"), failed);
    assert_eq!(retrieved(&server).unwrap(), b"Subject: x\r\n\r\nx\r\n");
    admin.says("tf- unused").hears("+");
    admin.says("cf").hears("+");
    assert_eq!(admin.lines("tfl?"), failed[..2]);

    // What the configuration defines by their names is theirs, and the folder that they are of must be the same.
    plugins.build("filter.so", &[]);
    let ready = ["again native ready 3", "filter native ready 2"];
    wait_until("they are loaded again", || admin.lines("tfl?") == ready);
    let named = format!("{config}[transforms.again]\ncommand = \"cat\"\n");
    fs::write(server.config(), named).unwrap();
    admin.says("cf").hears("+");
    assert_eq!(admin.lines("tfl?"), ["again process ready 4", "filter native ready 2"]);
}

#[test]
fn a_check_loads_plugins_and_asks_them_about_their_options() {
    let plugins = Plugins::default();
    let file = plugins.build("filter.so", &[]);
    let mail = Mail::flat("user", &[b"x\n"]);
    for isolation in ISOLATIONS {
        let check = |options: &str| pop3d_tests::checked(&mail, &plugin_config(&file, isolation, options));
        let (status, said) = check("options = { do = \"identity\" }");
        let is_content = said.lines().all(|line| line.contains("serving as root"));
        assert!(status.success() && is_content, "{isolation}: {said}");
        let (status, said) = check("options = { do = \"nothing-that-it-knows\" }");
        assert_eq!(status.code(), Some(78), "{isolation}: {said}");
        assert!(
            said.contains("pop3d.toml:3:8: the transform filter cannot be used: "),
            "{isolation}: {said}"
        );
    }
}

#[test]
fn all_are_loaded_anew_and_what_cannot_be_keeps_none_of_the_others() {
    let plugins = Plugins::default();
    for name in ["changed", "gone", "same"] {
        plugins.build(&format!("{name}.so"), &[]);
    }
    let text = b"Subject: x\n\nx\n";
    let mail = Mail::flat("user", &[text]);
    let config = format!(
        "transform_dir = \"{}\"\ntransform = \"gone\"\n[transforms.program]\ncommand = \"cat\"\n",
        plugins.path().display()
    );
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let mut admin = Admin::of(&server);
    let mut before = BTreeMap::new();
    // Has all loaded anew: the reply, and which of them are not the generation before.
    let mut reloads = |reply: &str| {
        admin.says("tfr *").hears(reply);
        let after: BTreeMap<_, _> = admin.lines("tfl?").iter().map(|line| generation(line)).collect();
        let anew = after.iter().filter(|(name, it)| before.get(*name) != Some(*it));
        let anew = anew.map(|(name, (state, _))| format!("{name} {state}")).collect::<Vec<_>>().join(", ");
        before = after;
        anew
    };
    let all = "changed ready, gone ready, program ready, same ready";
    assert_eq!([reloads("+"), reloads("+")], [all, all]);
    fs::write(plugins.path().join("changed.so"), "no library\n").unwrap();
    assert_eq!(reloads("-21"), "changed failed, gone ready, program ready, same ready");
    assert_eq!(reloads("-21"), "gone ready, program ready, same ready");
    plugins.build("changed.so", &[]);
    assert_eq!(reloads("+"), all);

    // What is gone serves on, and is as it was once its file is back.
    let (file, away) = (plugins.path().join("gone.so"), plugins.path().join(".away"));
    fs::rename(&file, &away).unwrap();
    assert_eq!(reloads("-21"), "changed ready, gone failed, program ready, same ready");
    let said = Admin::of(&server).says("tfe? gone").line();
    assert!(said.contains("No%20such%20file"), "{said}");
    assert_eq!(retrieved(&server).unwrap(), as_sent(&rot13(text)));
    fs::rename(&away, &file).unwrap();
    assert_eq!(reloads("+"), all);
}

#[test]
fn a_library_in_the_server_is_loaded_once_more_only_where_it_changed_or_is_named() {
    let plugins = Plugins::default();
    let file = plugins.build("filter.so", &[]);
    let mail = Mail::flat("user", &["Subject: x\n\nx\n"]);
    let server = serving_plugin(&mail, &file, "none", "options = { do = \"rot13\" }");
    let mut admin = Admin::of(&server);
    admin.says("tfr *").hears("+").says("tfr *").hears("+");
    assert_eq!(admin.lines("tfl?"), ["filter native ready 1"]);
    plugins.build("filter.so", &["TEST_NAME=\"other\""]);
    admin.says("tfr *").hears("+");
    assert_eq!(admin.lines("tfl?"), ["filter native ready 2"]);
    admin.says("tfr filter").hears("+");
    assert_eq!(admin.lines("tfl?"), ["filter native ready 3"]);
}

/// The name of a transform in a line of `tfl?`, its state and its generation.
fn generation(line: &str) -> (String, (String, String)) {
    let [name, _, state, generation] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    (name.to_owned(), (state.to_owned(), generation.to_owned()))
}

#[test]
fn a_folder_is_not_looked_at_where_that_is_not_permitted() {
    let plugins = Plugins::default();
    plugins.build("first.so", &[]);
    let mail = Mail::flat("user", &[b"x\n"]);
    let config =
        format!("transform_dir = \"{}\"\n[peep]\ntransform_load = false\n", plugins.path().display());
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let mut admin = Admin::of(&server);
    plugins.build("second.so", &[]);
    admin.says("tfr *").hears("-24");
    assert_eq!(admin.lines("tfl?"), ["first native ready 1"]);
}

#[test]
fn a_file_that_is_replaced_all_the_time_tears_no_message() {
    let plugins = Plugins::default();
    let (rot, same) = (plugins.build("rot", &[]), plugins.build("same", &["TEST_NAME=\"other\""]));
    let file = plugins.path().join("filter.so");
    fs::copy(&rot, &file).unwrap();
    let clients = light_or_heavy(6, 6);
    let text = message(100_000, 5);
    let mail = Mail::default();
    for user in ["user", "other", "a", "b", "c", "d"] {
        fs::create_dir(mail.path().join(user)).unwrap();
        fs::write(mail.path().join(user).join("1"), &text).unwrap();
    }
    let expected = as_sent(&rot13(&text));
    for isolation in ISOLATIONS {
        let server = serving_plugin(&mail, &file, isolation, "hosts = 2");
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let _over = Over(&is_over);
                let mut admin = Admin::of(&server);
                for round in 0..light_or_heavy(20, 200) {
                    let from = if round % 2 == 0 { &same } else { &rot };
                    if round % 3 == 0 {
                        // In place, as a careless copy does.
                        fs::write(&file, fs::read(from).unwrap()).unwrap();
                    } else {
                        let new = plugins.path().join(".new");
                        fs::copy(from, &new).unwrap();
                        fs::rename(&new, &file).unwrap();
                    }
                    admin.says("tfr filter").hears("+");
                }
            });
            for user in ["user", "other", "a", "b", "c", "d"].into_iter().take(clients) {
                let (server, expected, is_over) = (&server, &expected, &is_over);
                scope.spawn(move || {
                    let mut client = Client::login(server.address(), user);
                    while !is_over.load(Ordering::Relaxed) {
                        client.says("RETR 1").hears("+OK");
                        assert!(client.body().unwrap() == *expected);
                    }
                });
            }
        });
        wait_until("helpers that are not needed are gone", || server.children() <= 2);
    }
}

#[test]
fn a_hundred_downloads_go_on_while_their_plugin_is_loaded_anew() {
    let plugins = Plugins::default();
    let (rot, same) = (plugins.build(".rot", &[]), plugins.build(".same", &["TEST_NAME=\"other\""]));
    let file = plugins.path().join("filter.so");
    // More than what waits anywhere on its way.
    let text = message(6 << 20, 7);
    let expected = as_sent(&rot13(&text));
    let mail = Mail::default();
    let mut users = String::from("[users]\n");
    let count = light_or_heavy(20, 100);
    for number in 0..count {
        fs::create_dir(mail.path().join(format!("u{number}"))).unwrap();
        fs::write(mail.path().join(format!("u{number}/1")), &text).unwrap();
        users.push_str(&format!("u{number} = \"pass\"\n"));
    }
    for isolation in ISOLATIONS {
        fs::copy(&rot, &file).unwrap();
        let server = serving_plugin(&mail, &file, isolation, &format!("hosts = 2\n{users}"));
        let mut clients: Vec<_> =
            (0..count).map(|number| Client::login(server.address(), &format!("u{number}"))).collect();
        for client in &mut clients {
            client.says("RETR 1").hears("+OK");
        }
        // All of them are in the middle now. The file is overwritten as it is, and by another of its name.
        let mut admin = Admin::of(&server);
        for round in 0..10 {
            fs::write(&file, b"nothing that can be run").unwrap();
            admin.says("tfr filter").hears("-21");
            if round % 2 == 0 {
                fs::write(&file, fs::read(&same).unwrap()).unwrap();
            } else {
                let new = plugins.path().join(".new");
                fs::copy(&rot, &new).unwrap();
                fs::rename(&new, &file).unwrap();
            }
            admin.says("tfr filter").hears("+");
        }
        thread::scope(|scope| {
            for mut client in clients {
                let expected = &expected;
                scope.spawn(move || assert!(client.body().unwrap() == *expected, "{isolation}"));
            }
        });
        wait_until("helpers that are not needed are gone", || server.children() <= 2);
        assert_eq!(admin.value("tfs? filter", "failed"), 0);
    }
}

#[test]
fn a_plugin_that_loads_slowly_holds_nobody_but_who_asked_for_it() {
    let plugins = Plugins::default();
    let (awaited, begun) = (plugins.path().join("awaited"), plugins.path().join("awaited.begun"));
    let mail = Mail::flat("user", &[b"x\n"]);
    let config = format!("transform_dir = \"{}\"\n", plugins.path().display());
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    plugins.build("slow.so", &[&format!("WAITS_FOR=\"{}\"", awaited.display())]);
    let mut waiting: Vec<_> = (0..5).map(|_| Admin::of(&server)).collect();
    for (number, admin) in waiting.iter_mut().enumerate() {
        admin.says(&format!("tf+ slow{number} slow.so"));
    }
    wait_until("it is being loaded", || begun.exists());
    let mut other = Admin::of(&server);
    other.says("t= 99").hears("+");
    other.says("u+ ann secret").hears("+");
    other.says("tf= none").hears("+");
    let loaded = |admin: &mut Admin| {
        admin
            .lines("tfl?")
            .iter()
            .filter(|line| line.contains("slow") && line.ends_with(" native ready 1"))
            .count()
    };
    assert_eq!(loaded(&mut other), 0);
    assert_eq!(retrieved(&server).unwrap(), b"x\r\n");
    fs::write(&awaited, "").unwrap();
    for admin in &mut waiting {
        admin.hears("+");
    }
    assert!(loaded(&mut other) >= 5);
}

#[test]
fn who_asked_for_a_plugin_that_never_loads_is_told_so_in_the_end() {
    let plugins = Plugins::default();
    let mail = Mail::flat("user", &[b"x\n"]);
    let config = format!("transform_dir = \"{}\"\n", plugins.path().display());
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let never = plugins.path().join("never");
    let built = plugins.build(".built", &[&format!("WAITS_FOR=\"{}\"", never.display())]);
    // Whose file is not closed it is not loaded by itself, which would take as long.
    let mut held = fs::File::create(plugins.path().join("slow.so")).unwrap();
    std::io::copy(&mut fs::File::open(built).unwrap(), &mut held).unwrap();
    let mut admin = Admin::of(&server);
    // Half a minute, in which the administrator is not looked at.
    admin.says("tf+ slow0 slow.so").hears("-21");
    admin.says("v?").hears(concat!("+", env!("CARGO_PKG_VERSION")));
    drop(held);
}
