//! Our own facts in a definition's `<metadata>`, so that a lost state file is rebuilt from libvirt
//! and ownership is a tag that only we write.

use super::tree::Element;
use crate::hypervisor::HypervisorError;
use crate::model::definition::{VmIdentity, VolumeRef};
use crate::model::spec::GuestOsFamily;
use crate::model::vm::DeletionProtection;

/// Our namespace. A name, not an address.
pub const METADATA_URI: &str = "urn:quantixkvm:vm:1";
/// The prefix that libvirt writes for it.
pub const METADATA_PREFIX: &str = "qkvm";

const FAMILIES: [(GuestOsFamily, &str); 16] = [
    (GuestOsFamily::Unspecified, ""),
    (GuestOsFamily::Rhel, "rhel"),
    (GuestOsFamily::Debian, "debian"),
    (GuestOsFamily::Suse, "suse"),
    (GuestOsFamily::Arch, "arch"),
    (GuestOsFamily::Fedora, "fedora"),
    (GuestOsFamily::GenericLinux, "linux"),
    (GuestOsFamily::WindowsServer, "windows-server"),
    (GuestOsFamily::WindowsDesktop, "windows-desktop"),
    (GuestOsFamily::WindowsLegacy, "windows-legacy"),
    (GuestOsFamily::Freebsd, "freebsd"),
    (GuestOsFamily::Openbsd, "openbsd"),
    (GuestOsFamily::Netbsd, "netbsd"),
    (GuestOsFamily::Macos, "macos"),
    (GuestOsFamily::Solaris, "solaris"),
    (GuestOsFamily::Other, "other"),
];

/// The element as `virDomainSetMetadata` takes it: without prefix, the call adds it.
///
/// # Errors
/// `Refused` where it cannot be written.
pub fn write_metadata(identity: &VmIdentity) -> Result<String, HypervisorError> {
    element(identity, "").write()
}

/// The element as it stands in a whole definition, with its namespace declared.
pub(super) fn declared(identity: &VmIdentity) -> Element {
    let prefix = format!("{METADATA_PREFIX}:");
    let mut vm = element(identity, &prefix);
    vm.attributes.insert(0, (format!("xmlns:{METADATA_PREFIX}"), METADATA_URI.to_owned()));
    vm
}

fn element(identity: &VmIdentity, prefix: &str) -> Element {
    let name = |name: &str| format!("{prefix}{name}");
    let mut vm = Element::new(&name("vm"))
        .attr("id", identity.vm_id)
        .attr("node", identity.node_id)
        .attr("project", identity.project_id)
        .attr("generation", identity.generation)
        .with(Element::new(&name("name")).text(&identity.name));
    if !identity.description.is_empty() {
        vm.push(Element::new(&name("description")).text(&identity.description));
    }
    for (key, value) in &identity.labels {
        vm.push(Element::new(&name("label")).attr("key", key).attr("value", value));
    }
    let mut created = Element::new(&name("created")).attr("at_us", identity.created_at_us);
    if !identity.created_by.is_empty() {
        created.set("by", &identity.created_by);
    }
    vm.push(created);
    if identity.start_order.is_some() || identity.start_delay_sec.is_some() {
        let mut start = Element::new(&name("start"));
        if let Some(order) = identity.start_order {
            start.set("order", order);
        }
        if let Some(delay) = identity.start_delay_sec {
            start.set("delay_sec", delay);
        }
        vm.push(start);
    }
    if identity.deletion_protection.is_on() {
        vm.push(Element::new(&name("protection")).attr("deletion", "on"));
    }
    let family = FAMILIES.iter().find(|(family, _)| *family == identity.guest_os_family).map_or("", |(_, word)| *word);
    if !family.is_empty() || !identity.guest_os_variant.is_empty() {
        vm.push(Element::new(&name("os")).attr("family", family).attr("variant", &identity.guest_os_variant));
    }
    for at in &identity.owned_volumes {
        vm.push(Element::new(&name("volume")).attr("pool", &at.pool).attr("name", &at.volume));
    }
    vm
}

/// Our facts in a definition; `None` where there are none or they cannot be read.
#[must_use]
pub fn read_metadata(text: &str) -> Option<VmIdentity> {
    read_in(&Element::parse(text).ok()?)
}

/// The child of our namespace within `<metadata>`.
pub(super) fn is_ours(element: &Element) -> bool {
    element.attributes.iter().any(|(key, value)| key.starts_with("xmlns") && value == METADATA_URI)
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

pub(super) fn read_in(domain: &Element) -> Option<VmIdentity> {
    let vm = domain.child("metadata")?.children().find(|child| is_ours(child))?;
    let of = |name: &str| vm.children().find(|child| local(&child.name) == name);
    let os = of("os");
    let start = of("start");
    let created = of("created")?;
    Some(VmIdentity {
        vm_id: vm.get("id")?.parse().ok()?,
        node_id: vm.get("node")?.parse().ok()?,
        project_id: vm.get("project")?.parse().ok()?,
        generation: vm.get("generation")?.parse().ok()?,
        name: of("name")?.whole_text(),
        description: of("description").map(Element::whole_text).unwrap_or_default(),
        labels: vm
            .children()
            .filter(|child| local(&child.name) == "label")
            .map(|label| (label.get_or_empty("key").to_owned(), label.get_or_empty("value").to_owned()))
            .collect(),
        created_by: created.get_or_empty("by").to_owned(),
        created_at_us: created.get("at_us")?.parse().ok()?,
        start_order: start.and_then(|start| start.get("order")?.parse().ok()),
        start_delay_sec: start.and_then(|start| start.get("delay_sec")?.parse().ok()),
        deletion_protection: DeletionProtection::from_flag(
            of("protection").is_some_and(|protection| protection.get_or_empty("deletion") == "on"),
        ),
        guest_os_family: os
            .and_then(|os| FAMILIES.iter().find(|(_, word)| *word == os.get_or_empty("family")))
            .map_or(GuestOsFamily::Unspecified, |(family, _)| *family),
        guest_os_variant: os.map(|os| os.get_or_empty("variant").to_owned()).unwrap_or_default(),
        owned_volumes: vm
            .children()
            .filter(|child| local(&child.name) == "volume")
            .map(|at| VolumeRef {
                pool: at.get_or_empty("pool").to_owned(),
                volume: at.get_or_empty("name").to_owned(),
            })
            .collect(),
    })
}
