//! The looks that ask libvirt. Each call has its time: a libvirt that hangs is a finding.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::host::service_user;
use super::{Finding, Reach, Settings, Subject};
use crate::host::accounts::Accounts;
use crate::host::kvm::{KvmDevice, kvm_device};
use crate::host::paths::Opener;
use crate::host::{HostRoot, software, space};
use crate::hypervisor::{AcceleratorChoice, HostOffer, HypervisorError, Kernel, Proof, Result};
use crate::model::definition::PoolFacts;

/// Everything below [`Subject::Libvirt`], in the order of the list.
pub(super) const SUBJECTS: [Subject; 6] =
    [Subject::Libvirt, Subject::Qemu, Subject::Kvm, Subject::LibvirtSpeed, Subject::Pool, Subject::Network];

/// A host whose libvirt probes QEMU anew for every question takes half a minute.
const OFFER_WITHIN: Duration = Duration::from_secs(60);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A Linux kernel that has not spoken by then will not.
const PROOF_WITHIN: Duration = Duration::from_secs(10);
/// Longer than libvirt takes to answer from its cache by far.
const SLOW: Duration = Duration::from_secs(2);
/// Longer than the first probe of all takes.
const VERY_SLOW: Duration = Duration::from_secs(10);
/// Less than this in the pool is too little for a VM.
const SMALL_POOL_BYTES: u64 = 5 << 30;

const DEFAULT: &str = "default";
const IMAGES: &str = "/var/lib/libvirt/images";
const START: &str =
    "run: systemctl enable --now libvirtd.socket virtlogd.socket; without systemd: virtlogd -d; libvirtd -d";

pub(super) fn of_hypervisor(settings: &Settings, reach: &Reach) -> Vec<Finding> {
    let accounts = Accounts::read(&HostRoot::default());
    let user = service_user(settings.root, &accounts).1;
    let connect = Arc::clone(&reach.connect);
    let hypervisor = match within(ANSWER_WITHIN, move || connect()) {
        Ok(hypervisor) => hypervisor,
        Err(error) => {
            let mut findings = vec![
                Subject::Libvirt.failed(error.to_string(), unreachable_remedy(&error, &user, &settings.libvirt_uri)),
            ];
            findings.extend(SUBJECTS[1..].iter().map(|subject| subject.skipped("libvirt cannot be reached")));
            return findings;
        }
    };
    let begun = Instant::now();
    let asked = Arc::clone(&hypervisor);
    let offer = within(OFFER_WITHIN, move || asked.offer());
    let took = begun.elapsed();
    let mut findings = match &offer {
        Ok(offer) => of_offer(settings, reach, offer, took, &accounts, &user),
        Err(error) => {
            let mut findings = vec![
                Subject::Libvirt.ok(format!("answers at {}", settings.libvirt_uri)),
                Subject::Qemu.failed(error.to_string(), "run: apt-get install qemu-system-x86; then restart libvirtd"),
                Subject::Kvm.skipped("what the host offers is not known"),
            ];
            findings.push(speed(took));
            findings
        }
    };
    let asked = Arc::clone(&hypervisor);
    findings.push(match within(ANSWER_WITHIN, move || asked.pools()) {
        Ok(pools) => pool(&pools),
        Err(error) => Subject::Pool.warning(error.to_string(), "look for storage that hangs: virsh pool-list --all"),
    });
    let asked = Arc::clone(&hypervisor);
    findings.push(match within(ANSWER_WITHIN, move || asked.networks()) {
        Ok(networks) => network(networks.iter().find(|network| network.name == DEFAULT).map(|network| network.active)),
        Err(error) => Subject::Network.warning(error.to_string(), "look at libvirt's networks: virsh net-list --all"),
    });
    hypervisor.close();
    findings
}

/// Do it on a thread of its own, which is left behind where it takes too long.
fn within<T: Send + 'static>(time: Duration, call: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (tell, told) = channel();
    std::thread::Builder::new()
        .name("check".to_owned())
        .spawn(move || {
            // Nobody listens any more when it took too long.
            let _ = tell.send(call());
        })
        .map_err(|error| HypervisorError::Failed(error.to_string()))?;
    told.recv_timeout(time)
        .unwrap_or_else(|_| Err(HypervisorError::TimedOut(format!("no answer within {} s", time.as_secs()))))
}

fn unreachable_remedy(error: &HypervisorError, user: &str, uri: &str) -> String {
    let why = error.to_string().to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| why.contains(word));
    if has(&["permission denied", "authentication", "polkit", "access denied"]) {
        format!(
            "libvirt's socket is for root and the group libvirt; run: usermod -aG libvirt {user}; then restart quantixkvm"
        )
    } else if has(&["no such file", "connection refused", "failed to connect"]) {
        if ["libvirtd", "virtqemud"].iter().any(|name| software::program(name).is_some()) {
            format!("libvirt is not running at {uri}; {START}")
        } else {
            format!("libvirt is not installed; run: apt-get install libvirt-daemon-system; then {START}")
        }
    } else if has(&["no answer"]) {
        "libvirt hangs; run: systemctl restart libvirtd; guests run on".to_owned()
    } else {
        format!("see whether this says more: virsh -c '{uri}' version")
    }
}

fn of_offer(
    settings: &Settings,
    reach: &Reach,
    offer: &HostOffer,
    took: Duration,
    accounts: &Accounts,
    user: &str,
) -> Vec<Finding> {
    let found = format!("{} at {}", offer.libvirt_version, settings.libvirt_uri);
    let system = settings.libvirt_uri.contains(":///system");
    let outsider = user != "root" && system && accounts.is_in_named(user, "libvirt") == Some(false);
    let libvirt = if outsider && rustix::process::geteuid().is_root() {
        Subject::Libvirt.warning(
            format!("{found} answers root, but {user} is not in the group libvirt"),
            format!("run: usermod -aG libvirt {user}; then restart quantixkvm"),
        )
    } else {
        Subject::Libvirt.ok(found)
    };
    if offer.hypervisor.eq_ignore_ascii_case("test") {
        let why = "libvirt's test driver runs no guests";
        return vec![
            libvirt,
            Subject::Qemu.skipped(why),
            Subject::Kvm.skipped(why),
            Subject::LibvirtSpeed.skipped(why),
        ];
    }
    let qemu = Subject::Qemu.ok(format!("{} {}", offer.hypervisor, offer.hypervisor_version));
    // The first probe after an installation takes its time; what takes as long again is never kept.
    let took = if took > SLOW && took < VERY_SLOW { asked_again(reach).unwrap_or(took) } else { took };
    let opener = Opener::of_qemu(&HostRoot::default(), offer.qemu_ids);
    let device = kvm_device(Path::new("/dev/kvm"), &opener, accounts);
    vec![libvirt, qemu, kvm(settings, reach, offer, &device, &opener.name), speed(took)]
}

/// How long the same question takes on a new connection, which knows no answer yet.
fn asked_again(reach: &Reach) -> Option<Duration> {
    let connect = Arc::clone(&reach.connect);
    within(OFFER_WITHIN, move || {
        let hypervisor = connect()?;
        let begun = Instant::now();
        hypervisor.offer()?;
        hypervisor.close();
        Ok(begun.elapsed())
    })
    .ok()
}

fn speed(took: Duration) -> Finding {
    let seconds = format!("{:.1} s", took.as_secs_f64());
    if took <= SLOW {
        return Subject::LibvirtSpeed.ok(format!("libvirt says what it offers in {seconds}"));
    }
    Subject::LibvirtSpeed.warning(
        format!("libvirt takes {seconds} to say what it offers, and as long for every definition and start"),
        "libvirt forgets what QEMU can do where /dev/kvm is there and its QEMU user may not open it; run: chgrp kvm \
         /dev/kvm; chmod 0660 /dev/kvm; and see what is said of orphans",
    )
}

fn kvm(settings: &Settings, reach: &Reach, offer: &HostOffer, device: &KvmDevice, qemu_user: &str) -> Finding {
    let subject = Subject::Kvm;
    let wanted = match settings.accelerator {
        AcceleratorChoice::Tcg => return subject.skipped("not used: the accelerator is configured as tcg"),
        AcceleratorChoice::Auto => Subject::warning as fn(Subject, String, String) -> Finding,
        AcceleratorChoice::Kvm => Subject::failed,
    };
    let denied = match device {
        KvmDevice::Denied { mode, owner, group } => {
            Some(format!("/dev/kvm (mode {mode:04o}, {owner}:{group}) cannot be opened by {qemu_user}, who runs QEMU"))
        }
        KvmDevice::Absent | KvmDevice::Reachable => None,
    };
    let open_it = "run: chgrp kvm /dev/kvm; chmod 0660 /dev/kvm; or set the accelerator to tcg";
    if !offer.kvm {
        return match (device, denied) {
            (KvmDevice::Absent, _) => wanted(
                subject,
                "not usable: there is no /dev/kvm; guests are emulated, which is slow".to_owned(),
                "switch virtualization on in the firmware's setup, then run: modprobe kvm_intel (or kvm_amd)"
                    .to_owned(),
            ),
            (KvmDevice::Reachable | KvmDevice::Denied { .. }, Some(denied)) => {
                wanted(subject, format!("not usable: {denied}; guests are emulated, which is slow"), open_it.to_owned())
            }
            (KvmDevice::Reachable | KvmDevice::Denied { .. }, None) => wanted(
                subject,
                "not usable: /dev/kvm is there, but libvirt does not offer it".to_owned(),
                "libvirt may have looked before it was there; run: systemctl restart libvirtd".to_owned(),
            ),
        };
    }
    let Some(kernel) = settings.kernel.clone().or_else(own_kernel) else {
        let found = match denied {
            Some(denied) => format!("present, not proven: {denied}"),
            None => "present, not proven: this host's own kernel cannot be read to start it as a guest".to_owned(),
        };
        let remedy =
            "prove it with a Linux kernel that QEMU's user may read: quantixkvm check --prove-kvm /path/to/vmlinuz";
        return subject.warning(found, remedy);
    };
    let at = kernel.kernel.display().to_string();
    match (reach.prove)(&kernel, PROOF_WITHIN) {
        Proof::Spoke(line) => subject.ok(format!("usable: under it {at} said \"{line}\"")),
        Proof::Silent => wanted(
            subject,
            format!("present, not proven: {at} said nothing within {} s under it", PROOF_WITHIN.as_secs()),
            "where guests hang as well, set the accelerator to tcg; where this host is a VM itself, its own host's KVM \
             may be at fault"
                .to_owned(),
        ),
        Proof::NotStarted(why) => {
            let remedy = if denied.is_some() {
                open_it.to_owned()
            } else {
                "name a kernel that QEMU's user may read with --prove-kvm, or set the accelerator to tcg".to_owned()
            };
            let denied = denied.map(|denied| format!("; {denied}")).unwrap_or_default();
            wanted(subject, format!("present, not proven: {at} could not be started under it: {why}{denied}"), remedy)
        }
    }
}

/// The kernel that runs this host, where everybody may read it: QEMU's user is another than ours.
fn own_kernel() -> Option<Kernel> {
    use std::os::unix::fs::PermissionsExt as _;
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let kernel = PathBuf::from(format!("/boot/vmlinuz-{release}"));
    let readable = std::fs::metadata(&kernel).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0);
    readable.then_some(Kernel { kernel, initrd: None })
}

fn pool(pools: &[PoolFacts]) -> Finding {
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
    let judge = |free: u64, found: String| {
        if free < SMALL_POOL_BYTES {
            Subject::Pool.warning(found, "make room, or give VMs another pool: virsh pool-list --all")
        } else {
            Subject::Pool.ok(found)
        }
    };
    match pools.iter().find(|pool| pool.name == DEFAULT) {
        Some(pool) if pool.active => judge(
            pool.available_bytes,
            format!("default has {} free of {}", gib(pool.available_bytes), gib(pool.capacity_bytes)),
        ),
        Some(_) => Subject::Pool.warning(
            "default is not active; it is started when it is first used",
            "run: virsh pool-start default; virsh pool-autostart default",
        ),
        None => match Path::new(IMAGES).ancestors().find_map(space) {
            Some((used, total)) => {
                let free = total.saturating_sub(used);
                judge(free, format!("default is not there yet; it is made in {IMAGES}, with {} free", gib(free)))
            }
            None => Subject::Pool.ok(format!("default is not there yet; it is made in {IMAGES}")),
        },
    }
}

/// Whether the network `default` is active; `None`: there is none.
fn network(active: Option<bool>) -> Finding {
    match active {
        Some(true) => Subject::Network.ok("default is active"),
        Some(false) => Subject::Network.warning(
            "default is not active: VMs on it cannot start",
            "run: virsh net-start default; virsh net-autostart default",
        ),
        None => Subject::Network.warning(
            "there is no network default: VMs need another one named",
            "run: virsh net-define /usr/share/libvirt/networks/default.xml; virsh net-start default; virsh \
             net-autostart default",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::check::{RootServes, Status};

    fn judged(accelerator: AcceleratorChoice, kvm_offered: bool, device: &KvmDevice, proof: Option<Proof>) -> Finding {
        let settings = Settings {
            source: String::new(),
            data_dir: PathBuf::new(),
            state_file: PathBuf::new(),
            listen: Vec::new(),
            libvirt_uri: "qemu:///system".to_owned(),
            accelerator,
            root: RootServes::Yes,
            kernel: proof.is_some().then(|| Kernel { kernel: PathBuf::from("/k"), initrd: None }),
        };
        let reach = Reach {
            connect: Arc::new(|| Err(HypervisorError::Unreachable("not asked".to_owned()))),
            prove: Arc::new(move |_, _| proof.clone().unwrap_or(Proof::Silent)),
        };
        let offer = HostOffer { kvm: kvm_offered, ..HostOffer::default() };
        kvm(&settings, &reach, &offer, device, "libvirt-qemu")
    }

    #[test]
    fn kvm_is_usable_only_where_a_kernel_spoke() {
        let denied = KvmDevice::Denied { mode: 0o600, owner: "root".to_owned(), group: "root".to_owned() };
        let there = KvmDevice::Reachable;
        let spoke = || Some(Proof::Spoke("Linux version 6.1".to_owned()));
        let not_started = || Some(Proof::NotStarted("no".to_owned()));
        use AcceleratorChoice::{Auto, Kvm, Tcg};
        for (choice, offered, device, proof, status, words) in [
            (Auto, true, &there, spoke(), Status::Ok, "usable: "),
            (Auto, true, &there, Some(Proof::Silent), Status::Warning, "present, not proven"),
            (Kvm, true, &there, Some(Proof::Silent), Status::Failed, "present, not proven"),
            (Auto, true, &denied, not_started(), Status::Warning, "mode 0600, root:root"),
            (Kvm, true, &there, not_started(), Status::Failed, "could not be started"),
            (Auto, false, &there, None, Status::Warning, "libvirt does not offer it"),
            (Auto, false, &denied, None, Status::Warning, "libvirt-qemu"),
            (Kvm, false, &KvmDevice::Absent, None, Status::Failed, "there is no /dev/kvm"),
            (Tcg, true, &there, spoke(), Status::Skipped, "tcg"),
        ] {
            let finding = judged(choice, offered, device, proof);
            assert_eq!(finding.status, status, "{finding:?}");
            assert!(finding.found.contains(words), "{finding:?}");
            assert_eq!(finding.remedy.is_some(), status >= Status::Warning, "{finding:?}");
        }
    }

    #[test]
    fn each_way_of_not_answering_has_its_remedy() {
        let remedy = |why: &str| {
            unreachable_remedy(&HypervisorError::Unreachable(why.to_owned()), "quantixkvm", "qemu:///system")
        };
        let denied = "Failed to connect socket to '/var/run/libvirt/libvirt-sock': Permission denied";
        assert!(remedy(denied).contains("usermod -aG libvirt quantixkvm"));
        assert!(remedy("Failed to connect socket to '/x': Connection refused").contains("systemctl enable --now"));
        assert!(remedy("no answer within 9 s").contains("restart libvirtd"));
        assert!(remedy("no connection driver available").contains("virsh -c 'qemu:///system' version"));
    }

    #[test]
    fn a_call_that_hangs_is_left_behind() {
        let answer = within(Duration::from_millis(10), || {
            std::thread::sleep(Duration::from_secs(1));
            Ok(())
        });
        assert!(matches!(answer, Err(HypervisorError::TimedOut(_))), "{answer:?}");
        assert_eq!(within(Duration::from_secs(5), || Ok(7)), Ok(7));
    }

    #[test]
    fn pools_networks_and_slowness_are_judged() {
        let of = |active, available_bytes| {
            let name = DEFAULT.to_owned();
            pool(&[PoolFacts {
                id: uuid::Uuid::nil(),
                path: String::new(),
                name,
                active,
                kind: crate::model::definition::PoolKind::Files,
                capacity_bytes: 100 << 30,
                allocation_bytes: 0,
                available_bytes,
            }])
            .status
        };
        assert_eq!(of(true, 50 << 30), Status::Ok);
        assert_eq!(of(true, 1 << 30), Status::Warning);
        assert_eq!(of(false, 0), Status::Warning);
        assert_eq!(pool(&[]).subject, Subject::Pool);
        assert_eq!(
            [Some(true), Some(false), None].map(|active| network(active).status),
            [Status::Ok, Status::Warning, Status::Warning]
        );
        assert_eq!(speed(Duration::from_millis(30)).status, Status::Ok);
        assert!(speed(Duration::from_secs(36)).remedy.is_some_and(|remedy| remedy.contains("/dev/kvm")));
    }
}
