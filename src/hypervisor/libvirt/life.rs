//! The life of a domain: started, stopped, paused, saved; and what its guest is asked for. All of it
//! may ask QEMU.

use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use virt::domain::Domain;
use virt::sys;

use super::{Libvirt, done_where, is_reachable, xml};
use crate::hypervisor::{Addresses, AgentChannel, GuestRequest, HypervisorError, Notice, Result, StartFrom};
use crate::model::id::VmId;
use crate::model::spec::VmSpec;

/// How often a save is asked how far it is.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

pub(super) fn start(libvirt: &Libvirt, id: VmId, from: StartFrom) -> Result<()> {
    if libvirt.link.is_test() {
        // Its driver knows no flag for a fresh boot.
        return libvirt.on(id, |domain| {
            if from == StartFrom::FreshBoot && domain.has_managed_save(0)? {
                domain.managed_save_remove(0)?;
            }
            domain.create()
        });
    }
    let flags = match from {
        StartFrom::SavedOrBoot => 0,
        // The test driver does not know the flag.
        StartFrom::FreshBoot if libvirt.link.is_test() => {
            drop_saved(libvirt, id)?;
            0
        }
        StartFrom::FreshBoot => sys::VIR_DOMAIN_START_FORCE_BOOT,
    };
    libvirt.ask(id, |domain| domain.create_with_flags(flags))
}

pub(super) fn power_off(libvirt: &Libvirt, id: VmId) -> Result<()> {
    let done = libvirt.ask(id, Domain::destroy);
    done_where(done, |error| matches!(error, HypervisorError::WrongState(_) | HypervisorError::NoSuchVm(_)))
}

pub(super) fn request_shutdown(libvirt: &Libvirt, id: VmId, by: GuestRequest) -> Result<()> {
    let flag = match by {
        GuestRequest::Agent => sys::VIR_DOMAIN_SHUTDOWN_GUEST_AGENT,
        GuestRequest::Acpi => sys::VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN,
    };
    if libvirt.link.is_test() {
        return libvirt.on(id, Domain::shutdown);
    }
    libvirt.ask(id, |domain| domain.shutdown_flags(flag))
}

pub(super) fn request_reboot(libvirt: &Libvirt, id: VmId, by: GuestRequest) -> Result<()> {
    let flag = match by {
        GuestRequest::Agent => sys::VIR_DOMAIN_REBOOT_GUEST_AGENT,
        GuestRequest::Acpi => sys::VIR_DOMAIN_REBOOT_ACPI_POWER_BTN,
    };
    if libvirt.link.is_test() {
        libvirt.on(id, |domain| domain.reboot(0))?;
        libvirt.tell(Notice::Rebooted(id));
        return Ok(());
    }
    libvirt.ask(id, |domain| domain.reboot(flag))
}

pub(super) fn reset(libvirt: &Libvirt, id: VmId) -> Result<()> {
    libvirt.ask(id, Domain::reset)?;
    if libvirt.link.is_test() {
        libvirt.tell(Notice::Rebooted(id));
    }
    Ok(())
}

pub(super) fn pause(libvirt: &Libvirt, id: VmId) -> Result<()> {
    libvirt.ask(id, Domain::suspend)
}

pub(super) fn resume(libvirt: &Libvirt, id: VmId) -> Result<()> {
    libvirt.ask(id, Domain::resume)
}

pub(super) fn wake(libvirt: &Libvirt, id: VmId) -> Result<()> {
    libvirt.ask(id, |domain| domain.pm_wakeup(0))
}

pub(super) fn save(libvirt: &Libvirt, id: VmId, progress: &dyn Fn(u8)) -> Result<()> {
    let (end, ended) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || end.send(libvirt.ask(id, |domain| domain.managed_save(0))));
        let mut last = 0;
        loop {
            match ended.recv_timeout(PROGRESS_EVERY) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(HypervisorError::Failed("saving the memory panicked".to_owned()));
                }
            }
            if let Ok(stats) = libvirt.ask(id, |domain| domain.job_stats(0))
                && let (Some(done), Some(total)) = (stats.data_processed, stats.data_total)
                && total > 0
            {
                let percent = u8::try_from((u128::from(done) * 100 / u128::from(total)).min(99)).unwrap_or(99);
                if percent > last {
                    last = percent;
                    progress(percent);
                }
            }
        }
    })
}

pub(super) fn drop_saved(libvirt: &Libvirt, id: VmId) -> Result<()> {
    libvirt.ask(id, |domain| if domain.has_managed_save(0)? { domain.managed_save_remove(0) } else { Ok(()) })?;
    // libvirt has no event for this.
    libvirt.tell(Notice::LifeChanged(id));
    Ok(())
}

pub(super) fn apply_live(libvirt: &Libvirt, id: VmId, spec: &VmSpec) -> Result<()> {
    let running = libvirt.on(id, |domain| domain.xml_desc(0))?;
    let running = xml::read_domain(&running)?.spec;
    if running.memory.size != spec.memory.size && spec.memory.size <= running.memory.max {
        libvirt.ask(id, |domain| {
            domain.set_memory_flags(spec.memory.size.bytes() >> 10, sys::VIR_DOMAIN_AFFECT_LIVE).map(drop)
        })?;
    }
    // Taking a vCPU from a running guest needs the guest's consent and can hang it: only adding.
    if running.cpu.cores < spec.cpu.cores && spec.cpu.cores <= running.cpu.max_cores {
        libvirt.ask(id, |domain| domain.set_vcpus_flags(spec.cpu.cores, sys::VIR_DOMAIN_AFFECT_LIVE).map(drop))?;
    }
    Ok(())
}

pub(super) fn agent_channel(libvirt: &Libvirt, id: VmId) -> Result<AgentChannel> {
    if libvirt.link.is_test() {
        return Ok(AgentChannel::Disconnected);
    }
    let running = libvirt.on(id, |domain| domain.xml_desc(0))?;
    Ok(match xml::read_domain(&running)?.agent_connected {
        Some(true) => AgentChannel::Connected,
        Some(false) | None => AgentChannel::Disconnected,
    })
}

pub(super) fn agent_addresses(libvirt: &Libvirt, id: VmId) -> Result<Addresses> {
    let interfaces =
        libvirt.ask(id, |domain| domain.interface_addresses(sys::VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT, 0))?;
    let mut ips: Vec<String> = interfaces
        .into_iter()
        .flat_map(|interface| interface.addrs)
        .map(|address| address.addr)
        .filter(|ip| ip.parse().is_ok_and(|ip: std::net::IpAddr| is_reachable(ip)))
        .collect();
    ips.sort_by_key(|ip| ip.contains(':'));
    Ok(Addresses { ips })
}
