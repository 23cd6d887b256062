//! What the contract declares and this version does not honour yet. A request that sets one of
//! these is refused naming it, so that nothing asked for is dropped in silence. The one list: a
//! field is offered by taking its line away.

/// Paths below a VM's specification, proto spelling; `[]` stands for every item of a list. A path
/// covers all that lies below it.
const SPEC: [&str; 24] = [
    "pci_devices",
    "usb_devices",
    "vgpu_devices",
    "provisioning",
    "resources",
    "ha_policy",
    "placement",
    "migration",
    "template",
    "guest_os.overrides",
    "cpu.numa",
    "memory.huge_pages",
    "memory.overcommit_ratio",
    "nics[].security_groups",
    "nics[].ip_configs",
    "nics[].sriov",
    "serial.ports",
    "display.listen_address",
    "display.port",
    "display.password",
    "display.tls_enabled",
    "display.displays",
    "agent.socket_path",
    "agent.vsock_cid",
];

/// Single values that are not offered where the field is.
const VALUES: [(&str, &str); 2] = [("agent.channel", "VSOCK"), ("boot.boot_order[].type", "USB")];

/// Whether this version ignores what is set at this path below `spec`.
#[must_use]
pub fn is_unoffered(path: &str) -> bool {
    SPEC.contains(&path)
}

/// Whether this value is not offered at this path below `spec`.
#[must_use]
pub fn is_unoffered_value(path: &str, value: &str) -> bool {
    VALUES.contains(&(path, value))
}

/// Every path of the list, for those who must know that each is refused.
pub fn paths() -> impl Iterator<Item = &'static str> {
    SPEC.into_iter()
}
