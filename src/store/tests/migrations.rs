//! Steps between formats, on pretend ones: each once, each whole or not at all, and the file of a
//! newer program is refused.

use redb::{ReadableTable as _, ReadableTableMetadata as _};

use super::*;
use crate::store::migrate::{SCHEMA, STEPS, Step, found, migrate};

const PRETEND: tables::Rows = redb::TableDefinition::new("pretend");

fn database(path: &std::path::Path) -> Database {
    Database::builder().create(path).expect("a redb file")
}

fn first(tx: &WriteTransaction) -> Result<(), StoreError> {
    tables::create_format_1(tx)?;
    tx.open_table(PRETEND)?.insert([1].as_slice(), [1].as_slice())?;
    Ok(())
}

/// Every key gets a longer one beside it: run twice it would show.
fn second(tx: &WriteTransaction) -> Result<(), StoreError> {
    let mut table = tx.open_table(PRETEND)?;
    let keys: Vec<Vec<u8>> = table.iter()?.map(|row| Ok(row?.0.value().to_vec())).collect::<Result<_, StoreError>>()?;
    for key in keys {
        table.insert([key.as_slice(), &[2]].concat().as_slice(), [].as_slice())?;
    }
    Ok(())
}

fn fails(tx: &WriteTransaction) -> Result<(), StoreError> {
    second(tx)?;
    Err(StoreError::Database("the step fails half-way".to_owned()))
}

fn dies(tx: &WriteTransaction) -> Result<(), StoreError> {
    second(tx)?;
    std::panic::panic_any("killed within the step")
}

fn rows(db: &Database) -> u64 {
    db.begin_read().expect("a reader").open_table(PRETEND).expect("the table").len().expect("a length")
}

#[test]
fn steps_run_once_in_order_and_again_are_nothing() {
    let (_directory, path) = place();
    let db = database(&path);
    assert_eq!(found(&db), Ok(0));
    assert_eq!(migrate(&db, &[first]), Ok(()));
    assert_eq!((found(&db), rows(&db)), (Ok(1), 1));
    for _ in 0..3 {
        assert_eq!(migrate(&db, &[first, second]), Ok(()));
        assert_eq!((found(&db), rows(&db)), (Ok(2), 2));
    }
    drop(db);
    let db = database(&path);
    assert_eq!(migrate(&db, &[first, second, second]), Ok(()));
    assert_eq!((found(&db), rows(&db)), (Ok(3), 3));
    assert_eq!(migrate(&db, &[first]), Ok(()), "a newer file is not led back");
    assert_eq!(found(&db), Ok(3));
}

#[test]
fn a_step_that_fails_or_dies_leaves_the_format_before_it() {
    let (_directory, path) = place();
    let db = database(&path);
    let steps: [Step; 3] = [first, second, fails];
    assert!(migrate(&db, &steps).is_err());
    assert_eq!((found(&db), rows(&db)), (Ok(2), 2), "what was done stays, what failed left nothing");
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| migrate(&db, &[first, second, dies])));
    assert!(died.is_err());
    drop(db);
    let db = database(&path);
    assert_eq!((found(&db), rows(&db)), (Ok(2), 2));
    assert_eq!(migrate(&db, &[first, second, second]), Ok(()), "and is run again");
    assert_eq!((found(&db), rows(&db)), (Ok(3), 3));
}

#[test]
fn a_step_that_was_killed_before_its_commit_is_run_again() {
    let (_directory, path) = place();
    // The file as a process leaves it that is killed within the step: copied while it is open.
    let killed = path.with_extension("killed.redb");
    {
        let db = database(&path);
        assert_eq!(
            migrate(
                &db,
                &[first, |tx| {
                    tx.open_table(PRETEND)?.insert([1].as_slice(), [1].as_slice())?;
                    Ok(())
                }]
            ),
            Ok(())
        );
        let tx = db.begin_write().expect("a writer");
        assert_eq!(second(&tx), Ok(()));
        std::fs::copy(&path, &killed).expect("a copy");
        drop(tx);
    }
    let db = database(&killed);
    assert_eq!((found(&db), rows(&db)), (Ok(2), 1));
    assert_eq!(migrate(&db, &[first, first, second]), Ok(()));
    assert_eq!((found(&db), rows(&db)), (Ok(3), 2));
}

#[test]
fn our_own_steps_lead_to_our_own_format() {
    assert_eq!(STEPS.len(), SCHEMA as usize);
    let (_directory, path) = place();
    let db = database(&path);
    assert_eq!(migrate(&db, &STEPS), Ok(()));
    assert_eq!(found(&db), Ok(SCHEMA));
    let tx = db.begin_read().expect("a reader");
    let mut there: Vec<String> =
        tx.list_tables().expect("tables").map(|table| redb::TableHandle::name(&table).to_owned()).collect();
    let mut wanted: Vec<String> = tables::ROWS.iter().map(|table| redb::TableHandle::name(table).to_owned()).collect();
    wanted.push("meta".to_owned());
    there.sort();
    wanted.sort();
    assert_eq!(there, wanted);
}
