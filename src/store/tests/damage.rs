//! R5: a state file that something else has written to. Either it opens with exactly the rows that
//! it had, or it is refused in a sentence that names it and says what to do, and is not touched.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{ReadableTable as _, TableDefinition, TableHandle as _};

use super::*;
use crate::store::tables::{ROWS, VMS};

/// Every row of every table, as bytes.
type Rows = Vec<(String, Vec<u8>, Vec<u8>)>;

fn rows(store: &Store) -> Rows {
    let tx = store.read().expect("a reader");
    let mut found = Vec::new();
    for table in ROWS {
        for entry in tx.open_table(table).expect("a table").iter().expect("rows") {
            let (at, value) = entry.expect("a row");
            found.push((table.name().to_owned(), at.value().to_vec(), value.value().to_vec()));
        }
    }
    found
}

/// Some hundred records, closed as a service closes them that was told to stop.
fn healthy() -> (Vec<u8>, Rows) {
    let (closed, _, rows) = both();
    (closed, rows)
}

/// As [`healthy`], and before it the same rows as a service leaves them that was killed.
fn both() -> (Vec<u8>, Vec<u8>, Rows) {
    let (_directory, path) = place();
    let store = Store::open(&path).expect("a new file");
    for batch in 0..10 {
        done(&store, |tx| {
            (batch * 20..batch * 20 + 20).try_for_each(|n| {
                tx.vm_create(&vm(n))?;
                tx.operation_put(&operation(n))?;
                tx.event_append(&event(n)).map(drop)
            })
        });
    }
    done(&store, |tx| {
        (0..8).try_for_each(|n| tx.node_create(&node(n)))?;
        (0..50).try_for_each(|n| tx.vm_delete(vm_id(n * 3)))
    });
    let rows = rows(&store);
    let killed = std::fs::read(&path).expect("the file");
    drop(store);
    (std::fs::read(&path).expect("the file"), killed, rows)
}

#[derive(Debug, Default)]
struct Figures {
    tried: usize,
    refused: usize,
    whole: usize,
    changed: usize,
    panics: usize,
    wrong: Vec<String>,
}

impl Figures {
    /// Open what lies at `path` and judge the answer. What opens must hold `wanted`.
    fn judge(&mut self, what: &str, path: &Path, wanted: &Rows) {
        self.tried += 1;
        let before = std::fs::read(path).unwrap_or_default();
        match catch_unwind(AssertUnwindSafe(|| Store::open(path))) {
            Err(_) => {
                self.panics += 1;
                self.wrong.push(format!("{what}: it panicked"));
            }
            Ok(Ok(store)) => {
                self.whole += 1;
                if catch_unwind(AssertUnwindSafe(|| rows(&store))).ok().as_ref() != Some(wanted) {
                    self.wrong.push(format!("{what}: it opened with other rows"));
                }
            }
            Ok(Err(error)) => {
                self.refused += 1;
                let said = error.to_string();
                if !said.contains(&path.display().to_string()) || !tells_what_to_do(&said) || error.exit_code() != 78 {
                    self.wrong.push(format!("{what}: an unclear refusal: {said}"));
                }
                if before != std::fs::read(path).unwrap_or_default() {
                    self.changed += 1;
                    self.wrong.push(format!("{what}: it was refused and changed"));
                }
            }
        }
        let lock = path.with_extension("redb.lock");
        for entry in std::fs::read_dir(path.parent().expect("a directory")).expect("a listing") {
            let at = entry.expect("an entry").path();
            if at != path && at != lock && !at.ends_with("beside") {
                self.wrong.push(format!("{what}: {} was left beside it", at.display()));
            }
        }
    }

    /// As [`judge`](Self::judge), of a file of these bytes.
    fn judge_bytes(&mut self, what: &str, bytes: &[u8], wanted: &Rows) {
        let (_directory, path) = place();
        std::fs::write(&path, bytes).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
        self.judge(what, &path, wanted);
    }

    fn report(&self, of: &str) {
        let Self { tried, refused, whole, changed, panics, .. } = self;
        println!(
            "R5: {of}: {tried} damaged files, {refused} refused, {whole} opened whole, {panics} panics, {changed} changed"
        );
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
    }
}

fn tells_what_to_do(said: &str) -> bool {
    ["restore", "move it away", "install", "chmod", "stop the other", "remove", "check"]
        .iter()
        .any(|cure| said.contains(cure))
}

/// A small generator of its own, so that a failure is replayed by its seed.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap_or(0)
    }
}

fn rounds(few: usize, many: usize) -> usize {
    if std::env::var_os("QKVM_LONG").is_some() { many } else { few }
}

#[test]
fn a_file_cut_short_or_grown() {
    let (good, wanted) = healthy();
    let mut figures = Figures::default();
    let len = good.len();
    let mut sizes: Vec<usize> = vec![0, 1, 3, 4, 9, 63, 64, 319, 320, 4095, 4096, 4097, 8192, len - 1, len - 4096];
    sizes.extend((1..16).map(|part| len * part / 16));
    for size in sizes {
        figures.judge_bytes(&format!("cut to {size} of {len}"), &good[..size], &wanted);
    }
    for more in [1, 4096, 1 << 20] {
        let grown: Vec<u8> = good.iter().copied().chain(std::iter::repeat_n(0, more)).collect();
        figures.judge_bytes(&format!("grown by {more}"), &grown, &wanted);
    }
    figures.report("cut and grown");
    assert!(figures.tried >= 24);
}

#[test]
fn one_bit_flipped_anywhere() {
    let (good, wanted) = healthy();
    let mut figures = Figures::default();
    let seed = 0x5eed_0005;
    let mut random = Seeded(seed);
    let mut flip = |what: String, bit: usize| {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        figures.judge_bytes(&what, &bytes, &wanted);
    };
    // The header, where one bit decides which of two commits counts, then the pages.
    let header = 320 * 8;
    for _ in 0..rounds(120, 4000) {
        let bit = random.below(header);
        flip(format!("bit {bit} of the header, seed {seed:#x}"), bit);
    }
    for bit in 9 * 8..10 * 8 {
        flip(format!("bit {bit} of the header's flags"), bit);
    }
    for _ in 0..rounds(200, 4000) {
        let bit = random.below(good.len() * 8);
        flip(format!("bit {bit}, seed {seed:#x}"), bit);
    }
    figures.report("bit flips");
}

#[test]
fn pages_zeroed_doubled_or_filled() {
    let (good, wanted) = healthy();
    let mut figures = Figures::default();
    let mut random = Seeded(0x5eed_0006);
    let pages = good.len() / 4096;
    for _ in 0..rounds(30, 400) {
        let (to, from) = (random.below(pages) * 4096, random.below(pages) * 4096);
        let mut zeroed = good.clone();
        zeroed[to..to + 4096].fill(0);
        figures.judge_bytes(&format!("page at {to} zeroed"), &zeroed, &wanted);
        let mut doubled = good.clone();
        doubled.copy_within(from..from + 4096, to);
        figures.judge_bytes(&format!("page at {to} overwritten with that at {from}"), &doubled, &wanted);
        let mut filled = good.clone();
        filled[to..to + 4096].fill(0xff);
        figures.judge_bytes(&format!("page at {to} filled"), &filled, &wanted);
    }
    let mut beheaded = good;
    beheaded[..4].fill(0);
    figures.judge_bytes("no magic", &beheaded, &wanted);
    figures.report("pages");
}

#[test]
fn what_is_no_state_file() {
    let (good, wanted) = healthy();
    let mut figures = Figures::default();
    figures.judge_bytes("a text", b"[server]\nlisten = 8080\n", &wanted);
    figures.judge_bytes("the magic alone", b"redb", &wanted);
    figures.judge_bytes("the magic and noise", &[b"redb".as_slice(), &[0x1a; 8192]].concat(), &wanted);

    let (_directory, path) = place();
    std::fs::create_dir(&path).expect("a directory");
    figures.judge("a directory", &path, &wanted);

    let (_directory, path) = place();
    let made = std::process::Command::new("mkfifo").arg("-m600").arg(&path).status().expect("mkfifo runs");
    assert!(made.success());
    let refused = Store::open(&path).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refused.contains("no plain file"), "{refused}");

    let (directory, path) = place();
    let beside = directory.path().join("beside");
    std::fs::write(&beside, &good).expect("a file");
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    symlink(&beside, &path).expect("a link");
    figures.judge("a link to a healthy file", &path, &wanted);

    let (directory, path) = place();
    symlink(directory.path().join("beside"), &path).expect("a link");
    figures.judge("a link to nothing", &path, &wanted);
    assert!(path.is_symlink() && !path.exists(), "a link to nothing is left as it is");

    let (_directory, path) = place();
    std::fs::write(&path, &good).expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    figures.judge("a file that others can read", &path, &wanted);
    if !rustix::process::geteuid().is_root() {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).expect("a mode");
        figures.judge("a file that cannot be read", &path, &wanted);
    }

    let theirs: TableDefinition<&str, u64> = TableDefinition::new("their_table");
    for tables in ["none", "theirs", "meta of another type"] {
        let (_directory, path) = place();
        let db = Database::builder().create(&path).expect("a redb file");
        let tx = db.begin_write().expect("a writer");
        match tables {
            "theirs" => drop(tx.open_table(theirs).expect("a table").insert("k", 1).expect("a row")),
            "none" => {}
            other => {
                let meta: TableDefinition<u64, u64> = TableDefinition::new("meta");
                drop(tx.open_table(meta).expect(other).insert(1, 1).expect("a row"));
            }
        }
        tx.commit().expect("a commit");
        drop(db);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
        let refused = Store::open(&path).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains("no state file of quantixkvm"), "{tables}: {refused}");
        figures.judge(&format!("another program's redb file, tables: {tables}"), &path, &wanted);
    }
    figures.report("foreign files");
}

#[test]
fn a_newer_format_and_a_newer_record_are_named() {
    let (good, wanted) = healthy();
    let mut figures = Figures::default();
    let with = |change: &dyn Fn(&mut Transaction<'_>) -> Result<(), StoreError>| {
        let (directory, path) = place();
        std::fs::write(&path, &good).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
        let store = Store::open(&path).expect("a healthy file");
        store.commit(|tx| change(tx)).expect("the change");
        drop(store);
        (directory, path)
    };
    let (_newer, path) = with(&|tx| tx.setting_put("schema_version", &7_u32.to_be_bytes()));
    let refused = Store::open(&path).err();
    assert!(matches!(refused, Some(OpenError::Newer { found: 7, known: 3, .. })), "{refused:?}");
    figures.judge("a newer format", &path, &wanted);

    let (_odd, path) = with(&|tx| tx.setting_put("schema_version", b"seven"));
    figures.judge("a format that is no number", &path, &wanted);

    let (_record, path) = with(&|tx| {
        let mut vms = tx.tx.open_table(VMS)?;
        let mut bytes =
            vms.get(vm_id(1).as_bytes().as_slice())?.map(|value| value.value().to_vec()).unwrap_or_default();
        bytes[0] = 3;
        vms.insert(vm_id(1).as_bytes().as_slice(), bytes.as_slice())?;
        Ok(())
    });
    let refused = Store::open(&path).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refused.contains("version is 3") && refused.contains("vms"), "{refused}");
    figures.judge("a newer record", &path, &wanted);

    let (_table, path) = with(&|tx| tx.tx.delete_table(ROWS[6]).map(drop).map_err(StoreError::from));
    figures.judge("a table is missing", &path, &wanted);

    let (_index, path) = with(&|tx| tx.tx.open_table(ROWS[1])?.pop_first().map(drop).map_err(StoreError::from));
    figures.judge("an index row is missing", &path, &wanted);
    figures.report("newer and contradicting");
    assert_eq!(figures.refused, 5);
}

/// The bit that says which of the two newest commits counts.
const PRIMARY_BIT: usize = 9 * 8;

#[test]
fn one_bit_flipped_in_the_file_of_a_killed_process() {
    let (_, killed, wanted) = both();
    let mut figures = Figures::default();
    figures.judge_bytes("killed", &killed, &wanted);
    let seed = 0x5eed_0007;
    let mut random = Seeded(seed);
    for round in 0..rounds(150, 4000) {
        let bit = random.below(if round % 2 == 0 { 320 * 8 } else { killed.len() * 8 });
        // All 2560 bits of the header were tried: this one alone cannot be told from a process
        // that was killed between the two phases of a commit. It gives the commit before, whole.
        if bit != PRIMARY_BIT {
            let mut bytes = killed.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            figures.judge_bytes(&format!("bit {bit}, seed {seed:#x}"), &bytes, &wanted);
        }
    }
    figures.report("bit flips, unclean");

    let (_directory, path) = place();
    let mut bytes = killed;
    bytes[PRIMARY_BIT / 8] ^= 1;
    std::fs::write(&path, &bytes).expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let store = Store::open(&path).expect("the commit before is whole");
    assert_eq!(store.verify(), Ok(()));
    assert_eq!(store.vm_all().map(|vms| vms.len()), Ok(200), "the last commit deleted some of them");
}
