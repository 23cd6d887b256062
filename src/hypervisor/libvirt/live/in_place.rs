//! Another client's definition, edited: what we do not know stays, and libvirt takes the result.

use super::{Live, small, small_spec, uri};
use crate::hypervisor::{Hypervisor, Undefine};
use crate::model::definition::DefinitionText;
use crate::model::id::VmId;
use crate::model::spec::{
    BootClass, BootDevice, CacheMode, Cdrom, Disk, DiskBus, DiskFormat, Firmware, IoLimits, Nic, NicQos, Rng, Tpm,
    TpmVersion, VideoModel, VmSpec, Watchdog, WatchdogAction, WatchdogModel,
};
use crate::model::units::Mib;

/// As virt-install and virt-manager leave one, with what we have no word for.
const FOREIGN: &str = r#"<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>NAME</name>
  <uuid>UUID</uuid>
  <title>A title &amp; more</title>
  <description>Somebody's</description>
  <metadata>
    <libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">
      <libosinfo:os id="http://debian.org/debian/12"/>
    </libosinfo:libosinfo>
  </metadata>
  <memory unit='MiB'>512</memory>
  <vcpu>2</vcpu>
  <cputune><shares>512</shares></cputune>
  <os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/><boot dev='cdrom'/></os>
  <features><acpi/><apic/><vmport state='off'/></features>
  <cpu mode='custom' match='exact' check='none'>
    <model fallback='forbid'>Nehalem</model>
    <cache mode='emulate' level='3'/>
    <feature policy='optional' name='x2apic'/>
  </cpu>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' io='threads' queues='1'/>
      <source file='/images/a.qcow2'/>
      <target dev='vda' bus='virtio'/>
      <serial>KEEP-ME-1</serial>
    </disk>
    <disk type='file' device='cdrom'>
      <driver name='qemu' type='raw'/>
      <source file='/images/c.iso' startupPolicy='optional'/>
      <target dev='sda' bus='sata'/>
      <readonly/>
    </disk>
    <interface type='network'>
      <mac address='52:54:00:0a:0b:0c'/>
      <source network='default'/>
      <model type='virtio'/>
      <mtu size='1400'/>
      <link state='down'/>
    </interface>
    <serial type='pty'><target port='0'/></serial>
    <channel type='unix'><target type='virtio' name='keep.me.0'/></channel>
    <sound model='ich9'/>
    <graphics type='vnc' port='-1' listen='127.0.0.1' passwd='hidden'/>
    <video><model type='virtio'/></video>
    <hub type='usb'/>
    <memballoon model='virtio'/>
  </devices>
  <qemu:commandline><qemu:env name='KEEP_ME' value='2'/></qemu:commandline>
</domain>"#;

const KEPT: [&str; 15] = [
    "A title &amp; more",
    "Somebody's",
    "libosinfo:os",
    "<shares>512</shares>",
    "<vmport state=",
    "<cache ",
    "x2apic",
    "KEEP-ME-1",
    "threads",
    "startupPolicy",
    "<mtu size=",
    "keep.me.0",
    "ich9",
    "hidden",
    "KEEP_ME",
];

/// Quotes differ between libvirt's writer and ours.
fn kept(text: &str) -> Vec<&'static str> {
    let text = text.replace('"', "'").replace("&apos;", "'");
    KEPT.into_iter().filter(|part| !text.contains(part)).collect()
}

#[test]
fn what_we_have_no_word_for_stays() {
    let Some(uri) = uri() else { return };
    let live = Live::to(&uri);
    let h = &live.libvirt;
    let id = VmId::random();
    let text = FOREIGN.replace("UUID", &id.to_string()).replace("NAME", &format!("foreign-{}", &id.to_string()[..8]));
    h.define(id, &DefinitionText(text)).expect("it is somebody's good definition");
    let described = || h.describe(id).expect("it answers").expect("it is there");
    let first = described();
    assert_eq!(kept(&first.persistent.0), Vec::<&str>::new(), "{}", first.persistent.0);
    let same = h.edit(&first.persistent, &first.spec, None).expect("nothing is asked");
    assert_eq!(same, first.persistent, "an edit that changes nothing is the text itself");

    type Change = (&'static str, Box<dyn Fn(&mut VmSpec)>);
    let changes: Vec<Change> = vec![
        ("cores", Box::new(|spec| spec.cpu.cores = 1)),
        (
            "max cores",
            Box::new(|spec| {
                (spec.cpu.max_cores, spec.cpu.sockets, spec.cpu.threads_per_core) = (4, 2, 1);
            }),
        ),
        ("model", Box::new(|spec| spec.cpu.model = "Westmere".to_owned())),
        ("flags", Box::new(|spec| spec.cpu.features.custom_flags = vec!["-pcid".to_owned()])),
        ("memory", Box::new(|spec| (spec.memory.size, spec.memory.max) = (Mib(600), Mib(700)))),
        ("no balloon", Box::new(|spec| spec.memory.ballooning = Some(false))),
        ("balloon", Box::new(|spec| spec.memory.ballooning = Some(true))),
        ("cache", Box::new(|spec| spec.disks[0].cache = Some(CacheMode::None))),
        ("limits", Box::new(|spec| spec.disks[0].io_limits = IoLimits { read_iops: 9, ..IoLimits::default() })),
        ("no limits", Box::new(|spec| spec.disks[0].io_limits = IoLimits::default())),
        ("discard", Box::new(|spec| spec.disks[0].discard = Some(true))),
        ("path", Box::new(|spec| spec.disks[0].path = "/images/b.qcow2".to_owned())),
        (
            "another disk",
            Box::new(|spec| {
                spec.disks.push(Disk {
                    id: "sdb".to_owned(),
                    bus: Some(DiskBus::VirtioScsi),
                    path: "/dev/zero".to_owned(),
                    format: Some(DiskFormat::Raw),
                    discard: Some(false),
                    boot_index: 3,
                    ..Disk::default()
                });
            }),
        ),
        ("without it", Box::new(|spec| drop(spec.disks.pop()))),
        (
            "order",
            Box::new(|spec| {
                spec.boot.order = [BootClass::Network, BootClass::Disk, BootClass::Cdrom]
                    .map(|class| BootDevice { class, device_id: String::new() })
                    .to_vec();
            }),
        ),
        (
            "rate",
            Box::new(|spec| {
                spec.nics[0].qos = NicQos { ingress_rate_mbps: 8, egress_rate_mbps: 4, burst_kb: 100 };
            }),
        ),
        ("no rate", Box::new(|spec| spec.nics[0].qos = NicQos::default())),
        (
            "bridge",
            Box::new(|spec| {
                spec.nics[0].network.clear();
                spec.nics[0].bridge = "br7".to_owned();
            }),
        ),
        (
            "another card",
            Box::new(|spec| {
                let mac = "52:54:00:0a:0b:0d".to_owned();
                spec.nics.push(Nic {
                    id: mac.clone(),
                    mac,
                    network: "default".to_owned(),
                    boot_index: 4,
                    ..Nic::default()
                });
            }),
        ),
        ("menu", Box::new(|spec| spec.boot.menu_timeout_sec = 4)),
        ("kernel", Box::new(|spec| spec.boot.direct = super::from_kernel().direct)),
        ("no kernel", Box::new(|spec| spec.boot.direct = None)),
        (
            "rng",
            Box::new(|spec| {
                spec.rng = Some(Rng { enabled: Some(true), backend: "/dev/random".to_owned(), ..Rng::default() });
            }),
        ),
        (
            "watchdog",
            Box::new(|spec| {
                spec.watchdog =
                    Some(Watchdog { enabled: true, model: WatchdogModel::I6300esb, action: WatchdogAction::Pause });
            }),
        ),
        ("serials", Box::new(|spec| spec.serial_ports = Some(3))),
        ("no agent", Box::new(|spec| spec.agent = Some(false))),
        ("agent", Box::new(|spec| spec.agent = Some(true))),
        (
            "tpm",
            Box::new(|spec| {
                spec.tpm = Some(Tpm { enabled: Some(true), version: TpmVersion::V2_0, persistent: false });
            }),
        ),
        ("no tpm", Box::new(|spec| spec.tpm = None)),
        ("uefi", Box::new(|spec| spec.firmware = Some(Firmware::Uefi))),
        ("secure boot", Box::new(|spec| spec.firmware = Some(Firmware::UefiSecureBoot))),
        ("bios", Box::new(|spec| spec.firmware = Some(Firmware::Bios))),
    ];
    let identity = small("adopted", small_spec()).identity;
    let mut wrong = Vec::new();
    for (round, (what, change)) in changes.iter().enumerate() {
        let before = described();
        let mut wanted = before.spec.clone();
        change(&mut wanted);
        let adopt = (round == 5).then_some(&identity);
        let edited = match h.edit(&before.persistent, &wanted, adopt) {
            Ok(edited) => edited,
            Err(error) => {
                wrong.push(format!("{what}: {error}"));
                continue;
            }
        };
        if let Err(error) = h.define(id, &edited) {
            wrong.push(format!("{what}: {error}"));
            continue;
        }
        let after = described();
        if what == &"order" {
            wanted.boot.order.clear();
            (wanted.nics[0].boot_index, wanted.disks[0].boot_index, wanted.cdroms[0].boot_index) = (1, 2, 3);
        }
        let places = |spec: &mut VmSpec| {
            spec.disks.iter_mut().for_each(|disk| disk.boot_index = 0);
            spec.cdroms.iter_mut().for_each(|cdrom| cdrom.boot_index = 0);
        };
        let mut read = after.spec.clone();
        if what != &"order" {
            places(&mut wanted);
            places(&mut read);
        }
        if read != wanted {
            wrong.push(format!("{what}: wanted {wanted:?}\nread {read:?}"));
        }
        let lost = kept(&after.persistent.0);
        if !lost.is_empty() {
            wrong.push(format!("{what}: {lost:?} went"));
        }
    }
    let mut wanted = described().spec;
    wanted.display.video = VideoModel::Cirrus;
    wanted.cdroms[0] = Cdrom { iso_path: String::new(), connected: Some(false), ..wanted.cdroms[0].clone() };
    let edited = h.edit(&described().persistent, &wanted, None).expect("it can be edited");
    h.define(id, &edited).expect("libvirt takes it");
    let after = described();
    assert_eq!((after.spec.display.video, after.spec.cdroms[0].connected), (VideoModel::Cirrus, Some(false)));
    assert_eq!(after.identity, Some(identity));
    // The medium's own words went with it.
    assert_eq!(kept(&after.persistent.0), ["startupPolicy"]);
    h.undefine(id, Undefine::WithState).expect("it goes");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
