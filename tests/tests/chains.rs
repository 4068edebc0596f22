//! What holds for chains as a whole: which can never be passed, what is said of a message that a link is passed by for, and
//! what each link may write.

use std::fs;

use pop3d_tests::{
    Admin, Client, Deed, Filters, Guest, KINDS, Kind, Mail, Options, Server, as_sent, checked,
    fails_to_start_with,
};

/// Two programs, one of which runs once at a time and one twice, and a guest of which there is one at a time.
fn narrow(folder: &std::path::Path) -> String {
    let guest = folder.join("guest.wasm");
    assert!(fs::write(&guest, Guest::default().component()).is_ok());
    format!(
        "[transforms.one]\ncommand = \"cat\"\nmax_running = 1\n\
         [transforms.two]\ncommand = \"cat\"\nmax_running = 2\n\
         [transforms.guest]\nfile = \"{}\"\n[transform_pool]\nmax_wasm_instances = 1\n",
        guest.display()
    )
}

#[test]
fn a_chain_that_would_wait_for_itself_is_refused_however_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let tables = narrow(folder.path());
    let mail = Mail::flat("user", &["x\n"]);
    let guests = "2 of its links must run at once, and max_wasm_instances is 1";
    for (chain, said) in [
        (
            "[\"one\", \"two\", \"one\"]",
            "transform one stands 2 times in the chain, and its max_running is 1",
        ),
        ("[\"guest\", \"two\", \"guest\"]", guests),
    ] {
        let rule = format!("[[rule]]\nusers = [\"user\"]\ntransform = {chain}\n");
        for config in [format!("transform = {chain}\n{tables}"), format!("{tables}{rule}")] {
            let (status, log) = checked(&mail, &config);
            assert!(status.code() == Some(78) && log.contains(said) && log.contains("pop3d.toml:"), "{log}");
            let state = tempfile::tempdir().unwrap();
            let (status, log) = fails_to_start_with(&mail, state.path(), &config);
            assert!(status.code() == Some(78) && log.contains(said) && log.contains("pop3d.toml:"), "{log}");
        }
    }
}

#[test]
fn an_administrator_cannot_set_a_chain_that_would_wait_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let tables = narrow(folder.path());
    let mail = Mail::flat("user", &["x\n"]);
    let state = tempfile::tempdir().unwrap();
    let options = Options { config: &tables, state: Some(state.path()), ..Options::default() };
    let server = Server::with(&mail, &options);
    let mut admin = Admin::at(&state.path().join("peep.sock"));
    for chain in ["one,one", "two,one,two,two user", "guest,one,guest user"] {
        admin.says(&format!("tf= {chain}")).hears("-24");
    }
    assert_eq!((admin.lines("tf?"), admin.lines("tf? user")), (Vec::new(), Vec::new()));
    for said in [
        "the chain two,one,two,two was not set",
        "3 of its links must run at once, and max_running of two is 2",
    ] {
        server.logs(said);
    }
    admin.says("tf= two,one,two,guest user").hears("+");
    Client::login(server.address(), "user").says("RETR 1").hears("+OK");
    // What was set can be made impossible later.
    let narrower = tables.replace("max_running = 2", "max_running = 1");
    fs::write(server.config(), &narrower).unwrap();
    admin.says("cf").hears("-11");
    let said = "the chain of user user that was set at run time can never be passed";
    server.logs(said);
    assert_eq!(admin.lines("tf? user"), ["two", "one", "two", "guest"]);
    drop((admin, server));
    let (status, log) = fails_to_start_with(&mail, state.path(), &narrower);
    assert!(!status.success() && log.contains(said), "{log}");
}

#[test]
fn exact_sizes_are_those_of_messages_that_a_link_was_passed_by_for() {
    // So few that the link does not rest after its failures.
    let mail = Mail::flat_in_order("user", &["Subject: a\n\nx x x\n", ""]);
    let folder = tempfile::tempdir().unwrap();
    let mended = folder.path().join("mended");
    for chain in
        ["\"fails\"", "\"fails\", \"sed s/x/long/g\"", "\"sed s/x/long/g\", \"fails\", \"fails\", \"cat\""]
    {
        let _ = fs::remove_file(&mended);
        let config = format!(
            "transform = [{chain}]\n[transform_defaults]\nsizes = \"exact\"\n[transforms.fails]\non_error = \"pass\"\n\
             command = \"cat; echo more; test -e {}\"\n",
            mended.display()
        );
        let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
        for is_mended in [false, true] {
            if is_mended {
                fs::write(&mended, "").unwrap();
            }
            let mut client = Client::login_when_free(server.address(), "user");
            client.says("LIST").hears("+OK");
            let listing = String::from_utf8(client.body().unwrap()).unwrap();
            let mut sizes = Vec::new();
            for number in 1..=2 {
                client.says(&format!("RETR {number}")).hears("+OK");
                let octets = client.body().unwrap();
                assert_eq!(octets.ends_with(b"more\r\n"), is_mended);
                sizes.push(octets.len());
            }
            let lines: Vec<_> = (1..).zip(&sizes).map(|(number, size)| format!("{number} {size}")).collect();
            assert_eq!(listing.lines().collect::<Vec<_>>(), lines, "{chain}, mended: {is_mended}");
            client.says("STAT").hears(&format!("+OK 2 {}", sizes.iter().sum::<usize>()));
            client.says("QUIT").hears("+OK");
        }
    }
}

#[test]
fn the_bound_of_a_link_grows_with_what_comes_into_it_and_not_with_the_message() {
    let filters = Filters::default();
    let mut config = "[transforms.more]\ncommand = \"head -c 1000000 /dev/zero | tr '\\\\0' x\"\n".to_owned();
    config.push_str("[transforms.less]\ncommand = \"head -c 100\"\n");
    for kind in KINDS {
        let name = |what: &str| format!("{what}-{kind:?}").to_lowercase();
        config.push_str(&filters.table(&name("double"), kind, Deed::Double, ""));
        let flood = match kind {
            Kind::Program => "command = \"cat; head -c 2000000 /dev/zero\"".to_owned(),
            Kind::Isolated => filters.native("bomb", "process"),
            Kind::Native => filters.native("bomb", "none"),
            Kind::Inline => filters.native("bomb", "none").replace("filter.so", "quick.so"),
            Kind::Component => {
                let guest = Guest { piece: "(call $flood) (i32.const 0)", ..Guest::default() };
                filters.wasm(&name("flood"), &guest.component())
            }
            Kind::Command => {
                let guest = Guest { piece: "(call $flood) (i32.const 0)", ..Guest::default() };
                filters.wasm(&name("flood"), &guest.command())
            }
        };
        config.push_str(&format!("[transforms.{}]\n{flood}\nspool = true\n", name("flood")));
    }
    let long = "a line of a message that is long enough\n".repeat(100_000);
    let mail = Mail::flat_in_order("user", &["x\n", &long]);
    let server = Server::with(&mail, &Options { config: &config, ..Options::default() });
    let mut admin = Admin::of(&server);
    let mut client = Client::login(server.address(), "user");
    let many = as_sent(&b"x".repeat(2_000_000));
    for kind in KINDS {
        let name = format!("{kind:?}").to_lowercase();
        // Two octets become a million, of which the next link makes two.
        admin.says(&format!("tf= more,double-{name}")).hears("+");
        client.says("RETR 1").hears("+OK");
        assert!(client.body().unwrap() == many, "{name}");
        // Four million become a hundred, of which nobody makes more than the floor.
        admin.says(&format!("tf= less,flood-{name}")).hears("+");
        client.says("RETR 2").hears("-ERR [SYS/TEMP]");
        let said = format!(
            "flood-{name}: user, message 2: limit of 100 times its input and 1 MiB of output reached"
        );
        server.logs(&said);
        let written = admin.value(&format!("tfs? flood-{name}"), "bytes_out");
        assert!(written > 0 && written <= (2 << 20), "{name}: {written}");
    }
}
