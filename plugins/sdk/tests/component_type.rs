//! The type of the world that a guest carries is that of `plugins/wit`.

use std::path::Path;

use wit_component::StringEncoding;
use wit_parser::Resolve;

#[test]
fn the_component_type_is_that_of_the_world() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(here.join("../wit")).unwrap();
    let world = resolve.select_world(&[package], Some("transform")).unwrap();
    let encoded = wit_component::metadata::encode(&resolve, world, StringEncoding::UTF8, None).unwrap();
    let file = here.join("src/component-type.bin");
    if std::env::var_os("POP3D_UPDATE").is_some() {
        std::fs::write(&file, &encoded).unwrap();
    }
    let kept = std::fs::read(&file).unwrap();
    assert!(kept == encoded, "run this test with POP3D_UPDATE=1, and look at what changed");
}
