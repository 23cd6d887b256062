//! Tells Cargo that the built page is part of the program: rust-embed alone does not notice a file
//! that is new. Without Node there is no built page, and the program says so where it would be.

use std::env;
use std::path::Path;

/// Where `npm run build` puts it.
const BUILT: &str = "web/dist";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // An unoptimised program reads the page when it is asked for it: nothing to compile anew.
    let reads_later = env::var("PROFILE").is_ok_and(|profile| profile == "debug");
    if reads_later && env::var_os("CARGO_FEATURE_EMBEDDED_PAGE").is_none() {
        return;
    }
    // A directory that is not there would count as changed in every build.
    if Path::new(BUILT).is_dir() || std::fs::create_dir_all(BUILT).is_ok() {
        println!("cargo:rerun-if-changed={BUILT}");
    }
}
