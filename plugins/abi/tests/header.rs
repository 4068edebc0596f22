//! The header and the Rust side are the same: a C program prints every size, offset and constant of the header, and how
//! many fields and functions there are.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::mem::offset_of;
use std::path::Path;
use std::process::Command;

use pop3d_abi as abi;

/// Expressions of C, and what Rust has for them.
type Facts = Vec<(String, i128)>;

macro_rules! layout {
    ($facts:ident, $c:literal, $rust:ty: $($field:ident: $type:ty),*) => {
        $facts.push((concat!("sizeof(", $c, ")").to_owned(), size_of::<$rust>() as i128));
        $(
            let field = stringify!($field);
            $facts.push((format!("offsetof({}, {field})", $c), offset_of!($rust, $field) as i128));
            $facts.push((format!("sizeof((({} *)0)->{field})", $c), size_of::<$type>() as i128));
            // The type that is named here is that of the field.
            let _: fn($rust) -> $type = |whole| whole.$field;
        )*
    };
}

macro_rules! constants {
    ($facts:ident: $($name:ident),*) => {
        $($facts.push((concat!("POP3D_", stringify!($name)).to_owned(), i128::from(abi::$name)));)*
    };
}

fn facts() -> Facts {
    let mut facts = Facts::new();
    layout!(facts, "pop3d_str", abi::Str: ptr: *const u8, len: usize);
    layout!(facts, "pop3d_option", abi::Opt: key: abi::Str, value: abi::Str);
    layout!(facts, "pop3d_message", abi::Message: size: u32, number: u32, octets: u64, command: u32, top_lines: u32,
        user: abi::Str, uid: abi::Str, remote: abi::Str);
    layout!(facts, "pop3d_host", abi::Host: size: u32, abi: u32, ctx: *mut std::ffi::c_void);
    for (field, offset) in [
        ("write", offset_of!(abi::Host, write)),
        ("error", offset_of!(abi::Host, error)),
        ("log", offset_of!(abi::Host, log)),
    ] {
        facts.push((format!("offsetof(pop3d_host, {field})"), offset as i128));
    }
    layout!(facts, "pop3d_transform", abi::Descriptor: abi: u32, size: u32, flags: u64,
        name: *const std::ffi::c_char, version: *const std::ffi::c_char, description: *const std::ffi::c_char,
        configure: Option<abi::Configure>, release: Option<abi::Release>, open: Option<abi::Open>,
        push: Option<abi::Push>, finish: Option<abi::Finish>, close: Option<abi::Close>);
    constants!(facts: MORE, PASS, STOP, TEMPORARY, PERMANENT, CLOSED, RETR, TOP, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG,
        FLAG_NONBLOCKING);
    facts.push(("POP3D_TRANSFORM_ABI".to_owned(), i128::from(abi::ABI)));
    facts
}

fn header() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include/pop3d_transform.h")
}

#[test]
fn the_header_says_what_rust_says() {
    let facts = facts();
    let folder = std::env::temp_dir().join(format!("pop3d-abi-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (source, program) = (folder.join("facts.c"), folder.join("facts"));
    let prints: String =
        facts.iter().map(|(c, _)| format!("    printf(\"%lld\\n\", (long long)({c}));\n")).collect();
    let text = format!(
        "#include <stdio.h>\n#include \"pop3d_transform.h\"\nint main(void) {{\n{prints}    return 0;\n}}\n"
    );
    std::fs::write(&source, text).unwrap();
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut compile = Command::new(compiler);
    compile.args(["-std=c99", "-Wall", "-Werror", "-I"]).arg(header().parent().unwrap());
    assert!(
        compile.arg("-o").arg(&program).arg(&source).status().unwrap().success(),
        "the header does not compile"
    );
    let output = Command::new(&program).output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let printed: Vec<i128> = printed.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(printed.len(), facts.len());
    for ((c, rust), printed) in facts.iter().zip(printed) {
        assert_eq!(printed, *rust, "{c}");
    }
}

#[test]
fn nothing_in_the_header_was_forgotten() {
    let text = std::fs::read_to_string(header()).unwrap();
    let constants = text.matches("    POP3D_").count() + text.matches("enum { POP3D_").count();
    let more =
        text.lines().filter(|line| line.starts_with("enum { ")).map(|line| line.matches(", POP3D_").count());
    let defined =
        text.matches("#define POP3D_FLAG_").count() + text.matches("#define POP3D_TRANSFORM_ABI").count();
    let facts = facts();
    let known = facts.iter().filter(|(c, _)| c.starts_with("POP3D_")).count();
    assert_eq!(constants + more.sum::<usize>() + defined, known);
    // Fields and functions end with a semicolon within a struct.
    let structs = text.split("typedef struct ").skip(1).map(|rest| rest.split("\n}").next().unwrap());
    let fields: usize =
        structs.map(|body| body.lines().filter(|line| without_comment(line).ends_with(';')).count()).sum();
    let offsets = facts.iter().filter(|(c, _)| c.starts_with("offsetof")).count();
    assert_eq!(fields, offsets);
}

fn without_comment(line: &str) -> &str {
    line.split("/*").next().unwrap_or_default().trim()
}
