//! The rules of the house that no compiler knows: rooms import downwards only, each library stays
//! in its room, and every RPC that is declared is exercised by a test.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each room and those it may import, as the table of ARCHITECTURE.md says. What is not a room of
/// the list (`main`, `lib`, `cli`, `server`, `notify`) knows them all.
const ROOMS: [(&str, &[&str]); 8] = [
    ("config", &[]),
    ("model", &[]),
    ("store", &["model"]),
    ("hypervisor", &["model"]),
    ("host", &["model"]),
    ("service", &["model", "store", "hypervisor", "host"]),
    ("rpc", &["service", "model"]),
    ("http", &["service", "model"]),
];

/// Rooms that nothing below may name.
const ABOVE_ALL: [&str; 3] = ["server", "cli", "notify"];

/// Libraries and the only rooms that may name them.
const LIBRARIES: [(&str, &[&str]); 8] = [
    ("redb::", &["store"]),
    ("bincode::", &["store"]),
    ("virt::", &["hypervisor"]),
    ("quick_xml::", &["hypervisor"]),
    ("axum::", &["http"]),
    ("connectrpc::", &["rpc", "http"]),
    ("quantixkvm_proto::", &["rpc"]),
    ("prometheus::", &["http"]),
];

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory of the repository") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The file's code without comments and without its own tests, which may build what they need.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a source file");
    let product = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    product.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The module that a file is, from the crate's root.
fn module(path: &Path) -> Vec<String> {
    let below = path.strip_prefix(root().join("src")).expect("a file of src").with_extension("");
    let mut parts: Vec<String> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod" || last == "lib") {
        parts.pop();
    }
    parts
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    &text[..end]
}

/// The first names of a path or of a group of paths: `a::b`, `{a::b, c}`.
fn heads(text: &str) -> Vec<String> {
    let Some(group) = text.strip_prefix('{') else {
        return vec![word(text).to_owned()];
    };
    let mut depth = 0_usize;
    let mut names = vec![word(group.trim_start()).to_owned()];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(word(group[at + 1..].trim_start()).to_owned()),
            _ => {}
        }
    }
    names
}

/// Rooms that the code names, by `crate::` or by a chain of `super::` that reaches the root.
fn named(module: &[String], code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let begins = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '$'));
    for (at, _) in code.match_indices("crate::").filter(|(at, _)| begins(*at)) {
        found.extend(heads(&code[at + "crate::".len()..]));
    }
    for (at, _) in code.match_indices("super::").filter(|(at, _)| begins(*at)) {
        let mut rest = &code[at..];
        let mut up = 0;
        while let Some(next) = rest.strip_prefix("super::") {
            rest = next;
            up += 1;
        }
        if up == module.len() {
            found.extend(heads(rest));
        }
    }
    found
}

#[test]
fn imports_run_downwards_only() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for path in sources(&root().join("src")) {
        let module = module(&path);
        let Some((room, below)) = ROOMS.iter().find(|(room, _)| module.first().is_some_and(|first| first == room))
        else {
            continue;
        };
        let code = code(&path);
        for name in named(&module, &code) {
            let is_room = ROOMS.iter().any(|(other, _)| *other == name) || ABOVE_ALL.contains(&name.as_str());
            seen.insert((*room, name.clone()));
            if is_room && name != *room && !below.contains(&name.as_str()) {
                wrong.push(format!("{} ({room}) names crate::{name}", path.display()));
            }
        }
        for (library, rooms) in LIBRARIES {
            let names = code
                .match_indices(library)
                .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':')));
            if names && !rooms.contains(room) {
                wrong.push(format!("{} ({room}) names {library}", path.display()));
            }
        }
    }
    // The reader itself must not be blind.
    for pair in [("service", "store"), ("service", "model"), ("rpc", "service"), ("store", "model")] {
        assert!(seen.contains(&(pair.0, pair.1.to_owned())), "no import of {} by {} was seen", pair.1, pair.0);
    }
    assert!(wrong.is_empty(), "imports that do not run downwards:\n{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_imports_reads() {
    let at = ["service".to_owned(), "vm".to_owned()];
    let read = |code: &str| named(&at, code).into_iter().collect::<Vec<_>>();
    assert_eq!(read("use crate::{rpc::x, model::{a, b}, store};"), ["model", "rpc", "store"]);
    assert_eq!(read("let x: super::super::http::Gate = $crate::y; use super::core::Core;"), ["http"]);
    assert_eq!(read("fn f() -> crate::server::X {}"), ["server"]);
}

/// The fields of a protobuf message: number and bytes of those that have a length.
fn fields(mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let Some((byte, rest)) = bytes.split_first() else { break };
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        match key & 7 {
            0 => {
                varint(&mut bytes);
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)).expect("a length");
                let (field, rest) = bytes.split_at(length);
                found.push((key >> 3, field));
                bytes = rest;
            }
            kind => panic!("a descriptor has no field of kind {kind}"),
        }
    }
    found
}

/// Every RPC of the contract, `Service/Method`.
fn rpcs() -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("a name");
    let of =
        |bytes, number| fields(bytes).into_iter().filter(move |(found, _)| *found == number).map(|(_, field)| field);
    let mut found = Vec::new();
    // FileDescriptorSet.file, .service, .name, .method (descriptor.proto).
    for file in of(quantixkvm_proto::FILE_DESCRIPTOR_SET, 1) {
        for service in of(file, 6) {
            let name = of(service, 1).next().map(text).unwrap_or_default();
            found.extend(of(service, 2).filter_map(|method| Some(format!("{name}/{}", text(of(method, 1).next()?)))));
        }
    }
    found
}

#[test]
fn every_rpc_is_exercised() {
    let rpcs = rpcs();
    assert!(rpcs.contains(&"VMService/ListVMs".to_owned()) && rpcs.len() > 30, "{rpcs:?}");
    let tests: Vec<String> = sources(&root().join("tests"))
        .into_iter()
        .filter(|path| !path.ends_with("house.rs"))
        .map(|path| std::fs::read_to_string(path).expect("a test"))
        .collect();
    let unnamed: Vec<&String> = rpcs
        .iter()
        .filter(|rpc| {
            let method = rpc.split('/').next_back().unwrap_or_default();
            !tests.iter().any(|test| test.contains(&format!("\"{method}\"")))
        })
        .collect();
    assert!(unnamed.is_empty(), "declared, and called by no test: {unnamed:?}");
    println!("{} RPCs are declared, each is called by a test", rpcs.len());
}
