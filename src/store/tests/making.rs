//! Files that are made whole or not at all, and files that are looked at and left alone.

use super::*;
use crate::store::Inspected;

fn names(directory: &tempfile::TempDir) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory.path())
        .expect("a listing")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("state.redb");
    (directory, path)
}

#[test]
fn a_file_that_is_made_holds_what_was_put_into_it() {
    let (_directory, path) = place();
    let answer: Result<u32, OpenError> = Store::make(&path, |store| {
        assert!(!path.exists(), "it has its name only when it is whole");
        store
            .commit(|tx| tx.setting_put("word", b"kept"))
            .map_err(|error| OpenError::Damaged { path: path.clone(), why: error.to_string() })?;
        Ok(7)
    });
    assert_eq!(answer.expect("the place is free"), 7);
    assert_eq!(Store::inspect(&path).expect("it is whole"), Inspected::Whole { vms: 0 });
    let store = Store::open(&path).expect("it is whole");
    assert_eq!(store.setting("word"), Ok(Some(b"kept".to_vec())));
    let pid = std::process::id().to_string();
    assert_eq!(Store::inspect(&path).expect("it is looked at all the same"), Inspected::Held { pid });
    drop(store);
    let again: Result<(), OpenError> = Store::make(&path, |_| Ok(()));
    assert!(matches!(again, Err(OpenError::Exists { .. })), "{again:?}");
}

#[test]
fn what_fails_leaves_no_file() {
    let (directory, path) = place();
    let failed: Result<(), OpenError> =
        Store::make(&path, |_| Err(OpenError::Io { path: path.clone(), why: "libvirt went away".to_owned() }));
    assert!(failed.is_err());
    assert_eq!(names(&directory), ["state.redb.lock"], "the lock alone, which others may wait for");
    let again: Result<(), OpenError> = Store::make(&path, |_| Ok(()));
    assert!(again.is_ok(), "{again:?}");
}

#[test]
fn nothing_comes_of_a_look() {
    let (directory, path) = place();
    assert_eq!(Store::inspect(&path).expect("the directory can be read"), Inspected::Absent);
    assert_eq!(names(&directory), Vec::<String>::new());
    std::fs::write(&path, "other").expect("a file");
    assert!(Store::inspect(&path).is_err());
    assert_eq!(names(&directory), ["state.redb"]);
}
