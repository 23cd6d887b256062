//! The trait against a real libvirtd and real guests, emulated. Runs where `QKVM_LIBVIRT_URI` names
//! a libvirtd that may be used and `QKVM_GUEST` the folder of `tests/testbed/build-guest.sh`;
//! elsewhere each test says that it was skipped. What disturbs the daemon has one of its own.

mod daemon;
mod hung;
mod in_place;
mod life;
mod storage;
mod test_driver;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::Libvirt;
use crate::hypervisor::{AcceleratorChoice, Hypervisor, Notice};
use crate::model::definition::{VmDefinition, VmIdentity};
use crate::model::id::{DEFAULT_PROJECT, NodeId, VmId};
use crate::model::spec::{Boot, Cpu, DirectBoot, Memory, VmSpec};
use crate::model::units::Mib;
use crate::model::vm::PowerState;

/// The URI to use, or a line that says why nothing is tested.
fn uri() -> Option<String> {
    let uri = std::env::var("QKVM_LIBVIRT_URI").ok();
    if uri.is_none() {
        println!("QKVM_LIBVIRT_URI is not set: skipped");
    }
    uri
}

fn guest_folder() -> PathBuf {
    std::env::var_os("QKVM_GUEST")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/testbed/guest"), PathBuf::from)
}

/// A link to libvirt, and what it said.
struct Live {
    libvirt: Libvirt,
    notices: Mutex<Receiver<Notice>>,
}

impl Live {
    /// Connected within 30 s.
    fn to(uri: &str) -> Self {
        let libvirt = Libvirt::new(uri.to_owned(), AcceleratorChoice::Auto);
        let (send, notices) = channel();
        libvirt.run(Box::new(move |notice| {
            let _ = send.send(notice);
        }));
        let live = Self { libvirt, notices: Mutex::new(notices) };
        live.hear("the first connection", 30, |notice| *notice == Notice::Connected);
        live
    }

    /// Wait for a notice; what comes before it is passed over. Answers with the time it took.
    fn hear(&self, what: &str, seconds: u64, wanted: impl Fn(&Notice) -> bool) -> Duration {
        let begun = Instant::now();
        let limit = Duration::from_secs(seconds);
        let notices = self.notices.lock().expect("no test panicked with it");
        let mut others = Vec::new();
        while let Some(left) = limit.checked_sub(begun.elapsed()) {
            match notices.recv_timeout(left) {
                Ok(notice) if wanted(&notice) => return begun.elapsed(),
                Ok(notice) => others.push(notice),
                Err(_) => break,
            }
        }
        panic!("{what}: no such notice within {seconds} s; there were {others:?}");
    }

    /// Forget the notices so far.
    fn forget(&self) {
        while self.notices.lock().expect("no test panicked with it").try_recv().is_ok() {}
    }

    fn state(&self, id: VmId) -> Option<PowerState> {
        self.libvirt.look(id).expect("it answers").map(|vm| vm.state)
    }

    fn wait_state(&self, id: VmId, seconds: u64, wanted: PowerState) -> Duration {
        wait(&format!("{id} is {wanted:?}"), seconds, || self.state(id) == Some(wanted))
    }

    /// Defined, as new.
    fn define(&self, definition: &VmDefinition) {
        let text = self.libvirt.render(definition).expect("it can be rendered");
        self.libvirt.define(definition.id, &text).expect("it can be defined");
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.libvirt.close();
    }
}

/// Poll until it holds.
fn wait(what: &str, seconds: u64, holds: impl Fn() -> bool) -> Duration {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(seconds) {
        if holds() {
            return begun.elapsed();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what}: not within {seconds} s");
}

/// How long a call took, and its answer.
fn timed<T>(call: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let answer = call();
    (begun.elapsed(), answer)
}

/// A small VM, not yet defined.
fn small(name: &str, spec: VmSpec) -> VmDefinition {
    let id = VmId::random();
    VmDefinition {
        id,
        hypervisor_name: format!("{name}-{}", &id.to_string()[..8]),
        identity: VmIdentity {
            vm_id: id,
            node_id: NodeId::random(),
            project_id: DEFAULT_PROJECT,
            name: name.to_owned(),
            description: String::new(),
            labels: Vec::new(),
            created_by: String::new(),
            created_at_us: 0,
            generation: 1,
            start_order: None,
            start_delay_sec: None,
            deletion_protection: crate::model::vm::DeletionProtection::On,
            guest_os_family: spec.guest_os.family,
            guest_os_variant: String::new(),
            owned_volumes: Vec::new(),
        },
        spec,
    }
}

fn small_spec() -> VmSpec {
    VmSpec {
        cpu: Cpu { cores: 1, max_cores: 2, ..Cpu::default() },
        memory: Memory { size: Mib(256), max: Mib(320), ballooning: None },
        ..VmSpec::default()
    }
}

/// Boots the tests' guest from memory.
fn from_kernel() -> Boot {
    let file = |name: &str| guest_folder().join(name).to_string_lossy().into_owned();
    Boot {
        direct: Some(DirectBoot {
            kernel_path: file("vmlinuz"),
            initrd_path: file("initrd"),
            cmdline: "console=ttyS0".to_owned(),
        }),
        ..Boot::default()
    }
}

/// The process that runs a guest.
fn qemu_of(id: VmId) -> i32 {
    let id = id.to_string();
    for entry in std::fs::read_dir("/proc").expect("it is there").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        if line.starts_with("/usr/bin/qemu-system-x86_64") && line.contains(&id) {
            return pid;
        }
    }
    panic!("no QEMU runs {id}");
}

fn signal(pid: i32, name: &str) {
    let done = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().expect("kill runs");
    assert!(done.success(), "kill -{name} {pid}");
}

/// A libvirtd of a test's own.
struct Daemon {
    folder: PathBuf,
}

impl Daemon {
    fn start(name: &str) -> Self {
        let daemon = Self { folder: PathBuf::from(format!("/tmp/qk-{name}-{}", std::process::id())) };
        daemon.run(&["start"]);
        daemon
    }

    fn run(&self, arguments: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testbed/private-libvirtd.sh");
        let (action, rest) = arguments.split_first().expect("an action is given");
        let done = Command::new(script)
            .arg(action)
            .arg(&self.folder)
            .args(rest)
            .stdin(std::process::Stdio::null())
            .output()
            .expect("the script runs");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    fn uri(&self) -> String {
        format!("qemu:///system?socket={}/run/libvirt/libvirt-sock", self.folder.display())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.run(&["stop"]);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
