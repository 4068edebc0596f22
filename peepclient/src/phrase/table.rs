//! The table of the phrases. Those of the published client come first, word for word.

use super::{Column, Kind, Parameter, Phrase, Shows};

const fn required(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, is_optional: false }
}

const fn optional(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, is_optional: true }
}

const fn number(name: &'static str) -> Column {
    Column { name, is_number: true, may_lack: true }
}

const fn text(name: &'static str) -> Column {
    Column { name, is_number: false, may_lack: false }
}

const fn row(
    words: &'static str,
    parameters: &'static [Parameter],
    commencement: &'static str,
    shows: Shows,
    help: &'static str,
) -> Phrase {
    Phrase { words, parameters, commencement: Some(commencement), shows, help }
}

const USER: Parameter = required("user", Kind::User);
const PASSWORD: Parameter = required("password", Kind::Password);
const TRANSFORM: Parameter = required("name", Kind::Transform);

const SESSIONS: Shows = Shows::Table(&[
    number("id"),
    Column { name: "user", is_number: false, may_lack: true },
    text("address"),
    text("state"),
    number("seconds"),
    number("octets"),
]);
const APPS: Shows = Shows::Table(&[text("name"), number("made"), number("used")]);
const BANS: Shows = Shows::Table(&[text("address"), number("seconds")]);
const TRANSFORMS: Shows = Shows::Table(&[text("name"), text("kind"), text("state"), number("generation")]);
const STATISTICS: Shows = Shows::Pairs(&[text("name"), number("value")]);

/// Every phrase there is, in the order of the help.
pub static PHRASES: [Phrase; 44] = [
    row("add user", &[required("user", Kind::NewName), PASSWORD], "u+", Shows::Plain, "adds a user"),
    row(
        "delete user",
        &[USER],
        "u-",
        Shows::Plain,
        "deletes a user: no new logins; sessions that are open may stay",
    ),
    row("users", &[], "u?", Shows::Plain, "lists the users"),
    row("maildir", &[], "m?", Shows::Plain, "tells the mail folder"),
    row(
        "set maildir",
        &[required("path", Kind::Path)],
        "m=",
        Shows::Plain,
        "sets the mail folder, for new sessions",
    ),
    row("timeout", &[], "t?", Shows::Plain, "tells the seconds of silence after which a session is closed"),
    row(
        "set timeout",
        &[required("seconds", Kind::Number)],
        "t=",
        Shows::Plain,
        "sets the seconds of silence after which a session is closed; 0: never",
    ),
    row("max connections", &[], "c?", Shows::Plain, "tells how many POP3 connections there may be at once"),
    row(
        "set max connections",
        &[required("number", Kind::Number)],
        "c=",
        Shows::Plain,
        "sets how many POP3 connections there may be at once; open ones stay",
    ),
    row("retrieved bytes", &[], "rb?", Shows::Plain, "counts the octets of all answers to POP3 commands"),
    row("retrieved emails", &[], "re?", Shows::Plain, "counts the messages that were retrieved"),
    row("removed emails amount", &[], "xe?", Shows::Plain, "counts the messages that were removed"),
    row(
        "current connections amount",
        &[],
        "cc?",
        Shows::Plain,
        "counts the POP3 connections, logged in or not",
    ),
    row("current logged users", &[], "cu?", Shows::Plain, "lists the users who are logged in"),
    row(
        "all time connection amount",
        &[],
        "hc?",
        Shows::Plain,
        "counts the POP3 connections there have ever been",
    ),
    row("all time logged amount", &[], "hu?", Shows::Plain, "counts the logins there have ever been"),
    row("capa", &[], "cap?", Shows::Plain, "lists what the server can do beyond what every server can"),
    row("set password", &[USER, PASSWORD], "u=", Shows::Plain, "sets the password of a user"),
    row(
        "transform",
        &[optional("user", Kind::User)],
        "tf?",
        Shows::Plain,
        "lists the chain of transforms in force, or the one of a user",
    ),
    row(
        "set transform",
        &[required("chain", Kind::Chain), optional("user", Kind::User)],
        "tf=",
        Shows::Plain,
        "sets the chain: names joined by commas, \"none\", or \"default\": as if none had been set",
    ),
    row("transforms", &[], "tfl?", TRANSFORMS, "lists the transforms there are"),
    row(
        "load transform",
        &[required("name", Kind::NewName), required("file", Kind::File)],
        "tf+",
        Shows::Plain,
        "loads a .wasm or .so file of the transform folder under a name",
    ),
    row(
        "unload transform",
        &[TRANSFORM],
        "tf-",
        Shows::Plain,
        "unloads a transform; running messages finish",
    ),
    row(
        "reload transform",
        &[required("name", Kind::TransformOrAll)],
        "tfr",
        Shows::Plain,
        "loads the file of a transform anew; *: of all",
    ),
    row(
        "set transform option",
        &[TRANSFORM, required("key:value", Kind::Option)],
        "tfo=",
        Shows::Plain,
        "sets an option of a transform",
    ),
    row("transform stats", &[TRANSFORM], "tfs?", STATISTICS, "tells what a transform has done"),
    row("transform error", &[TRANSFORM], "tfe?", Shows::Decoded, "tells the last error of a transform"),
    row(
        "set program",
        &[required("command…", Kind::Program)],
        "tfx=",
        Shows::Plain,
        "makes a program the chain, where the configuration permits it",
    ),
    row("sessions", &[], "s?", SESSIONS, "lists the POP3 sessions"),
    row(
        "kick",
        &[required("id", Kind::Session)],
        "k",
        Shows::Plain,
        "closes a session, without removing messages",
    ),
    row("kick user", &[USER], "ku", Shows::Plain, "closes all sessions of a user, and tells how many"),
    row(
        "app passwords",
        &[USER],
        "ua?",
        APPS,
        "lists the app passwords of a user, and when each was made and used last, in seconds after 1970",
    ),
    row(
        "make app password",
        &[USER, required("name", Kind::NewName)],
        "ua+",
        Shows::Plain,
        "makes an app password of a user, and tells it once",
    ),
    row(
        "revoke app password",
        &[USER, required("name", Kind::NewName)],
        "ua-",
        Shows::Plain,
        "takes an app password back: no new logins by it",
    ),
    row(
        "bans",
        &[],
        "ban?",
        BANS,
        "lists the addresses that are refused for failed logins, and for how long still",
    ),
    row(
        "unban",
        &[required("address", Kind::Address)],
        "ban-",
        Shows::Plain,
        "lets an address in again that is refused for failed logins",
    ),
    row("statistics", &[], "st?", STATISTICS, "lists every statistic, by its OpenMetrics name"),
    row("log level", &[], "lg?", Shows::Plain, "tells what is logged"),
    row(
        "set log level",
        &[required("level", Kind::Level)],
        "lg=",
        Shows::Plain,
        "sets what is logged: off, error, warn, info, debug or trace",
    ),
    row(
        "reload",
        &[],
        "cf",
        Shows::Plain,
        "reads the configuration file again, and takes it as a whole or not",
    ),
    row("version", &[], "v?", Shows::Plain, "tells the version of the server"),
    row("uptime", &[], "up?", Shows::Plain, "tells the seconds since the server was started"),
    Phrase {
        words: "help",
        parameters: &[optional("command", Kind::Words)],
        commencement: None,
        shows: Shows::Plain,
        help: "lists the commands, or tells about one",
    },
    row("quit", &[], "q", Shows::Plain, "ends"),
];
