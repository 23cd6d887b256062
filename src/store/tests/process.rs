//! Two processes and one file (R15), and a process that is killed while it commits (R1). The other
//! process is this test binary again, told by its environment to be one.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

const ROLE: &str = "QKVM_STORE_TEST_ROLE";
const FILE: &str = "QKVM_STORE_TEST_FILE";

fn other_process(role: &str, path: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "store::tests::process::the_other_process", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(FILE, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this binary runs again")
}

/// No test of its own: what the process does that a test started.
#[test]
fn the_other_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = PathBuf::from(std::env::var_os(FILE).expect("the file's path"));
    match role.as_str() {
        "hold" => match Store::open(&path) {
            Ok(_held) => {
                say("held");
                // Until it is killed, or its parent is gone.
                let _ = std::io::stdin().read(&mut [0]);
            }
            Err(error) => say(&format!("refused {error}")),
        },
        "commit" => {
            let store = Store::open(&path).expect("its file");
            for n in counter(&store) + 1.. {
                done(&store, |tx| nth(tx, n));
                say(&format!("ack {n}"));
            }
        }
        other => panic!("no role: {other}"),
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").and_then(|()| out.flush()).expect("a parent that listens");
}

/// The first line of the other process that begins so.
fn hear(child: &mut Child, beginnings: &[&str]) -> String {
    let out = child.stdout.take().expect("its output is a pipe");
    BufReader::new(out)
        .lines()
        .map_while(Result::ok)
        .find(|line| beginnings.iter().any(|beginning| line.starts_with(beginning)))
        .expect("it ended without a word")
}

fn refusal(path: &Path) -> String {
    let began = Instant::now();
    let refused = Store::open(path).err();
    assert!(began.elapsed() < Duration::from_secs(1), "it took {:?}", began.elapsed());
    assert!(matches!(refused, Some(OpenError::Locked { .. })), "{refused:?}");
    let refused = refused.expect("a refusal");
    assert_eq!(refused.exit_code(), 78);
    refused.to_string()
}

#[test]
fn a_second_opening_is_refused_naming_the_first() {
    let (_directory, path) = place();
    let first = Store::open(&path).expect("a new file");
    let said = refusal(&path);
    let me = format!("process {};", std::process::id());
    assert!(said.contains(&me) && said.contains(&path.display().to_string()), "{said}");

    let began = Instant::now();
    let mut second = other_process("hold", &path);
    let said = hear(&mut second, &["held", "refused"]);
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    second.wait().expect("it ended");
    assert!(said.starts_with("refused") && said.contains(&me), "{said}");
    // The refused one has not taken the name away from the lock.
    assert!(refusal(&path).contains(&me));
    drop(first);
    drop(Store::open(&path).expect("a file that nobody holds"));
}

#[test]
fn a_killed_process_gives_the_file_back() {
    let (_directory, path) = place();
    let mut first = other_process("hold", &path);
    assert_eq!(hear(&mut first, &["held", "refused"]), "held");
    let said = refusal(&path);
    assert!(said.contains(&format!("process {};", first.id())), "{said}");
    first.kill().expect("it is killed");
    first.wait().expect("it ended");
    let store = Store::open(&path).expect("a file that nobody holds");
    assert_eq!(store.verify(), Ok(()));
}

/// The `n`th commit: a VM is put, now and then another goes, and an event and the number are kept.
fn nth(tx: &mut Transaction<'_>, n: u32) -> Result<(), StoreError> {
    tx.vm_put(&put(n))?;
    if n.is_multiple_of(3) {
        tx.vm_delete(vm_id(n / 3 % 40))?;
    }
    let sequence = tx.event_append(&event(n))?;
    assert_eq!(sequence, u64::from(n), "events are numbered without gap");
    tx.operation_put(&Operation { intent: Intent::Plain, ..operation(n) })?;
    tx.setting_put("n", &n.to_be_bytes())
}

fn put(n: u32) -> VmRecord {
    VmRecord { generation: u64::from(n), ..vm(n % 40) }
}

fn counter(store: &Store) -> u32 {
    let bytes = store.setting("n").expect("a setting").unwrap_or_default();
    bytes.try_into().map_or(0, u32::from_be_bytes)
}

/// The VMs after `n` commits.
fn after(n: u32) -> Vec<VmRecord> {
    let mut vms = BTreeMap::new();
    for n in 1..=n {
        vms.insert(put(n).id, put(n));
        if n.is_multiple_of(3) {
            vms.remove(&vm_id(n / 3 % 40));
        }
    }
    vms.into_values().collect()
}

#[test]
fn no_acknowledged_commit_is_lost_to_a_kill() {
    let rounds = if std::env::var_os("QKVM_LONG").is_some() { 200 } else { 20 };
    let (_directory, path) = place();
    drop(Store::open(&path).expect("a new file"));
    let mut seed: u64 = 0x5eed_0001;
    let (mut acknowledged, mut beyond) = (0, 0);
    for round in 0..rounds {
        let mut child = other_process("commit", &path);
        let out = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let listener = std::thread::spawn(move || {
            let acks = out.lines().map_while(Result::ok);
            acks.filter_map(|line| line.strip_prefix("ack ").and_then(|n| n.parse::<u32>().ok())).last()
        });
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // A moment of its own each time is what is tested, not something waited for.
        std::thread::sleep(Duration::from_micros(30_000 + (seed >> 33) % 200_000));
        child.kill().expect("it is killed");
        child.wait().expect("it ended");
        acknowledged = listener.join().expect("a listener").unwrap_or(acknowledged);

        let store = Store::open(&path).expect("the file opens after a kill");
        let n = counter(&store);
        assert!(n >= acknowledged, "round {round}: commit {acknowledged} was acknowledged, {n} is the last there");
        assert!(n <= acknowledged + 1, "round {round}: at most one commit is done and not yet told");
        beyond += n - acknowledged;
        assert_eq!(store.verify(), Ok(()), "round {round}");
        assert_eq!(store.vm_all(), Ok(after(n)), "round {round}: the VMs are those of {n} commits");
        let newest = store.event_list(&EventFilter { limit: 1, ..EventFilter::default() }).expect("a list");
        assert_eq!(newest.first().map_or(0, |event| event.sequence), u64::from(n));
        acknowledged = n;
    }
    println!(
        "R1: killed {rounds} times within {acknowledged} commits: 0 acknowledged lost, {beyond} done and not told"
    );
    assert!(acknowledged > 0, "no commit was ever done");
}
