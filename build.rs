//! Has a page that was built anew taken into the program: the compiler sees changes of the files that
//! it embedded, not files that have come since.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // An unoptimised program reads the page when it is asked for it.
    let reads_later = env::var("PROFILE").is_ok_and(|profile| profile == "debug");
    if !reads_later || env::var_os("CARGO_FEATURE_EMBEDDED_PAGE").is_some() {
        println!("cargo:rerun-if-changed=web/dist");
    }
}
