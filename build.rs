//! Tells Cargo that the built page is part of the program: rust-embed alone does not notice a file
//! that is new. Without Node there is no built page, and the program says so where it would be.

use std::path::Path;

/// Where `npm run build` puts it.
const BUILT: &str = "web/dist";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A directory that is not there would count as changed in every build.
    if Path::new(BUILT).is_dir() || std::fs::create_dir_all(BUILT).is_ok() {
        println!("cargo:rerun-if-changed={BUILT}");
    }
}
