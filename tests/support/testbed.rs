//! A libvirtd of the test's own, in namespaces and directories of its own, and what a test does
//! with it behind the server's back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Where the testbed's scripts are.
fn scripts() -> PathBuf {
    std::env::var_os("QKVM_TESTBED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testbed"), PathBuf::from)
}

/// The directory of the tests' guest, built where it is not there.
pub fn guest() -> &'static Path {
    static GUEST: OnceLock<PathBuf> = OnceLock::new();
    GUEST.get_or_init(|| {
        let dir = std::env::var_os("QKVM_GUEST")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/testbed/guest"), PathBuf::from);
        let built = Command::new(scripts().join("build-guest.sh")).arg(&dir).output().expect("build-guest.sh runs");
        assert!(built.status.success(), "the guest was not built: {}", words(&built));
        dir
    })
}

/// A disk over the guest's image, as a request asks for it.
pub fn guest_disk() -> Value {
    json!({
        "sizeGib": 1,
        "backingFile": guest().join("tiny.qcow2").display().to_string(),
        "backingFormat": "QCOW2",
    })
}

/// The guest's kernel, loaded by QEMU itself; `more` goes onto its command line.
pub fn guest_kernel(more: &str) -> Value {
    json!({ "directBoot": {
        "kernelPath": guest().join("vmlinuz").display().to_string(),
        "initrdPath": guest().join("initrd").display().to_string(),
        "cmdline": format!("console=ttyS0 {more}"),
    }})
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A private libvirtd; it and its guests end with the value.
pub struct Testbed {
    dir: PathBuf,
    pub uri: String,
}

impl Testbed {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Short: it holds unix sockets.
        let dir = PathBuf::from(format!("/tmp/qk-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        let started = action("start", &dir, &[]);
        assert!(started.status.success(), "the private libvirtd did not start: {}", words(&started));
        let uri = String::from_utf8_lossy(&action("uri", &dir, &[]).stdout).trim().to_owned();
        Self { dir, uri }
    }

    /// One of the script's actions.
    pub fn act(&self, what: &str, arguments: &[&str]) -> String {
        let done = action(what, &self.dir, arguments);
        assert!(done.status.success(), "{what} {arguments:?}: {}", words(&done));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    /// `virsh`, another administrator.
    pub fn virsh(&self, arguments: &[&str]) -> String {
        let done = self.try_virsh(arguments);
        assert!(done.status.success(), "virsh {arguments:?}: {}", words(&done));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    pub fn try_virsh(&self, arguments: &[&str]) -> Output {
        Command::new("virsh").args(["-q", "-c", &self.uri]).args(arguments).output().expect("virsh runs")
    }

    /// `virsh console` on a terminal of its own, once it has the serial port.
    pub fn virsh_console(&self, uuid: &str, flags: &[&str]) -> Holder {
        let command = format!("virsh -c '{}' console {} {uuid}", self.uri, flags.join(" "));
        let mut child = Command::new("script")
            .args(["-qefc", &command, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("script runs");
        let mut said = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        while !line.contains("Escape character") {
            line.clear();
            assert!(said.read_line(&mut line).expect("its output") > 0, "virsh console has ended");
        }
        // Whatever else it says is read, so that it never blocks.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Holder(child)
    }

    /// A file for virsh to read.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.join(name);
        std::fs::write(&path, text).expect("a file in the testbed");
        path.display().to_string()
    }

    /// The process of a VM's QEMU, as seen from outside.
    pub fn qemu(&self, uuid: &str) -> u32 {
        std::fs::read_dir("/proc")
            .expect("/proc")
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
            .find(|pid| {
                std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
                    let line = String::from_utf8_lossy(&line).replace('\0', " ");
                    line.contains("qemu-system") && line.contains(&format!("-uuid {uuid}"))
                })
            })
            .unwrap_or_else(|| panic!("no QEMU runs VM {uuid}"))
    }

    /// Everything below libvirt's directories of definitions, state and disks; logs and caches of
    /// the host's abilities aside.
    pub fn files(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for root in ["etc/libvirt", "var/lib/libvirt", "run/libvirt/qemu"] {
            walk(&self.dir.join(root), &mut found);
        }
        // DHCP leases outlive their VMs, and are the network's.
        found.retain(|path| !path.contains("/dnsmasq/"));
        found
    }
}

/// A program that has a serial port open; it ends with the value.
pub struct Holder(Child);

impl Holder {
    /// Until it ends by itself.
    pub fn until_end(&mut self, within: Duration) {
        let deadline = Instant::now() + within;
        while self.0.try_wait().expect("a child").is_none() {
            assert!(Instant::now() < deadline, "virsh console still has the port after {within:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Testbed {
    fn drop(&mut self) {
        let stopped = action("stop", &self.dir, &[]);
        if !stopped.status.success() {
            eprintln!("the private libvirtd in {} did not stop: {}", self.dir.display(), words(&stopped));
        } else {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

fn action(what: &str, dir: &Path, arguments: &[&str]) -> Output {
    Command::new(scripts().join("private-libvirtd.sh"))
        .arg(what)
        .arg(dir)
        .args(arguments)
        .output()
        .expect("private-libvirtd.sh runs")
}

fn walk(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&path, found),
            Ok(_) | Err(_) => {
                found.insert(path.display().to_string());
            }
        }
    }
}
