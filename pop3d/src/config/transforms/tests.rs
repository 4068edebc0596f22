//! Chains, defaults, and the places of what is wrong.

use std::path::Path;
use std::time::Duration;

use pop3d_core::transform::OnError;
use pop3d_transforms::spec::Isolation;

use super::links::CHAIN_MAX;
use super::*;

fn transforms(text: &str, commands: &[&str]) -> Result<Transforms, String> {
    let file = File::parse(Path::new("x.toml"), text.as_bytes()).map_err(|error| error.to_string())?;
    let commands: Vec<_> = commands.iter().map(|&command| command.to_owned()).collect();
    Transforms::new(&file, &commands, Permissions::default()).map_err(|error| error.to_string())
}

fn wrong(text: &str) -> String {
    transforms(text, &[]).err().unwrap()
}

fn names(transforms: &Transforms) -> Vec<&str> {
    transforms.chain.iter().map(String::as_str).collect()
}

fn template(transforms: &Transforms) -> ProcessSpec {
    transforms.definitions.template.clone()
}

fn programs(transforms: &Transforms) -> Vec<&ProcessSpec> {
    transforms
        .definitions
        .specs
        .iter()
        .map(|spec| match spec {
            Spec::Process(program) => program,
            Spec::Plugin(plugin) => panic!("{plugin:?} is no program"),
        })
        .collect()
}

#[test]
fn a_chain_is_made_of_names_and_commands() {
    let table = "[transforms.tagger]\ncommand = [\"cat\", \"-u\"]\n";
    let one = transforms(&format!("transform = \"tagger\"\n{table}"), &[]).unwrap();
    assert_eq!(programs(&one)[0].command, CommandLine::Direct(vec!["cat".into(), "-u".into()]));
    let two = format!("transform = [\"cat\", \"tagger\", \"\"]\n{table}");
    assert_eq!(names(&transforms(&two, &[]).unwrap()), ["cat", "tagger"]);
    assert!(transforms(&two, &[""]).unwrap().chain.is_empty());
    assert_eq!(names(&transforms(&two, &["tagger", "tr a b"]).unwrap()), ["tagger", "tr"]);
    let none = transforms(table, &[]).unwrap();
    assert_eq!((none.chain.len(), programs(&none).len()), (0, 1), "defined, and in no chain");
}

#[test]
fn a_program_that_is_told_of_a_file_of_code_is_a_program() {
    let one = transforms("transform = \"wasmtime run /opt/filter.wasm\"", &[]).unwrap();
    let words = ["wasmtime", "run", "/opt/filter.wasm"].map(str::to_owned).to_vec();
    assert_eq!((names(&one), &programs(&one)[0].command), (vec!["wasmtime"], &CommandLine::Direct(words)));
    // Where there is such a file, the space is one of its name.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a b.so");
    std::fs::write(&file, "").unwrap();
    assert!(wrong(&format!("transform = {file:?}")).contains("cannot be the name"));
}

#[test]
fn no_two_links_share_a_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("scan.so"), "").unwrap();
    let text = format!(
        "transform_dir = {:?}
        transform = [\"a/tag.wasm\", \"/opt/tag.py\", \"a/tag.wasm\", \"/opt/scan.sh\"]",
        folder.path(),
    );
    assert_eq!(names(&transforms(&text, &[]).unwrap()), ["tag", "tag-2", "tag", "scan-2"]);
    let text = format!("transform_dir = {:?}\ntransform = [\"scan.so\", \"scan\"]", folder.path());
    let made = transforms(&text, &[]).unwrap();
    assert_eq!((names(&made), made.tolerated.len()), (vec!["scan", "scan"], 0));
    for chain in ["[\"a/tag.wasm\", \"b/tag.wasm\"]", "[\"/opt/tag.py\", \"a/tag.wasm\"]"] {
        let said = wrong(&format!("transform = {chain}"));
        assert!(said.contains("is another one's"), "{said}");
    }
}

#[test]
fn a_command_used_as_it_is_has_a_name_of_its_own() {
    let text = "transform = [\"cat\", \"/bin/cat\", \"cat -u\", \"cat\", \"sed\", \"/opt/sed x\", \"exec cat\", \"sed-2\"]
        [transforms.sed]
        command = \"cat\"
        [transforms.cat-2]
        command = \"cat\"";
    let transforms = transforms(text, &[]).unwrap();
    assert_eq!(names(&transforms), ["cat", "cat-3", "cat-4", "cat", "sed", "sed-2", "exec-2", "sed-2-2"]);
    let defined: Vec<_> = programs(&transforms).iter().map(|spec| spec.name.clone()).collect();
    assert_eq!(defined, ["cat", "cat-2", "cat-3", "cat-4", "exec-2", "sed", "sed-2", "sed-2-2"]);
    assert_eq!(programs(&transforms)[6].command, CommandLine::Direct(vec!["/opt/sed".into(), "x".into()]));
}

#[test]
fn a_program_is_started_where_the_configuration_says() {
    let text = "[transform_defaults]
        cwd = \"/var\"
        [transforms.one]
        command = \"cat\"
        [transforms.two]
        command = \"cat\"
        cwd = \"/tmp\"";
    let made = transforms(text, &[]).unwrap();
    let folders: Vec<_> = programs(&made).iter().map(|spec| spec.folder.clone()).collect();
    assert_eq!(folders, [Path::new("/var"), Path::new("/tmp")]);
    assert_eq!(template(&transforms("", &[]).unwrap()).folder, Path::new("/"));
}

#[test]
fn a_chain_has_a_bound() {
    let links = |count: usize| {
        let chain = "\"x\",".repeat(count);
        format!("transform = [{chain}]\n[transforms.x]\ncommand = \"cat\"\nmax_running = 1000")
    };
    assert!(transforms(&links(CHAIN_MAX), &[]).is_ok());
    assert!(wrong(&links(CHAIN_MAX + 1)).contains("at most 100"));
}

#[test]
fn a_transform_never_waits_for_itself() {
    let text = "transform = [\"x\", \"cat\", \"x\"]\n[transforms.x]\ncommand = \"cat\"\nmax_running = ";
    let said = wrong(&format!("{text}1"));
    assert!(said.starts_with("x.toml:1:26: transform x stands 2 times"), "{said}");
    assert!(transforms(&format!("{text}2"), &[]).is_ok());
    let by_core = ProcessSpec::new("cat", CommandLine::Direct(vec!["cat".into()])).running_limit();
    assert!(transforms("", &vec!["cat"; by_core]).is_ok() || by_core > CHAIN_MAX);
    assert!(transforms("", &vec!["cat"; by_core + 1]).is_err());
    let said = transforms("[transform_defaults]\nmax_running = 1", &["cat", "cat"]).err().unwrap();
    assert!(said.contains("transform cat stands 2 times"), "{said}");
}

#[test]
fn what_is_said_for_one_wins_over_what_is_said_for_all() {
    let text = "transform = [\"x\", \"cat\"]
        [transforms.x]
        command = \"cat\"
        timeout = \"1m\"
        on_error = \"fail\"
        env = { A = \"own\", PATH = \"/bin\" }
        options = { number = 7, text = \"a b\", is = true }
        [transform_defaults]
        timeout = 5
        on_error = \"pass\"
        spool = true
        memory = \"1GiB\"
        env = { A = \"all\", B = \"all\" }
        hold = \"1MiB\"
        sizes = \"exact\"
        [transform_pool]
        queue_timeout = \"5s\"";
    let transforms = transforms(text, &[]).unwrap();
    assert_eq!((transforms.hold, transforms.sizes), (1 << 20, Sizes::Exact));
    let [all, own] = programs(&transforms)[..] else { panic!() };
    let template =
        ProcessSpec { name: "cat".to_owned(), command: all.command.clone(), ..template(&transforms) };
    assert_eq!(*all, template);
    assert_eq!((own.timeout, all.timeout), (Duration::from_secs(60), Duration::from_secs(5)));
    assert_eq!((own.policy.on_error, all.policy.on_error), (OnError::Fail, OnError::Pass));
    assert!(own.policy.spool && all.policy.spool);
    assert_eq!((own.memory, own.queue_timeout), (Some(1 << 30), Duration::from_secs(5)));
    assert_eq!((own.path.as_str(), all.path.as_str()), ("/bin", "/usr/local/bin:/usr/bin:/bin"));
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(own.env, [pair("A", "own"), pair("B", "all")]);
    assert_eq!(own.options, [pair("number", "7"), pair("text", "a b"), pair("is", "true")]);
}

#[test]
fn what_cannot_be_is_named_at_its_place() {
    for (text, place, named) in [
        ("[transforms.x]\nfile = \"x.wasm\"\nkind = \"native\"", "2:8", "ends in .so"),
        ("[transforms.x]\nfile = \"x.wasm\"\nhosts = 2", "1:1", "native plugins"),
        ("transform_dir = \"d\"\n[transforms.x]\nhosts = 2\nenv = { A = \"b\" }", "2:1", "native plugins"),
        ("transform_dir = \"d\"\n[transforms.x]\nkind = \"wasm\"\nhosts = 2", "2:1", "native plugins"),
        (
            "transform_dir = \"d\"\n[transforms.x]\nkind = \"native\"\nenv = { A = \"b\" }",
            "2:1",
            "WASI commands",
        ),
        ("transform_dir = \"d\"\n[transforms.x]\nmax_running = 2", "2:1", "for programs"),
        ("[transforms.x]\nfile = \"x.so\"\ncwd = \"/tmp\"", "1:1", "for programs"),
        ("[transforms.x]\ncommand = \"cat\"\ncwd = \"tmp\"", "3:7", "a whole path"),
        ("[transform_defaults]\ncwd = \"\"", "2:7", "a whole path"),
        ("transform_dir = \"d\"\n[transforms.x]\nkind = \"process\"", "2:1", "`command`"),
        ("transform_dir = \"d\"\n[transforms.\"a b\"]\nspool = true", "2:1", "name of a transform"),
        ("transform = \"/usr/lib/a+b.so \"", "1:13", "cannot be the name"),
        ("transform = \"exec.so\"", "1:13", "cannot be the name"),
        ("[transforms.x]\nspool = true", "1:1", "`command`"),
        ("[transforms.x]\nkind = \"native\"", "1:1", "`file`"),
        ("[transforms.x]\nfile = \"x.txt\"", "2:8", "ends in .so"),
        ("[transforms.x]\ncommand = \"x\"\nhosts = 2", "1:1", "native plugins"),
        ("[transforms.x]\nfile = \"x.so\"\nmax_running = 2", "1:1", "for programs"),
        ("[transforms.x]\nfile = \"x.so\"\nisolation = \"some\"", "3:13", "`process` or `none`"),
        ("transform = [\"cat\", 1]", "1:21", "string"),
        ("transform = 1", "1:13", "an array of them"),
        ("transform = [\"a\\u0000b\"]", "1:14", "NUL"),
        ("[transforms.x]\ncommand = []", "2:11", "transform x: its command"),
        ("[transforms.x]\ncommand = \" \"", "2:11", "transform x: its command"),
        ("[transforms.\"a b\"]\ncommand = \"cat\"", "1:1", "name of a transform"),
        ("[transforms.exec]\ncommand = \"cat\"", "1:1", "names none, default, exec"),
        ("\n [transforms.none]\ncommand = \"cat\"", "2:2", "names none, default, exec"),
        ("[transforms]\ndefault.command = \"cat\"", "2:1", "names none, default, exec"),
        ("[transforms.x]\ncommand = \"cat\"\nenv = { \"A=\" = \"\" }", "3:9", "variable"),
        ("[transforms.x]\ncommand = \"cat\"\nenv = { A = \"\\u0000\" }", "3:13", "variable"),
        ("[transforms.x]\nfile = \"x.so\"\ncommand = \"x\"", "2:8", "name one"),
        ("[transforms.x]\nkind = \"wasm\"\ncommand = \"x\"", "1:1", "`file`"),
        ("[transform_defaults]\nenv = { \"\" = \"\" }", "2:9", "variable"),
        ("[transform_defaults]\noptions = { a = \"\\u0000\" }", "2:11", "option"),
        ("[transform_defaults]\nhold = \"65MiB\"", "2:8", "at most 64MiB"),
    ] {
        let said = wrong(text);
        assert!(said.starts_with(&format!("x.toml:{place}: ")) && said.contains(named), "{said}");
    }
}

#[test]
fn a_table_without_a_file_is_of_a_file_in_the_folder() {
    let text = "transform_dir = \"no-such-folder\"
        [transform_defaults]
        isolation = \"none\"
        hosts = 3
        timeout = 5
        [transforms.any]
        options = { a = 1 }
        [transforms.native]
        isolation = \"process\"
        hosts = 2
        [transforms.guest]
        env = { A = \"b\" }
        [transforms.told]
        kind = \"native\"
        cpu = 1";
    let transforms = transforms(text, &[]).unwrap();
    let [any, guest, native, told] = &transforms.definitions.awaited[..] else { panic!("four of them") };
    assert_eq!(
        [any, guest, native, told].map(|it| it.spec.name.as_str()),
        ["any", "guest", "native", "told"]
    );
    let (wasm, shared) = (Some(transform::Kind::Wasm), Some(transform::Kind::Native));
    assert_eq!([any.kind, guest.kind, native.kind, told.kind], [None, wasm, shared, shared]);
    assert!(any.fits(Path::new("d/any.so")) && any.fits(Path::new("d/any.wasm")));
    assert!(native.fits(Path::new("d/native.so")) && !native.fits(Path::new("d/native.wasm")));
    // What is said for all holds for them as well.
    assert_eq!((any.spec.isolation, any.spec.hosts), (Isolation::None, 3));
    assert_eq!((native.spec.isolation, native.spec.hosts), (Isolation::Process, 2));
    assert_eq!((any.spec.timeout, told.spec.cpu), (Duration::from_secs(5), Duration::from_secs(1)));
    let said: Vec<_> = transforms.tolerated.iter().map(Exit::to_string).collect();
    assert!(said[0].starts_with("x.toml:6:9: ") && said[0].contains("any.so or any.wasm"), "{said:?}");
}

#[test]
fn a_program_that_is_not_there_is_named_at_its_place() {
    let text = "transform = [\"x\", \"no-such-program -v\", \"cat | no-such-program\"]
[transforms.x]
command = [\"/no/such/program\"]";
    let missing = transforms(text, &[]).unwrap().tolerated;
    let said: Vec<_> = missing.iter().map(Exit::to_string).collect();
    let [of_table, of_chain] = &said[..] else { panic!("{said:?}") };
    assert!(of_table.starts_with("x.toml:3:11: ") && of_table.contains("/no/such/program"), "{of_table}");
    assert!(of_chain.starts_with("x.toml:1:19: ") && of_chain.contains("no-such-program"), "{of_chain}");
}

#[test]
fn a_rule_has_a_condition_and_a_chain_of_its_own() {
    let text = "transform = \"cat\"
[[rule]]
users = [\"sales-*\", \"bob\"]
max_size = \"10MiB\"
if_header = [\"Content-Type: multipart/*\"]
commands = [\"retr\"]
transform = [\"tac\", \"cat\"]
[[rule]]
users = [\"backup\"]
transform = []";
    let transforms = transforms(text, &[]).unwrap();
    let [first, second] = &transforms.rules[..] else { panic!("two rules") };
    let (chain, none) = (&first.names, &second.names);
    let (first, second) = (&first.condition, &second.condition);
    assert_eq!((chain.join(","), none.len(), names(&transforms)), ("tac,cat".to_owned(), 0, vec!["cat"]));
    assert_eq!((first.users.len(), first.max_size, first.retr, first.top), (2, 10 << 20, true, false));
    assert!(second.is_of_users_alone() && second.is_about("backup") && !second.is_about("bob"));
}

#[test]
fn a_rule_that_cannot_match_is_named_at_its_place() {
    let rule = |keys: &str| format!("[[rule]]\n{keys}\ntransform = \"cat\"");
    for (keys, place, named) in [
        ("users = []", "2:9", "empty"),
        ("users = [\"a\", \"\"]", "2:15", "empty name"),
        ("users = [\"a\"]\nexcept_users = [\"*\"]", "1:1", "never match"),
        ("users = [\"a*\"]\nexcept_users = [\"a\", \"a?*\"]", "1:1", "leaves none of its users"),
        ("users = [\"b\", \"sales-[ab]\"]", "2:15", "nothing else"),
        ("users = [\"sales-{a,b}\"]", "2:10", "nothing else"),
        ("except_users = [\"a\\\\*b\"]", "2:17", "nothing else"),
        ("users = [\"a/b*\"]", "2:10", "no user has such a name"),
        ("users = [\".a*\"]", "2:10", "no user has such a name"),
        ("users = [\"a\\u0000\"]", "2:10", "no user has such a name"),
        ("if_header = [\"X-*: y\"]", "2:14", "no glob"),
        ("if_header = [\"X: y\\r\\nZ: *\"]", "2:14", "line end"),
        ("min_size = 2\nmax_size = 1", "1:1", "never match"),
        ("if_header = [\"Subject\"]", "2:14", "Name: glob"),
        ("commands = [\"LIST\"]", "2:13", "RETR"),
        ("commands = []", "2:12", "empty"),
        ("user = [\"a\"]", "2:1", "unknown field `user`"),
        ("max_size = \"much\"", "2:12", "64KiB"),
    ] {
        let said = wrong(&rule(keys));
        assert!(said.starts_with(&format!("x.toml:{place}: ")) && said.contains(named), "{keys}: {said}");
    }
    let tolerated = |text: &str| transforms(text, &[]).unwrap().tolerated[0].to_string();
    let shadowed = format!("{}\n{}", rule("users = [\"b*\"]"), rule("users = [\"bob\"]\nmin_size = 7"));
    let said = tolerated(&shadowed);
    assert!(said.starts_with("x.toml:4:1: this rule can never match: rule 1 before"), "{said}");
    let together = [rule("commands = [\"RETR\"]"), rule("users = [\"ann\"]"), rule("commands = [\"TOP\"]")];
    let said = tolerated(&format!("{}\n{}", together.join("\n"), rule("max_size = 7")));
    assert!(said.starts_with("x.toml:10:1: ") && said.contains("rules 1 and 3 before it"), "{said}");
    assert!(wrong("[[rule]]\nusers = [\"a\"]").contains("missing field `transform`"));
    let said = tolerated("[[rule]]\ntransform = [\"cat\", \"no-such-program\"]");
    assert!(said.starts_with("x.toml:2:21: "), "{said}");
}

#[test]
fn options_are_in_the_order_of_the_file_and_what_is_no_string_is_json() {
    let text = "[transforms.x]\ncommand = \"cat\"
options = { z = 1, a = [\"b\", 1, true], c = { d = 1.5 }, e = 1979-05-27, f = \"as it is\" }";
    let transforms = transforms(text, &[]).unwrap();
    let options: Vec<_> =
        programs(&transforms)[0].options.iter().map(|(key, value)| format!("{key} {value}")).collect();
    let expected = ["z 1", "a [\"b\",1,true]", "c {\"d\":1.5}", "e \"1979-05-27\"", "f as it is"];
    assert_eq!(options, expected);
}
