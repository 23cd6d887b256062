//! libvirt, at any URI: `qemu:///system`, `qemu:///session`, `test:///…`. The only room in which a
//! VM is called a domain.

mod console;
mod error;
mod ffi;
mod link;
#[cfg(test)]
mod live;
mod once;
mod prove;
mod sockets;
mod state;
mod storage;
pub mod xml;

use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::Error;
use virt::sys;

use super::{
    Accelerator, AcceleratorChoice, Addresses, AgentChannel, Consoles, GuestRequest, HostOffer, Hypervisor,
    HypervisorError, NetworkInfo, Notice, Picture, Result, SerialHold, SerialPort, SerialSink, StartFrom, Tray,
    Undefine,
};
use crate::model::definition::{
    Belongings, DefinitionText, NewVolume, PoolFacts, ShownDefinition, VmDefinition, VmIdentity, VolumeFacts, VolumeRef,
};
use crate::model::id::VmId;
use crate::model::spec::VmSpec;
use crate::model::vm::{Autostart, DescribedVm, Lifetime, ListedVm, VmCounters};

pub use ffi::keep_memory_small;
pub use prove::prove;

use link::Link;
use state::{Facts, power_state};
use xml::HostProfile;

/// How often a save is asked how far it is.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// libvirt behind the trait.
pub struct Libvirt {
    link: Arc<Link>,
    choice: AcceleratorChoice,
    /// What the host offers, by the set of connections that it was asked on.
    known: Mutex<Option<Known>>,
    sink: Mutex<Option<Sink>>,
}

type Known = (u64, Arc<HostOffer>, Arc<HostProfile>);
type Sink = Arc<dyn Fn(Notice) + Send + Sync>;

impl Libvirt {
    /// Not connected yet: [`Hypervisor::run`] connects.
    #[must_use]
    pub fn new(uri: String, choice: AcceleratorChoice) -> Self {
        Self { link: Arc::new(Link::new(uri)), choice, known: Mutex::default(), sink: Mutex::default() }
    }

    /// Calls made into libvirt so far: quick ones and those that may ask QEMU.
    #[must_use]
    pub fn calls(&self) -> (u64, u64) {
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
        (read(&self.link.calls.quick), read(&self.link.calls.asking))
    }

    fn known(&self) -> Result<(Arc<HostOffer>, Arc<HostProfile>)> {
        let generation = self.link.generation();
        if let Some((at, offer, profile)) = &*self.known.lock().unwrap_or_else(PoisonError::into_inner)
            && *at == generation
        {
            return Ok((Arc::clone(offer), Arc::clone(profile)));
        }
        let (offer, profile) = self.ask_host()?;
        let (offer, profile) = (Arc::new(offer), Arc::new(profile));
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((generation, Arc::clone(&offer), Arc::clone(&profile)));
        Ok((offer, profile))
    }

    fn ask_host(&self) -> Result<(HostOffer, HostProfile)> {
        let (caps, driver, hypervisor_version, library_version, node) = self.link.quick(None, |connect| {
            Ok((
                connect.capabilities()?,
                connect.driver_type()?,
                connect.hyp_version()?,
                connect.lib_version()?,
                connect.node_info()?,
            ))
        })?;
        let (kvm, host_uuid, model) = xml::caps::read_host(&caps)?;
        let test = driver.eq_ignore_ascii_case("test");
        let accelerator = match (self.choice, kvm) {
            (AcceleratorChoice::Tcg, _) | (AcceleratorChoice::Auto, false) => Accelerator::Tcg,
            (AcceleratorChoice::Auto | AcceleratorChoice::Kvm, true) => Accelerator::Kvm,
            (AcceleratorChoice::Kvm, false) if test => Accelerator::Tcg,
            (AcceleratorChoice::Kvm, false) => {
                return Err(HypervisorError::Unsupported(
                    "accelerator = \"kvm\" is configured, but libvirt offers no KVM here; load the kvm module, check \
                     the permissions of /dev/kvm, or set accelerator to auto or tcg"
                        .to_owned(),
                ));
            }
        };
        let profile = if test {
            HostProfile::for_test_driver()
        } else {
            let kind = match accelerator {
                Accelerator::Kvm => "kvm",
                Accelerator::Tcg => "qemu",
            };
            let domain_caps = self
                .link
                .quick(None, |connect| connect.domain_capabilities(None, Some("x86_64"), Some("q35"), Some(kind), 0))?;
            HostProfile::from_capabilities(&caps, &domain_caps, accelerator)?
        };
        let offer = HostOffer {
            host_uuid,
            hypervisor: driver,
            hypervisor_version: dotted(hypervisor_version),
            libvirt_version: dotted(library_version),
            kvm,
            cpu_model: if model.is_empty() { node.model.clone() } else { model },
            cpu_mhz: node.mhz,
            sockets: node.sockets.saturating_mul(node.nodes.max(1)),
            cores_per_socket: node.cores,
            threads_per_core: node.threads,
            memory_bytes: node.memory << 10,
            accelerator: Some(accelerator),
            uefi: profile.uefi,
            secure_boot: profile.secure_boot,
            tpm_emulator: profile.tpm_emulator,
            cpu_models: profile.cpu_models.clone(),
            max_vcpus: profile.max_vcpus,
            qemu_ids: xml::caps::read_qemu_ids(&caps),
        };
        Ok((offer, profile))
    }

    /// A quick call on one domain.
    fn on<T>(&self, id: VmId, call: impl FnOnce(&Domain) -> std::result::Result<T, Error>) -> Result<T> {
        self.link.quick(Some(id), |connect| call(&connect.lookup_domain_by_uuid(id.0)?))
    }

    /// A call on one domain that may ask its QEMU, or waits within libvirtd for one that does.
    fn ask<T>(&self, id: VmId, call: impl FnOnce(&Domain) -> std::result::Result<T, Error>) -> Result<T> {
        self.link.asking(Some(id), |connect| call(&connect.lookup_domain_by_uuid(id.0)?))
    }

    fn tell(&self, notice: Notice) {
        let sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(sink) = sink {
            sink(notice);
        }
    }

    fn listed(
        &self,
        domain: &Domain,
        id: VmId,
        saved: bool,
        lifetime: Lifetime,
        autostart: Autostart,
        state: (u32, u32),
    ) -> std::result::Result<ListedVm, Error> {
        let facts = Facts { saved, no_space: self.link.ran_out_of_space(id) };
        let (state, reason) = power_state(state.0, state.1, facts);
        Ok(ListedVm { id, hypervisor_name: domain.name()?, state, reason: reason.to_owned(), lifetime, autostart })
    }
}

/// libvirt counts versions in one number.
fn dotted(version: u32) -> String {
    format!("{}.{}.{}", version / 1_000_000, version / 1000 % 1000, version % 1000)
}

fn raw_state(domain: &Domain) -> std::result::Result<(u32, u32), Error> {
    let info = domain.state()?;
    let state = match info.0 {
        virt::enumutil::Enum::Known(known) => virt::enumutil::RawEnum::to_raw(known),
        virt::enumutil::Enum::Unknown(raw) => raw,
    };
    Ok((state, reason_number(info.1)))
}

fn reason_number(reason: virt::domain::DomainStateReasonEnum) -> u32 {
    use virt::domain::DomainStateReason;
    use virt::enumutil::{Enum, RawEnum};
    fn raw<E: RawEnum<u32>>(value: Enum<E, u32>) -> u32 {
        match value {
            Enum::Known(known) => known.to_raw(),
            Enum::Unknown(raw) => raw,
        }
    }
    match reason {
        Enum::Known(DomainStateReason::Paused(reason)) => raw(reason),
        Enum::Known(DomainStateReason::Shutoff(reason)) => raw(reason),
        Enum::Known(DomainStateReason::Crashed(reason)) => raw(reason),
        Enum::Known(DomainStateReason::Running(reason)) => raw(reason),
        Enum::Known(
            DomainStateReason::NoState(_)
            | DomainStateReason::Blocked(_)
            | DomainStateReason::Shutdown(_)
            | DomainStateReason::PMSuspended(_),
        )
        | Enum::Unknown(_) => 0,
    }
}

fn ids(domains: &[Domain]) -> std::result::Result<std::collections::HashSet<VmId>, Error> {
    domains.iter().map(|domain| domain.uuid().map(VmId)).collect()
}

/// Already off, already gone: done.
fn done_where(result: Result<()>, also: impl Fn(&HypervisorError) -> bool) -> Result<()> {
    match result {
        Err(error) if also(&error) => Ok(()),
        other => other,
    }
}

/// `None` for a VM that is not there.
fn there<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(HypervisorError::NoSuchVm(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Hypervisor for Libvirt {
    fn run(&self, sink: Box<dyn Fn(Notice) + Send + Sync>) {
        let sink: Arc<dyn Fn(Notice) + Send + Sync> = Arc::from(sink);
        *self.sink.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&sink));
        let link = Arc::clone(&self.link);
        let running = std::thread::Builder::new().name("libvirt-link".to_owned()).spawn(move || link.run(sink));
        if let Err(error) = running {
            self.tell(Notice::Disconnected(format!("its thread could not be started: {error}")));
        }
    }

    fn close(&self) {
        self.link.close();
    }

    fn health(&self) -> Result<()> {
        self.link.health()
    }

    fn offer(&self) -> Result<Arc<HostOffer>> {
        Ok(self.known()?.0)
    }

    fn list(&self) -> Result<Vec<ListedVm>> {
        self.link.quick(None, |connect| {
            let all = connect.list_all_domains(0)?;
            let transient = ids(&connect.list_all_domains(sys::VIR_CONNECT_LIST_DOMAINS_TRANSIENT)?)?;
            let autostart = ids(&connect.list_all_domains(sys::VIR_CONNECT_LIST_DOMAINS_AUTOSTART)?)?;
            let saved = ids(&connect.list_all_domains(sys::VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)?)?;
            let states = bulk_states(connect).unwrap_or_default();
            let mut listed = Vec::with_capacity(all.len());
            for domain in &all {
                let id = VmId(domain.uuid()?);
                let state = match states.get(&id) {
                    Some(state) => Ok(*state),
                    None => raw_state(domain),
                };
                // Gone between the list and the look: not listed.
                let Ok(state) = state else { continue };
                let lifetime = if transient.contains(&id) { Lifetime::Transient } else { Lifetime::Persistent };
                let auto = Autostart::from_flag(autostart.contains(&id));
                listed.push(self.listed(domain, id, saved.contains(&id), lifetime, auto, state)?);
            }
            Ok(listed)
        })
    }

    fn look(&self, id: VmId) -> Result<Option<ListedVm>> {
        let looked = self.on(id, |domain| {
            let state = raw_state(domain)?;
            let saved = state.0 == sys::VIR_DOMAIN_SHUTOFF && domain.has_managed_save(0)?;
            let lifetime = if domain.is_persistent()? { Lifetime::Persistent } else { Lifetime::Transient };
            let autostart = match lifetime {
                Lifetime::Persistent => Autostart::from_flag(domain.autostart()?),
                Lifetime::Transient => Autostart::Off,
            };
            self.listed(domain, id, saved, lifetime, autostart, state)
        });
        match looked {
            Ok(listed) => Ok(Some(listed)),
            Err(HypervisorError::NoSuchVm(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn describe(&self, id: VmId) -> Result<Option<DescribedVm>> {
        let texts = self.on(id, |domain| {
            // The whole text, passwords included: it is our copy of the definition, kept private,
            // and defining from one without them would lose them.
            let inactive = || domain.xml_desc(sys::VIR_DOMAIN_XML_SECURE | sys::VIR_DOMAIN_XML_INACTIVE).map(Some);
            // Known from the lookup: only what is on has a number, and only that may be transient.
            if domain.id().is_none() {
                return Ok((inactive()?, None));
            }
            let running = Some(domain.xml_desc(sys::VIR_DOMAIN_XML_SECURE)?);
            let inactive = if domain.is_persistent()? { inactive()? } else { None };
            Ok((inactive, running))
        });
        let (inactive, running) = match texts {
            Ok(texts) => texts,
            Err(HypervisorError::NoSuchVm(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let running_spec = running.as_deref().map(xml::read_domain).transpose()?.map(|read| read.spec);
        let Some(text) = inactive.or(running) else { return Ok(None) };
        let read = xml::read_domain(&text)?;
        Ok(Some(DescribedVm {
            id,
            persistent: DefinitionText(text),
            spec: read.spec,
            running_spec,
            identity: read.identity,
        }))
    }

    fn show(&self, id: VmId) -> Result<Option<ShownDefinition>> {
        // Never VIR_DOMAIN_XML_SECURE: this leaves the host.
        there(self.on(id, |domain| {
            let live = if domain.id().is_some() { domain.xml_desc(0)? } else { String::new() };
            let persistent = if live.is_empty() || domain.is_persistent()? {
                domain.xml_desc(sys::VIR_DOMAIN_XML_INACTIVE)?
            } else {
                String::new()
            };
            Ok(ShownDefinition { persistent, live })
        }))
    }

    fn redact(&self, text: &DefinitionText) -> Result<String> {
        xml::without_secrets(&text.0)
    }

    fn belongings(&self, id: VmId) -> Result<Option<Belongings>> {
        let Some((text, has_saved_memory, snapshots)) = there(self.on(id, |domain| {
            let snapshots = domain.list_all_snapshots(0)?.iter().filter_map(|snapshot| snapshot.name().ok()).collect();
            let text = domain.xml_desc(sys::VIR_DOMAIN_XML_INACTIVE)?;
            Ok((text, domain.has_managed_save(0)?, snapshots))
        }))?
        else {
            return Ok(None);
        };
        let read = xml::read_domain(&text)?;
        Ok(Some(Belongings { nvram: read.nvram, has_saved_memory, snapshots, tpm: read.tpm_state }))
    }

    fn read(&self, text: &DefinitionText) -> Result<VmSpec> {
        Ok(xml::read_domain(&text.0)?.spec)
    }

    fn leases(&self) -> Result<HashMap<String, Addresses>> {
        if self.link.is_test() {
            return Ok(HashMap::new());
        }
        self.link.quick(None, |connect| {
            let mut all: HashMap<String, Addresses> = HashMap::new();
            for network in connect.list_all_networks(sys::VIR_CONNECT_LIST_NETWORKS_ACTIVE)? {
                // A network without DHCP has no leases, and says so with an error.
                for (mac, ip) in ffi::dhcp_leases(&network).unwrap_or_default() {
                    all.entry(mac).or_default().ips.push(ip);
                }
            }
            for addresses in all.values_mut() {
                addresses.ips.sort_by_key(|ip| ip.contains(':'));
                addresses.ips.dedup();
            }
            Ok(all)
        })
    }

    fn networks(&self) -> Result<Vec<NetworkInfo>> {
        self.link.quick(None, |connect| {
            connect
                .list_all_networks(0)?
                .iter()
                .map(|network| {
                    Ok(NetworkInfo {
                        id: network.uuid()?,
                        name: network.name()?,
                        active: network.is_active()?,
                        // One that made none says so with an error.
                        bridge: network.bridge_name().ok().filter(|name| !name.is_empty()),
                    })
                })
                .collect()
        })
    }

    fn render(&self, definition: &VmDefinition) -> Result<DefinitionText> {
        xml::write_domain(definition, &self.known()?.1)
    }

    fn edit(&self, current: &DefinitionText, spec: &VmSpec, identity: Option<&VmIdentity>) -> Result<DefinitionText> {
        xml::edit_domain(current, spec, identity, &self.known()?.1)
    }

    fn define(&self, id: VmId, text: &DefinitionText) -> Result<()> {
        self.link.quick(Some(id), |connect| connect.define_domain_xml(&text.0).map(drop))
    }

    fn tag(&self, id: VmId, identity: Option<&VmIdentity>, lifetime: Lifetime) -> Result<()> {
        let metadata = identity.map(xml::write_metadata).transpose()?;
        self.ask(id, |domain| {
            let mut flags = match lifetime {
                Lifetime::Persistent => sys::VIR_DOMAIN_AFFECT_CONFIG,
                Lifetime::Transient => 0,
            };
            if domain.id().is_some() {
                flags |= sys::VIR_DOMAIN_AFFECT_LIVE;
            }
            let kind = i32::try_from(sys::VIR_DOMAIN_METADATA_ELEMENT).unwrap_or(2);
            let key = metadata.as_ref().map(|_| xml::METADATA_PREFIX);
            let set = domain.set_metadata(kind, metadata.as_deref(), key, Some(xml::METADATA_URI), flags);
            match set {
                // Removing what is not there.
                Err(error)
                    if metadata.is_none()
                        && error.code().is_known_and(|code| code == virt::error::ErrorNumber::NoDomainMetadata) =>
                {
                    Ok(())
                }
                other => other,
            }
        })
    }

    fn rename(&self, id: VmId, hypervisor_name: &str) -> Result<()> {
        self.ask(id, |domain| domain.rename(hypervisor_name, 0))
    }

    fn set_autostart(&self, id: VmId, autostart: Autostart) -> Result<()> {
        self.ask(id, |domain| domain.set_autostart(autostart.is_on()))?;
        // libvirt has no event for this flag.
        self.tell(Notice::LifeChanged(id));
        Ok(())
    }

    fn undefine(&self, id: VmId, what: Undefine) -> Result<()> {
        let Undefine::WithState = what;
        let test = self.link.is_test();
        let done = self.ask(id, |domain| {
            let read = xml::read_domain(&domain.xml_desc(sys::VIR_DOMAIN_XML_INACTIVE)?).ok();
            let mut flags = sys::VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | sys::VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA;
            if !test {
                flags |= sys::VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA;
                if read.as_ref().is_some_and(|read| read.nvram.is_some()) {
                    flags |= sys::VIR_DOMAIN_UNDEFINE_NVRAM;
                }
                // A TPM's state goes by itself, unless the definition says that it outlives this.
            }
            domain.undefine_flags(flags)
        });
        done_where(done, |error| matches!(error, HypervisorError::NoSuchVm(_)))
    }

    fn start(&self, id: VmId, from: StartFrom) -> Result<()> {
        if self.link.is_test() {
            // Its driver knows no flag for a fresh boot.
            return self.on(id, |domain| {
                if from == StartFrom::FreshBoot && domain.has_managed_save(0)? {
                    domain.managed_save_remove(0)?;
                }
                domain.create()
            });
        }
        let flags = match from {
            StartFrom::SavedOrBoot => 0,
            // The test driver does not know the flag.
            StartFrom::FreshBoot if self.link.is_test() => {
                self.drop_saved(id)?;
                0
            }
            StartFrom::FreshBoot => sys::VIR_DOMAIN_START_FORCE_BOOT,
        };
        self.ask(id, |domain| domain.create_with_flags(flags))
    }

    fn power_off(&self, id: VmId) -> Result<()> {
        let done = self.ask(id, Domain::destroy);
        done_where(done, |error| matches!(error, HypervisorError::WrongState(_) | HypervisorError::NoSuchVm(_)))
    }

    fn request_shutdown(&self, id: VmId, by: GuestRequest) -> Result<()> {
        let flag = match by {
            GuestRequest::Agent => sys::VIR_DOMAIN_SHUTDOWN_GUEST_AGENT,
            GuestRequest::Acpi => sys::VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN,
        };
        if self.link.is_test() {
            return self.on(id, Domain::shutdown);
        }
        self.ask(id, |domain| domain.shutdown_flags(flag))
    }

    fn request_reboot(&self, id: VmId, by: GuestRequest) -> Result<()> {
        let flag = match by {
            GuestRequest::Agent => sys::VIR_DOMAIN_REBOOT_GUEST_AGENT,
            GuestRequest::Acpi => sys::VIR_DOMAIN_REBOOT_ACPI_POWER_BTN,
        };
        if self.link.is_test() {
            self.on(id, |domain| domain.reboot(0))?;
            self.tell(Notice::Rebooted(id));
            return Ok(());
        }
        self.ask(id, |domain| domain.reboot(flag))
    }

    fn reset(&self, id: VmId) -> Result<()> {
        self.ask(id, Domain::reset)?;
        if self.link.is_test() {
            self.tell(Notice::Rebooted(id));
        }
        Ok(())
    }

    fn pause(&self, id: VmId) -> Result<()> {
        self.ask(id, Domain::suspend)
    }

    fn resume(&self, id: VmId) -> Result<()> {
        self.ask(id, Domain::resume)
    }

    fn wake(&self, id: VmId) -> Result<()> {
        self.ask(id, |domain| domain.pm_wakeup(0))
    }

    fn save(&self, id: VmId, progress: &dyn Fn(u8)) -> Result<()> {
        let (end, ended) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || end.send(self.ask(id, |domain| domain.managed_save(0))));
            let mut last = 0;
            loop {
                match ended.recv_timeout(PROGRESS_EVERY) {
                    Ok(answer) => return answer,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => {
                        return Err(HypervisorError::Failed("saving the memory panicked".to_owned()));
                    }
                }
                if let Ok(stats) = self.ask(id, |domain| domain.job_stats(0))
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

    fn drop_saved(&self, id: VmId) -> Result<()> {
        self.ask(id, |domain| if domain.has_managed_save(0)? { domain.managed_save_remove(0) } else { Ok(()) })?;
        // libvirt has no event for this.
        self.tell(Notice::LifeChanged(id));
        Ok(())
    }

    fn apply_live(&self, id: VmId, spec: &VmSpec) -> Result<()> {
        let running = self.on(id, |domain| domain.xml_desc(0))?;
        let running = xml::read_domain(&running)?.spec;
        if running.memory.size != spec.memory.size && spec.memory.size <= running.memory.max {
            self.ask(id, |domain| {
                domain.set_memory_flags(spec.memory.size.bytes() >> 10, sys::VIR_DOMAIN_AFFECT_LIVE).map(drop)
            })?;
        }
        // Taking a vCPU from a running guest needs the guest's consent and can hang it: only adding.
        if running.cpu.cores < spec.cpu.cores && spec.cpu.cores <= running.cpu.max_cores {
            self.ask(id, |domain| domain.set_vcpus_flags(spec.cpu.cores, sys::VIR_DOMAIN_AFFECT_LIVE).map(drop))?;
        }
        Ok(())
    }

    fn agent_channel(&self, id: VmId) -> Result<AgentChannel> {
        if self.link.is_test() {
            return Ok(AgentChannel::Disconnected);
        }
        let running = self.on(id, |domain| domain.xml_desc(0))?;
        Ok(match xml::read_domain(&running)?.agent_connected {
            Some(true) => AgentChannel::Connected,
            Some(false) | None => AgentChannel::Disconnected,
        })
    }

    fn agent_addresses(&self, id: VmId) -> Result<Addresses> {
        let interfaces =
            self.ask(id, |domain| domain.interface_addresses(sys::VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT, 0))?;
        let mut ips: Vec<String> = interfaces
            .into_iter()
            .flat_map(|interface| interface.addrs)
            .map(|address| address.addr)
            .filter(|ip| ip.parse().is_ok_and(|ip: std::net::IpAddr| is_reachable(ip)))
            .collect();
        ips.sort_by_key(|ip| ip.contains(':'));
        Ok(Addresses { ips })
    }

    fn consoles(&self, id: VmId) -> Result<Consoles> {
        console::consoles(self, id)
    }

    fn open_vnc(&self, id: VmId, place: u32) -> Result<UnixStream> {
        console::open_vnc(self, id, place)
    }

    fn open_serial(&self, id: VmId, hold: SerialHold, sink: SerialSink) -> Result<Box<dyn SerialPort>> {
        console::open_serial(self, id, hold, sink)
    }

    fn screenshot(&self, id: VmId) -> Result<Picture> {
        console::screenshot(self, id)
    }

    fn send_keys(&self, id: VmId, codes: &[u16], hold: Duration) -> Result<()> {
        console::send_keys(self, id, codes, hold)
    }

    fn change_media(&self, id: VmId, drive: &str, path: Option<&str>, tray: Tray) -> Result<()> {
        console::change_media(self, id, drive, path, tray)
    }

    fn counters(&self) -> Result<HashMap<VmId, VmCounters>> {
        let groups = sys::VIR_DOMAIN_STATS_STATE
            | sys::VIR_DOMAIN_STATS_CPU_TOTAL
            | sys::VIR_DOMAIN_STATS_BALLOON
            | sys::VIR_DOMAIN_STATS_VCPU
            | sys::VIR_DOMAIN_STATS_INTERFACE
            | sys::VIR_DOMAIN_STATS_BLOCK;
        let flags = sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE | sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT;
        if self.link.is_test() {
            return self.link.quick(None, allocated);
        }
        let all = self.link.asking(None, |connect| ffi::all_stats(connect, groups, flags))?;
        Ok(all.into_iter().map(|stats| (stats.id, counters_of(&stats.values))).collect())
    }

    fn pool(&self, pool: &str) -> Result<PoolFacts> {
        storage::pool(&self.link, pool)
    }

    fn pool_look(&self, pool: &str) -> Result<Option<PoolFacts>> {
        storage::pool_look(&self.link, pool)
    }

    fn pools(&self) -> Result<Vec<PoolFacts>> {
        storage::pools(&self.link)
    }

    fn volume_path(&self, at: &VolumeRef) -> Result<String> {
        storage::volume_path(&self.link, at)
    }

    fn volume_create(&self, volume: &NewVolume) -> Result<VolumeFacts> {
        storage::volume_create(&self.link, volume)
    }

    fn volume(&self, at: &VolumeRef) -> Result<Option<VolumeFacts>> {
        storage::volume(&self.link, at)
    }

    fn volumes(&self, pool: &str) -> Result<Vec<VolumeFacts>> {
        storage::volumes(&self.link, pool)
    }

    fn volume_by_path(&self, path: &str) -> Result<Option<VolumeFacts>> {
        storage::volume_by_path(&self.link, path)
    }

    fn volume_delete(&self, at: &VolumeRef) -> Result<()> {
        storage::volume_delete(&self.link, at)
    }
}

/// State and reason of every domain in one call, asking no QEMU.
fn bulk_states(connect: &Connect) -> Option<HashMap<VmId, (u32, u32)>> {
    let all = ffi::all_stats(connect, sys::VIR_DOMAIN_STATS_STATE, 0).ok()?;
    Some(
        all.into_iter()
            .map(|stats| {
                let value =
                    |name: &str| stats.values.get(name).map_or(0, |value| u32::try_from(value.as_u64()).unwrap_or(0));
                (stats.id, (value("state.state"), value("state.reason")))
            })
            .collect(),
    )
}

/// What the test driver knows of its running domains: what they were given. It runs nothing, so
/// there is no use to measure (its CPU time is the wall clock).
fn allocated(connect: &Connect) -> std::result::Result<HashMap<VmId, VmCounters>, Error> {
    let mut all = HashMap::new();
    for domain in connect.list_all_domains(sys::VIR_CONNECT_LIST_DOMAINS_ACTIVE)? {
        // Gone between the list and the look: not counted.
        let Ok(info) = domain.info() else { continue };
        let memory_allocated_bytes = info.memory.saturating_mul(1024);
        let counters = VmCounters { vcpus: info.nr_virt_cpu, memory_allocated_bytes, ..VmCounters::default() };
        all.insert(VmId(domain.uuid()?), counters);
    }
    Ok(all)
}

/// Neither the guest itself nor only its own wire.
fn is_reachable(ip: std::net::IpAddr) -> bool {
    match ip {
        std::net::IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local() && !ip.is_unspecified(),
        std::net::IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unspecified() && (ip.segments()[0] & 0xffc0) != 0xfe80,
    }
}

fn counters_of(values: &HashMap<String, ffi::Value>) -> VmCounters {
    let one = |name: &str| values.get(name).map_or(0, |value| value.as_u64());
    let sum = |group: &str, name: &str| -> u64 {
        (0..one(&format!("{group}.count"))).map(|index| one(&format!("{group}.{index}.{name}"))).sum()
    };
    let kib = |name: &str| one(name).saturating_mul(1024);
    let allocated = kib("balloon.current");
    // What the guest says it uses; without its driver, what its process takes of the host.
    let used = if values.contains_key("balloon.unused") && values.contains_key("balloon.available") {
        kib("balloon.available").saturating_sub(kib("balloon.unused"))
    } else {
        kib("balloon.rss")
    };
    VmCounters {
        // Told only after QEMU was asked; without a turn at it (NOWAIT) libvirt leaves it out.
        is_silent: !values.contains_key("balloon.rss"),
        cpu_time_ns: one("cpu.time"),
        vcpus: u32::try_from(one("vcpu.current")).unwrap_or(0),
        memory_used_bytes: used,
        memory_allocated_bytes: allocated,
        disk_read_bytes: sum("block", "rd.bytes"),
        disk_write_bytes: sum("block", "wr.bytes"),
        disk_read_ops: sum("block", "rd.reqs"),
        disk_write_ops: sum("block", "wr.reqs"),
        network_rx_bytes: sum("net", "rx.bytes"),
        network_tx_bytes: sum("net", "tx.bytes"),
        network_rx_packets: sum("net", "rx.pkts"),
        network_tx_packets: sum("net", "tx.pkts"),
    }
}
