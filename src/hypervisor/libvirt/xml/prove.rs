//! The smallest guest that shows whether the host runs a Linux kernel.

use super::tree::Element;
use crate::hypervisor::{Accelerator, HypervisorError};

/// A guest of 256 MiB that loads `kernel` and speaks on its serial port alone. It goes at its first
/// reset or panic, and nobody takes its files from their owner.
///
/// # Errors
/// `Refused` where the capabilities cannot be read, or the definition cannot be written.
pub fn write_proof(
    name: &str,
    kernel: &str,
    initrd: Option<&str>,
    accelerator: Accelerator,
    caps: &str,
) -> Result<String, HypervisorError> {
    let (kind, cpu) = match accelerator {
        Accelerator::Kvm => ("kvm", "host-passthrough"),
        Accelerator::Tcg => ("qemu", "maximum"),
    };
    let host = Element::parse(caps)?;
    let dac = host
        .child("host")
        .is_some_and(|host| host.named("secmodel").any(|model| model.text_of("model").eq_ignore_ascii_case("dac")));
    let os = Element::new("os")
        .with(Element::new("type").attr("arch", "x86_64").attr("machine", "q35").text("hvm"))
        .with(Element::new("kernel").text(kernel))
        .with_some(initrd.map(|initrd| Element::new("initrd").text(initrd)))
        .with(Element::new("cmdline").text("console=ttyS0 earlyprintk=serial,ttyS0,115200 panic=-1"));
    let label = dac.then(|| Element::new("seclabel").attr("type", "none").attr("model", "dac"));
    Element::new("domain")
        .attr("type", kind)
        .with(Element::new("name").text(name))
        .with(Element::new("memory").attr("unit", "MiB").text(256))
        .with(Element::new("vcpu").text(1))
        .with(os)
        .with(Element::new("features").with(Element::new("acpi")))
        .with(Element::new("cpu").attr("mode", cpu))
        .with(Element::new("on_poweroff").text("destroy"))
        .with(Element::new("on_reboot").text("destroy"))
        .with(Element::new("on_crash").text("destroy"))
        .with(
            Element::new("devices")
                .with(Element::new("serial").attr("type", "pty"))
                .with(Element::new("memballoon").attr("model", "none")),
        )
        .with_some(label)
        .write()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_owner_keeps_it() {
        let caps = "<capabilities><host><secmodel><model>dac</model></secmodel></host></capabilities>";
        let text = write_proof("proof", "/boot/a&b", Some("/i"), Accelerator::Kvm, caps).expect("it is written");
        for part in ["type=\"kvm\"", "<kernel>/boot/a&amp;b</kernel>", "<initrd>/i</initrd>", "model=\"dac\""] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        let session = write_proof("proof", "/k", None, Accelerator::Tcg, "<capabilities><host/></capabilities>")
            .expect("it is written");
        assert!(!session.contains("seclabel") && !session.contains("initrd"), "{session}");
    }
}
