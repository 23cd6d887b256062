//! libvirt, at any URI: `qemu:///system`, `qemu:///session`, `test:///…`. The only room in which a
//! VM is called a domain.

mod console;
mod counters;
mod error;
mod ffi;
mod life;
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
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::Error;
use virt::sys;

use super::{
    Accelerator, AcceleratorChoice, Addresses, AgentChannel, Consoles, GuestRequest, HostOffer, Hypervisor,
    HypervisorError, MediaSide, NetworkInfo, Notice, Picture, Result, SerialHold, SerialPort, SerialSink, StartFrom,
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
        let Some((text, saved, snapshots)) = there(self.on(id, |domain| {
            let snapshots = domain.list_all_snapshots(0)?.iter().filter_map(|snapshot| snapshot.name().ok()).collect();
            let text = domain.xml_desc(sys::VIR_DOMAIN_XML_INACTIVE)?;
            let saved = if domain.has_managed_save(0)? { Some(domain.name()?) } else { None };
            Ok((text, saved, snapshots))
        }))?
        else {
            return Ok(None);
        };
        let read = xml::read_domain(&text)?;
        Ok(Some(Belongings {
            nvram: read.nvram,
            has_saved_memory: saved.is_some(),
            saved_memory_path: saved.and_then(|name| self.link.saved_memory_path(&name)),
            snapshots,
            tpm: read.tpm_state,
        }))
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
        life::start(self, id, from)
    }

    fn power_off(&self, id: VmId) -> Result<()> {
        life::power_off(self, id)
    }

    fn request_shutdown(&self, id: VmId, by: GuestRequest) -> Result<()> {
        life::request_shutdown(self, id, by)
    }

    fn request_reboot(&self, id: VmId, by: GuestRequest) -> Result<()> {
        life::request_reboot(self, id, by)
    }

    fn reset(&self, id: VmId) -> Result<()> {
        life::reset(self, id)
    }

    fn pause(&self, id: VmId) -> Result<()> {
        life::pause(self, id)
    }

    fn resume(&self, id: VmId) -> Result<()> {
        life::resume(self, id)
    }

    fn wake(&self, id: VmId) -> Result<()> {
        life::wake(self, id)
    }

    fn save(&self, id: VmId, progress: &dyn Fn(u8)) -> Result<()> {
        life::save(self, id, progress)
    }

    fn drop_saved(&self, id: VmId) -> Result<()> {
        life::drop_saved(self, id)
    }

    fn apply_live(&self, id: VmId, spec: &VmSpec) -> Result<()> {
        life::apply_live(self, id, spec)
    }

    fn agent_channel(&self, id: VmId) -> Result<AgentChannel> {
        life::agent_channel(self, id)
    }

    fn agent_addresses(&self, id: VmId) -> Result<Addresses> {
        life::agent_addresses(self, id)
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

    fn change_media(&self, id: VmId, drive: &str, path: Option<&str>, side: MediaSide) -> Result<bool> {
        console::change_media(self, id, drive, path, side)
    }

    fn counters(&self) -> Result<HashMap<VmId, VmCounters>> {
        counters::all(self)
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

/// Neither the guest itself nor only its own wire.
fn is_reachable(ip: std::net::IpAddr) -> bool {
    match ip {
        std::net::IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local() && !ip.is_unspecified(),
        std::net::IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unspecified() && (ip.segments()[0] & 0xffc0) != 0xfe80,
    }
}
