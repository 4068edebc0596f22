//! Filters for the POP3 server pop3d: written once, built as a native plugin (`.so`) and as WebAssembly (`.wasm`).
//!
//! A filter implements one trait, and is exported by one macro:
//!
//! - [`HeaderRewriter`] sees the fields of the header, and the body costs nothing;
//! - [`LineFilter`] sees lines;
//! - [`PartFilter`] sees the parts of a message in MIME, text decoded;
//! - [`Filter`] sees octets as they come, and is what the others are made of.
//!
//! The crate of a filter has `crate-type = ["cdylib"]`. `cargo build --release` makes the plugin,
//! `cargo build --release --target wasm32-unknown-unknown` the file for the sandbox, which is dropped in as it is.
//!
//! # Tag the subject
//!
//! ```
//! use pop3d_transform::{ByHeader, HeaderRewriter, Options, Rewrite, Value, export_transform};
//!
//! #[derive(Clone)]
//! struct Tag(String);
//!
//! impl HeaderRewriter for Tag {
//!     fn configure(options: &mut Options) -> Result<Self, String> {
//!         Ok(Self(options.required("prefix")?))
//!     }
//!     fn header(&mut self, name: &str, value: Value<'_>) -> Rewrite {
//!         if name.eq_ignore_ascii_case("subject") { Rewrite::Replace(value.prefixed(&self.0)) } else { Rewrite::Keep }
//!     }
//! }
//! export_transform!(ByHeader<Tag>, name: "tag", description: "Puts a prefix before the subject");
//!
//! let sent = pop3d_transform::run::<ByHeader<Tag>>(&[("prefix", "[ext]")], b"Subject: Hello\n\nBody\n");
//! assert_eq!(sent.unwrap(), b"Subject: [ext] Hello\n\nBody\n");
//! ```
//!
//! # Drop attachments of a type
//!
//! ```
//! use pop3d_transform::{ByPart, Choice, Options, Part, PartFilter, export_transform};
//!
//! #[derive(Clone)]
//! struct Strip(String);
//!
//! impl PartFilter for Strip {
//!     fn configure(options: &mut Options) -> Result<Self, String> {
//!         Ok(Self(options.required("type")?))
//!     }
//!     fn part(&mut self, part: &Part) -> Choice {
//!         if part.media_type() == self.0 { Choice::Drop } else { Choice::Walk }
//!     }
//! }
//! export_transform!(ByPart<Strip>, name: "strip", description: "Drops attachments of a type");
//!
//! let sent = pop3d_transform::run::<ByPart<Strip>>(
//!     &[("type", "text/x-c")],
//!     b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\nContent-Type: text/x-c\n\n{}\n--b--\n",
//! );
//! assert_eq!(sent.unwrap(), b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b--\n");
//! ```
//!
//! # In WebAssembly
//!
//! The server gives options with each message there, so that `configure` runs once a message, and refuses the message
//! rather than the file. A panic ends the guest; natively it is caught, and costs the message either way. Natively that
//! needs `panic = "unwind"`, which is Cargo's default.

mod filter;
mod glob;
mod header;
mod lines;
mod options;
mod parts;
mod rewriter;
mod run;
mod words;

#[cfg(not(target_arch = "wasm32"))]
#[doc(hidden)]
pub mod native;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod wasm;

pub use filter::{Command, Error, Filter, Flow, Level, Message, Output, Sink};
pub use glob::matches_glob;
pub use header::{HEADER_MAX, Value, encode_text, is_field_name};
pub use lines::{ByLine, LINE_MAX, LineFilter};
pub use options::Options;
pub use parts::{BODY_MAX, ByPart, Choice, DEPTH_MAX, Edit, NewPart, Part, PartFilter, TEXT_MAX, has_armour};
pub use rewriter::{ByHeader, HeaderRewriter, Headers, Rewrite};
pub use run::{run, run_cut};

/// A filter whose options were all taken.
fn configured<F: Filter>(mut options: Options) -> Result<F, String> {
    let filter = F::configure(&mut options)?;
    options.refuse_rest()?;
    Ok(filter)
}

/// Exports a filter: natively as the symbol `pop3d_transform_v1`, in WebAssembly as the world `pop3d:transform`.
///
/// Once a crate, at its top level: `export_transform!(MyFilter, name: "tagger", description: "What it does");`
#[macro_export]
macro_rules! export_transform {
    ($filter:ty, name: $name:literal, description: $description:literal $(,)?) => {
        /// What the server looks for.
        #[cfg(not(target_arch = "wasm32"))]
        #[unsafe(no_mangle)]
        #[allow(non_upper_case_globals, reason = "the name is that of the interface")]
        pub static pop3d_transform_v1: $crate::native::Descriptor = $crate::native::descriptor::<$filter>(
            ::core::concat!($name, "\0"),
            ::core::concat!(::core::env!("CARGO_PKG_VERSION"), "\0"),
            ::core::concat!($description, "\0"),
        );

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[unsafe(link_section = "component-type:pop3d-transform")]
            #[used]
            static TYPE: [u8; $crate::wasm::COMPONENT_TYPE.len()] = $crate::wasm::COMPONENT_TYPE;

            static SLOT: $crate::wasm::Slot<$filter> = $crate::wasm::Slot::new();

            #[unsafe(export_name = "pop3d:transform/filter@1.0.0#start")]
            unsafe extern "C" fn start(
                user: *mut u8,
                user_len: usize,
                number: u32,
                octets: u64,
                uid: *mut u8,
                uid_len: usize,
                command: u32,
                top_lines: u32,
                remote: *mut u8,
                remote_len: usize,
                options: *mut [usize; 4],
                options_len: usize,
            ) -> *const $crate::wasm::Answer {
                // SAFETY: only the host calls this, by the canonical form.
                unsafe {
                    SLOT.start(
                        (user, user_len),
                        number,
                        octets,
                        (uid, uid_len),
                        command,
                        top_lines,
                        (remote, remote_len),
                        (options, options_len),
                    )
                }
            }

            #[unsafe(export_name = "pop3d:transform/filter@1.0.0#push")]
            unsafe extern "C" fn push(ptr: *mut u8, len: usize) -> *const $crate::wasm::Answer {
                // SAFETY: as for `start`.
                unsafe { SLOT.push(ptr, len) }
            }

            #[unsafe(export_name = "pop3d:transform/filter@1.0.0#finish")]
            extern "C" fn finish() -> *const $crate::wasm::Answer {
                SLOT.finish()
            }

            #[unsafe(export_name = "cabi_realloc")]
            unsafe extern "C" fn allocate(old: *mut u8, old_len: usize, align: usize, len: usize) -> *mut u8 {
                // SAFETY: as for `start`.
                unsafe { $crate::wasm::allocate(old, old_len, align, len) }
            }
        };
    };
}
