//! Input that nobody would send who means well: seeds that are kept in `tests/corpus`, each as it
//! is and in many changed forms. What was once found to be mishandled is kept beside the seeds, in
//! `*.regressions`, and tried first.
#![allow(dead_code, reason = "each parser's test uses a part")]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::FileFailurePersistence;

/// So many cases, and a hundred times as many with `--long`; what fails is kept in this file.
pub fn cases(few: u32, regressions: &'static str) -> ProptestConfig {
    ProptestConfig {
        cases: if std::env::var_os("QKVM_LONG").is_some() { few * 100 } else { few },
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(regressions))),
        ..ProptestConfig::default()
    }
}

/// Every file of a folder of the repository, by name.
pub fn folder(path: &str) -> Vec<(String, Vec<u8>)> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let mut found: Vec<(String, Vec<u8>)> = std::fs::read_dir(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("a seed"))
        })
        .collect();
    assert!(!found.is_empty(), "{} holds no seeds", path.display());
    found.sort();
    found
}

/// The seeds alone.
pub fn seeds(path: &str) -> Vec<Vec<u8>> {
    folder(path).into_iter().map(|(_, seed)| seed).collect()
}

/// Bytes that a failure shows as the text that they mean to be.
#[derive(Clone)]
pub struct Text(pub Vec<u8>);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

impl std::ops::Deref for Text {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// One change to a text.
#[derive(Debug, Clone)]
pub enum Edit {
    /// A byte is another.
    Set(Index, u8),
    /// It ends here.
    Cut(Index),
    /// So many bytes are gone.
    Remove(Index, usize),
    /// These come in.
    Insert(Index, Vec<u8>),
    /// So many bytes come again, so many times.
    Repeat(Index, usize, usize),
    /// It goes on as another seed does from there.
    Splice(Index, Index, Index),
}

/// What parsers have stumbled over before.
const WORDS: [&[u8]; 34] = [
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e400",
    b"4.5",
    b"NaN",
    b"9223372036854775808",
    b"99999999999999999999999",
    b"\"\"",
    b"\\ud800",
    b"\\u0000",
    b"{",
    b"}",
    b"[",
    b"]]]]",
    b"[[[[[[[[[[[[[[[[[[[[[[[[",
    b"\"id\":",
    b",",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"<!DOCTYPE x [<!ENTITY y \"z\">]>",
    b"&y;",
    b"&#0;",
    b"&#x110000;",
    b"<![CDATA[",
    b"]]>",
    b"<?xml?>",
    b"</domain>",
    b"../",
    b"\r\n",
    b"\xe2\x80\xae",
    b"\x1b[31m",
];

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        1 => at().prop_map(Edit::Cut),
        3 => (at(), 1..40_usize).prop_map(|(at, len)| Edit::Remove(at, len)),
        4 => (at(), prop::sample::select(&WORDS[..])).prop_map(|(at, word)| Edit::Insert(at, word.to_vec())),
        2 => (at(), prop::collection::vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        1 => (at(), 1..30_usize, 1..200_usize).prop_map(|(at, len, times)| Edit::Repeat(at, len, times)),
        2 => (at(), at(), at()).prop_map(|(at, other, from)| Edit::Splice(at, other, from)),
    ]
}

fn apply(bytes: &mut Vec<u8>, edit: &Edit, seeds: &[Vec<u8>]) {
    let place = |at: &Index, len: usize| at.index(len + 1);
    match edit {
        Edit::Set(at, byte) => {
            let at = place(at, bytes.len());
            if let Some(old) = bytes.get_mut(at) {
                *old = *byte;
            }
        }
        Edit::Cut(at) => bytes.truncate(place(at, bytes.len())),
        Edit::Remove(at, len) => {
            let from = place(at, bytes.len());
            bytes.drain(from..(from + len).min(bytes.len()));
        }
        Edit::Insert(at, new) => {
            let at = place(at, bytes.len());
            bytes.splice(at..at, new.iter().copied());
        }
        Edit::Repeat(at, len, times) => {
            let from = place(at, bytes.len());
            let again = bytes[from..(from + len).min(bytes.len())].repeat(*times);
            bytes.splice(from..from, again);
        }
        Edit::Splice(at, other, from) => {
            let at = place(at, bytes.len());
            bytes.truncate(at);
            let other = other.get(seeds);
            bytes.extend_from_slice(&other[place(from, other.len())..]);
        }
    }
}

/// Texts much like one of these, and now and then nothing like any.
pub fn like(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Text> {
    let edited = (any::<Index>(), prop::collection::vec(edit(), 0..6)).prop_map(move |(seed, edits)| {
        let mut bytes = seed.get(&seeds).clone();
        edits.iter().for_each(|edit| apply(&mut bytes, edit, &seeds));
        bytes
    });
    prop_oneof![15 => edited, 1 => prop::collection::vec(any::<u8>(), 0..300)].prop_map(Text)
}
