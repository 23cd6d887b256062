//! Whether dead orphans are reaped, and how soon. libvirt leaves each QEMU that it probes to PID 1,
//! and waits for it to be gone; in many containers PID 1 is no init, the dead stay for seconds or for
//! ever, and every probe and power-off takes as much longer.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use procfs::process::Process;

/// How long the orphan lives: long enough to see whose it has become.
const LIVES: Duration = Duration::from_millis(300);
/// How long its parent by adoption may take.
const REAP_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What became of an orphan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Orphans {
    /// Process `by` took it and reaped it, so long after its end.
    Reaped { by: i32, after: Duration },
    /// Process `by` took it and left it dead.
    Left { by: i32 },
    /// It could not be seen; why.
    Unknown(String),
}

/// Make a process whose parent ends first, and watch its end.
#[must_use]
pub fn orphans() -> Orphans {
    let script = format!("sleep {} >/dev/null 2>&1 & echo $!", LIVES.as_secs_f32());
    let shell = Command::new("/bin/sh").args(["-c", &script]).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let pid = match shell {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().parse::<i32>(),
        Err(error) => return Orphans::Unknown(format!("/bin/sh could not be run: {error}")),
    };
    let Ok(pid) = pid else {
        return Orphans::Unknown("/bin/sh named no process".to_owned());
    };
    let deadline = Instant::now() + LIVES + REAP_WITHIN;
    let mut by = None;
    let mut died = None;
    loop {
        let stat = Process::new(pid).and_then(|process| process.stat()).ok();
        let dead = match &stat {
            // Gone, and reaped: its number is free again.
            None => {
                return by.map_or_else(
                    || Orphans::Unknown("the orphan was gone before it was seen".to_owned()),
                    |by| Orphans::Reaped { by, after: died.map_or(Duration::ZERO, |died: Instant| died.elapsed()) },
                );
            }
            Some(stat) => {
                by = Some(stat.ppid);
                let dead = stat.state == 'Z';
                if dead {
                    died.get_or_insert_with(Instant::now);
                }
                dead
            }
        };
        if Instant::now() >= deadline {
            return match by {
                Some(by) if dead => Orphans::Left { by },
                Some(_) | None => Orphans::Unknown("the orphan did not end".to_owned()),
            };
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever runs the tests: an answer in time, and one that names a living process.
    #[test]
    fn an_orphan_is_followed_to_its_end() {
        let begun = Instant::now();
        match orphans() {
            Orphans::Reaped { by, .. } | Orphans::Left { by } => assert!(Process::new(by).is_ok(), "{by} is nobody"),
            Orphans::Unknown(why) => panic!("{why}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}
