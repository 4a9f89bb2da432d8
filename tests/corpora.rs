//! The corpora of the fuzz targets (`fuzz/`), replayed: what was found once stays mended.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what must hold and does not is what is looked for"
)]

use std::{fs, path::Path};

#[path = "../fuzz/targets.rs"]
mod targets;

#[test]
fn what_must_hold_of_any_bytes_holds_of_the_corpora() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in targets::ALL {
        let files = fs::read_dir(corpora.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut replayed = 0;
        for file in files {
            target(&fs::read(file.unwrap().path()).unwrap());
            replayed += 1;
        }
        assert!(replayed > 0, "{name} has no corpus");
    }
}
