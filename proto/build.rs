//! Generates the Rust side of the wire contract, so that a build needs neither `protoc` nor `buf`:
//! protox compiles the `.proto` files, connectrpc-build turns the result into messages and services.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;
use protox::prost_reflect::{DescriptorPool, Value};

/// Folders below this one that hold `.proto` files.
const ROOTS: [&str; 2] = ["Quantixkvm", "google"];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut files = Vec::new();
    for root in ROOTS {
        println!("cargo:rerun-if-changed={root}");
        collect(Path::new(root), &mut files)?;
    }
    // The order of the files decides the order of the generated code: keep builds reproducible.
    files.sort();

    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(&files)?;
    fs::write(out.join("methods.rs"), methods(&compiler.descriptor_pool())?)?;
    let mut set = compiler.file_descriptor_set();

    // With its comments for the generator, which turns them into rustdoc.
    let documented = out.join("documented.bin");
    fs::write(&documented, set.encode_to_vec())?;
    connectrpc_build::Config::new()
        .descriptor_set(&documented)
        .files(&files)
        .include_file("_connectrpc.rs")
        // It would watch the file written just above and so rebuild for ever.
        .emit_rerun_directives(false)
        .compile()?;

    // Without them for reflection, which only serves names and types.
    for file in &mut set.file {
        file.source_code_info = None;
    }
    fs::write(out.join("descriptor.bin"), set.encode_to_vec())?;
    Ok(())
}

/// Every method of the contract with the number of the privilege that it declares, as Rust. One
/// that declares none stops the build: nothing is open because it was forgotten.
fn methods(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let privilege = pool.get_extension_by_name("Quantixkvm.auth.v1.privilege").ok_or("the option is not declared")?;
    let mut rows = Vec::new();
    for service in pool.services() {
        for method in service.methods() {
            let path = format!("{}/{}", service.full_name(), method.name());
            let number = match method.options().get_extension(&privilege).as_ref() {
                Value::EnumNumber(number) => *number,
                _ => 0,
            };
            if number == 0 {
                return Err(format!("{path} declares no privilege: option (Quantixkvm.auth.v1.privilege)").into());
            }
            rows.push(format!("    (\"{path}\", {number}),\n"));
        }
    }
    rows.sort();
    Ok(format!(
        "/// Every method, by its path, and the number of its privilege.\npub static METHODS: &[(&str, i32)] = &[\n{}];\n",
        rows.concat()
    ))
}

/// Adds every `.proto` file below `folder`, as a path relative to this crate, which is also its
/// import name.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
