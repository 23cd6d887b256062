//! The looks that ask nobody: directory, state file, ports, CPU, PID 1, programs.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use super::{Finding, RootServes, Settings, Subject};
use crate::host::accounts::Accounts;
use crate::host::orphans::{Orphans, orphans};
use crate::host::ports::{Port, port};
use crate::host::{HostRoot, facts, software};
use crate::store::{Inspected, Store};

/// The user that the package makes for the service.
pub(super) const SERVICE_USER: &str = "quantixkvm";

pub(super) fn of_settings(settings: &Settings) -> Vec<Finding> {
    let accounts = Accounts::read(&HostRoot::default());
    let directory = data_directory(&settings.data_dir, settings.root, &accounts);
    vec![directory, state_file(&settings.state_file), listen(settings)]
}

/// Who would run the service: whoever asks, or, where root does, the package's user.
pub(super) fn service_user(root: RootServes, accounts: &Accounts) -> (u32, String) {
    let uid = rustix::process::geteuid().as_raw();
    match (uid, root, accounts.uid(SERVICE_USER)) {
        (0, RootServes::No, Some(service)) => (service, SERVICE_USER.to_owned()),
        _ => (uid, accounts.user_name(uid)),
    }
}

fn data_directory(dir: &Path, root: RootServes, accounts: &Accounts) -> Finding {
    let subject = Subject::DataDirectory;
    let at = dir.display();
    let (uid, user) = service_user(root, accounts);
    let make = format!("run: install -d -m 0700 -o {user} {at}");
    match std::fs::metadata(dir) {
        Ok(meta) if !meta.is_dir() => {
            subject.failed(format!("{at} is no directory"), "move it away, or choose another with --data-dir")
        }
        Ok(meta) if meta.mode() & 0o077 != 0 => subject.failed(
            format!("{at} can be read by other users (mode {:04o})", meta.mode() & 0o7777),
            format!("run: chmod 0700 {at}"),
        ),
        Ok(meta) if meta.uid() != uid => subject.failed(
            format!("{at} belongs to {}, and the service runs as {user}", accounts.user_name(meta.uid())),
            format!("run: chown -R {user} {at}"),
        ),
        Ok(_) => subject.ok(format!("{at}, of {user} alone")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let above = dir.ancestors().skip(1).find(|above| above.exists()).unwrap_or_else(|| Path::new("/"));
            // What root may do says nothing about another user.
            let asks_itself = rustix::process::geteuid().as_raw() == uid;
            if asks_itself && rustix::fs::access(above, rustix::fs::Access::WRITE_OK).is_ok() {
                subject.ok(format!("{at} is not there yet; the service makes it"))
            } else {
                subject.failed(format!("{at} is not there, and {user} may not make it in {}", above.display()), make)
            }
        }
        Err(error) => subject.failed(format!("{at}: {error}"), "run the check as root, or as the service's user"),
    }
}

fn state_file(path: &Path) -> Finding {
    let at = path.display();
    match Store::inspect(path) {
        Ok(Inspected::Absent) => Subject::StateFile.ok(format!("{at} is not there yet; the service makes it")),
        Ok(Inspected::Held { pid }) => Subject::StateFile.ok(format!("{at} is in use by process {pid}, which serves")),
        Ok(Inspected::Whole { vms: 1 }) => Subject::StateFile.ok(format!("{at} is whole and holds 1 VM")),
        Ok(Inspected::Whole { vms }) => Subject::StateFile.ok(format!("{at} is whole and holds {vms} VMs")),
        Err(error) => Subject::StateFile.failed(error.fault(), error.remedy()),
    }
}

/// The worst of all addresses, in one finding.
fn listen(settings: &Settings) -> Finding {
    let looks: Vec<Finding> = settings.listen.iter().map(|&address| one_port(address, port(address))).collect();
    let status = looks.iter().map(|look| look.status).max().unwrap_or(super::Status::Ok);
    let found = looks.iter().map(|look| look.found.as_str()).collect::<Vec<_>>().join("; ");
    let remedies: Vec<String> = looks.into_iter().filter_map(|look| look.remedy).collect();
    let remedy = if remedies.is_empty() { None } else { Some(remedies.join("; ")) };
    Finding { subject: Subject::Listen, status, found, remedy }
}

fn one_port(address: std::net::SocketAddr, port: Port) -> Finding {
    match port {
        Port::Free => Subject::Listen.ok(format!("{address} is free")),
        Port::Ours => Subject::Listen.ok(format!("a quantixkvm serves on {address}")),
        Port::Taken => Subject::Listen.failed(
            format!("{address} is taken by another program"),
            format!("see who holds it: ss -ltnp 'sport = :{}', or choose another with --listen", address.port()),
        ),
        Port::Refused(why) => {
            let remedy = if address.port() < 1024 {
                format!(
                    "ports below 1024 need CAP_NET_BIND_SERVICE: choose another than {} with --listen",
                    address.port()
                )
            } else {
                format!("leave {address} out of --listen, or choose an address of this host: ip address")
            };
            Subject::Listen.failed(format!("{address} cannot be served on: {why}"), remedy)
        }
    }
}

pub(super) fn of_machine() -> Vec<Finding> {
    let root = HostRoot::default();
    let qemu_img = software::program("qemu-img");
    let firmware = software::uefi(&root, Path::new("/usr/share"));
    vec![
        cpu(&facts(&root).cpu.features),
        whose_orphans(&orphans()),
        match qemu_img {
            Some(path) => Subject::QemuImg.ok(path.display().to_string()),
            None => Subject::QemuImg
                .failed("qemu-img is not installed: libvirt makes disks with it", "run: apt-get install qemu-utils"),
        },
        if firmware.is_empty() {
            Subject::Uefi.warning(
                "no UEFI firmware for x86-64 guests is installed: VMs with UEFI cannot start",
                "run: apt-get install ovmf",
            )
        } else {
            Subject::Uefi.ok(format!("firmware by {}", firmware.join(", ")))
        },
        match software::program("swtpm") {
            Some(path) => Subject::Tpm.ok(path.display().to_string()),
            None => Subject::Tpm.warning(
                "swtpm is not installed: VMs with a TPM cannot start",
                "run: apt-get install swtpm swtpm-tools",
            ),
        },
    ]
}

fn cpu(flags: &[String]) -> Finding {
    match ["vmx", "svm"].into_iter().find(|wanted| flags.iter().any(|flag| flag == wanted)) {
        Some(flag) => Subject::Cpu.ok(format!("virtualization by {flag}")),
        None => Subject::Cpu.warning(
            "the CPU shows neither vmx nor svm: guests can only be emulated, which is slow",
            "switch virtualization on in the firmware's setup (VT-x, SVM); where this host is a VM itself, allow it \
             nested virtualization",
        ),
    }
}

/// An init reaps within milliseconds.
const PROMPT: Duration = Duration::from_millis(500);
const INIT: &str = "run libvirtd under an init that reaps: systemd, or in a container tini or dumb-init as process 1";

fn whose_orphans(orphans: &Orphans) -> Finding {
    match orphans {
        Orphans::Reaped { by, after } if *after < PROMPT => Subject::Orphans.ok(format!("process {by} reaps orphans")),
        Orphans::Reaped { by, after } => Subject::Orphans.warning(
            format!(
                "process {by} reaps orphans only after {:.1} s: libvirt waits as long for each QEMU that ends",
                after.as_secs_f64()
            ),
            INIT,
        ),
        Orphans::Left { by } => Subject::Orphans.warning(
            format!("process {by} leaves dead orphans unreaped: libvirt waits 25 to 50 s for each QEMU that it probed"),
            INIT,
        ),
        Orphans::Unknown(why) => Subject::Orphans.skipped(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::check::Status;

    #[test]
    fn what_is_wrong_has_a_remedy() {
        for (finding, status, words) in [
            (cpu(&["aes".to_owned()]), Status::Warning, "vmx"),
            (cpu(&["svm".to_owned()]), Status::Ok, "svm"),
            (whose_orphans(&Orphans::Left { by: 1 }), Status::Warning, "process 1"),
            (whose_orphans(&Orphans::Reaped { by: 1, after: Duration::ZERO }), Status::Ok, "process 1"),
            (whose_orphans(&Orphans::Reaped { by: 1, after: Duration::from_secs(1) }), Status::Warning, "1.0 s"),
            (whose_orphans(&Orphans::Unknown("no shell".to_owned())), Status::Skipped, "no shell"),
            (one_port(([127, 0, 0, 1], 80).into(), Port::Taken), Status::Failed, "127.0.0.1:80"),
            (one_port(([127, 0, 0, 1], 80).into(), Port::Refused("denied".to_owned())), Status::Failed, "denied"),
            (one_port(([127, 0, 0, 1], 8080).into(), Port::Ours), Status::Ok, "quantixkvm"),
        ] {
            assert_eq!(finding.status, status, "{finding:?}");
            assert!(finding.found.contains(words), "{finding:?}");
            assert_eq!(finding.remedy.is_some(), status >= Status::Warning, "{finding:?}");
        }
    }

    #[test]
    fn a_directory_is_looked_at_and_left_as_it_is() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().expect("a temporary directory");
        let look = |dir: &Path| data_directory(dir, RootServes::Yes, &Accounts::default());
        let dir = home.path().join("data");
        assert_eq!(look(&dir).status, Status::Ok, "it can be made");
        assert!(!dir.exists(), "and was not");
        std::fs::create_dir(&dir).expect("a directory");
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).expect("a mode");
        let open = look(&dir);
        assert_eq!(open.status, Status::Failed);
        assert!(open.remedy.is_some_and(|remedy| remedy.contains("chmod 0700")));
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).expect("a mode");
        assert_eq!(look(&dir).status, Status::Ok);
        let file = home.path().join("file");
        std::fs::write(&file, "").expect("a file");
        assert_eq!(look(&file).status, Status::Failed);
    }
}
