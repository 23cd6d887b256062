//! The composition root: the only file that knows all rooms. Order at start: lock and open the
//! store, take up what was interrupted, bind the port (what is known is served at once, marked
//! stale), connect libvirt, recover, compare, serve verbs.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use futures::StreamExt as _;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Accelerator, Config};
use crate::host::HostRoot;
use crate::http::gate::Gate;
use crate::http::identity::Identity;
use crate::http::live::Live;
use crate::http::metrics::{BackupGauges, Metrics, Snapshot, VmGauges, VmUse};
use crate::http::serve::ApiSocket;
use crate::http::tls::{self, Tls};
use crate::http::{self, Surface};
use crate::hypervisor::libvirt::{Libvirt, keep_memory_small};
use crate::hypervisor::{AcceleratorChoice, Hypervisor, Notice};
use crate::notify::Supervisor;
use crate::rpc::{self, RpcState};
use crate::service::auth::{AuthService, Door};
use crate::service::autostart;
use crate::service::backup;
use crate::service::console::ConsoleService;
use crate::service::core::{Core, LinkState};
use crate::service::demo::{self, Demo, DemoMachine};
use crate::service::idempotency::InFlight;
use crate::service::inventory::{Inventory, ReadSpec, Vm};
use crate::service::metrics_history::History;
use crate::service::node::{Machine, NodeService, ThisMachine, has_local_node_id, local_node_id};
use crate::service::operations::OperationService;
use crate::service::reconcile::Reconciler;
use crate::service::statistics;
use crate::service::vm::{Readiness, VmService};
use crate::store::{BackupStatus, MetricStore, OpenError, Store};

/// The state file's name in the data directory.
pub const STATE_FILE: &str = "state.redb";
/// The past of measured use, beside it.
pub const METRICS_FILE: &str = "metrics.redb";

/// How long the first start waits for libvirt to say which host this is.
const HOST_UUID_PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("running as root is refused: run it as its own user, or give --allow-root")]
    Root,
    #[error("{path}: {why}")]
    DataDir { path: String, why: String },
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Listen(#[from] http::serve::ListenError),
    #[error("{0}")]
    Other(String),
}

impl ServeError {
    /// 78 for what a restart does not cure.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Root | Self::DataDir { .. } => 78,
            Self::Open(error) => error.exit_code(),
            Self::Listen(_) | Self::Other(_) => 1,
        }
    }
}

fn other(error: impl std::fmt::Display) -> ServeError {
    ServeError::Other(error.to_string())
}

/// Serve until SIGTERM or SIGINT.
///
/// # Errors
/// [`ServeError`], before anything was served, or when a listener broke.
pub fn run(config: Config) -> Result<(), ServeError> {
    if rustix::process::geteuid().is_root() && !config.allow_root {
        return Err(ServeError::Root);
    }
    keep_memory_small();
    allow_many_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Each hung call into libvirt holds one; VMs are many.
        .max_blocking_threads(512)
        .build()
        .map_err(other)?;
    let ended = runtime.block_on(serve(config));
    // A hung call into libvirt must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    ended
}

async fn serve(config: Config) -> Result<(), ServeError> {
    let demo = if config.demo { Some(Demo::prepare().map_err(other)?) } else { None };
    let store = match &demo {
        Some(_) => Store::in_memory().map_err(other)?,
        None => open_store(&config.data_dir)?,
    };
    let uri = demo.as_ref().map_or_else(|| config.libvirt_uri.clone(), Demo::uri);
    let asked = uri.clone();
    let libvirt: Arc<dyn Hypervisor> = Arc::new(Libvirt::new(uri, choice(config.accelerator)));
    if demo.is_some() {
        demo::seed(&store).map_err(other)?;
    }
    let host_uuid = if has_local_node_id(&store).map_err(other)? { None } else { ask_host_uuid(asked).await };
    let node_id = local_node_id(&store, host_uuid).map_err(other)?;
    let reader = Arc::clone(&libvirt);
    let read: ReadSpec = Arc::new(move |text| reader.read(text).unwrap_or_default());
    let core = Arc::new(Core::new(store.clone(), Arc::clone(&libvirt), Inventory::new(read), node_id));
    load(&core)?;
    let operations = Arc::new(OperationService::new(Arc::clone(&core)));
    operations.reclaim().map_err(other)?;
    let this = ThisMachine::new(config.data_dir.clone());
    let machine: Arc<dyn Machine> = if config.demo { Arc::new(DemoMachine::new(this)) } else { Arc::new(this) };
    let data_dir = demo.is_none().then(|| config.data_dir.clone());
    let nodes = Arc::new(
        NodeService::open(Arc::clone(&core), Arc::clone(&operations), Arc::clone(&machine), data_dir).map_err(other)?,
    );
    let (readiness, ready) =
        watch::channel(Readiness::NotReady("not compared with libvirt yet; try again in a moment".to_owned()));
    let vms = Arc::new(VmService::new(Arc::clone(&core), Arc::clone(&operations), Arc::clone(&nodes), ready.clone()));
    let past = match &demo {
        Some(_) => MetricStore::in_memory(),
        None => MetricStore::open(&config.data_dir.join(METRICS_FILE)),
    };
    let history = Arc::new(History::new(Arc::clone(&core), Arc::clone(&nodes), past.map_err(other)?));
    let stop = CancellationToken::new();

    let consoles = Arc::new(ConsoleService::new(Arc::clone(&core), Arc::clone(&vms), stop.clone()));

    let door = if config.demo { Door::Demo } else { Door::Guarded };
    let keys = demo.is_none().then_some(config.data_dir.as_path());
    let auth = AuthService::open(core.store.clone(), keys, core.node_id.to_string(), door);
    let auth = Arc::new(auth.map_err(|why| ServeError::DataDir { path: config.data_dir.display().to_string(), why })?);

    let listeners = http::serve::bind(&config.listen)?;
    let mut addresses = Vec::new();
    for listener in &listeners {
        addresses.push(listener.local_addr().map_err(other)?);
    }
    let names: Vec<String> = names(&config, machine.as_ref());
    let tls = tls(&config, &names)?;
    let api = if config.demo { None } else { api_socket(&config.socket)? };
    let gate = Gate::new(names, addresses.iter().map(std::net::SocketAddr::port));
    let state = RpcState {
        core: Arc::clone(&core),
        auth: Arc::clone(&auth),
        vms: Arc::clone(&vms),
        nodes: Arc::clone(&nodes),
        operations: Arc::clone(&operations),
        consoles: Arc::clone(&consoles),
        history: Arc::clone(&history),
        in_flight: Arc::new(InFlight::default()),
        stop: stop.clone(),
    };
    let sockets = TaskTracker::new();
    let live = Live::new(talk(state.clone()), stop.clone(), sockets.clone());
    let rpc = rpc::routes(state).map_err(ServeError::Other)?;
    let surface = Surface {
        rpc,
        ready: readyz(Arc::clone(&core), ready.clone()),
        scrape: scrape(Arc::clone(&core), Arc::clone(&nodes), Arc::clone(&operations), tls.clone()),
        metrics: Arc::new(Metrics::new()),
        gate,
        identity: Identity { auth: Arc::clone(&auth), methods: rpc::access::methods().collect() },
        live,
        consoles: Arc::clone(&consoles),
    };
    let router = http::router(surface);

    let notices = connect(&core, libvirt.as_ref());
    let reconciler = Reconciler {
        core: Arc::clone(&core),
        operations: Arc::clone(&operations),
        nodes: Arc::clone(&nodes),
        readiness,
    };
    let background = [
        tokio::spawn(reconciler.run(notices, stop.clone())),
        tokio::spawn(Arc::clone(&core).keeper(stop.clone())),
        tokio::spawn(statistics::measure(Arc::clone(&core), stop.clone())),
        tokio::spawn(Arc::clone(&nodes).run(stop.clone())),
        tokio::spawn(history.run(stop.clone())),
        tokio::spawn(Arc::clone(&auth).run(stop.clone())),
        tokio::spawn(backup::run(core.store.clone(), stop.clone())),
        tokio::spawn(autostart::run(
            Arc::clone(&core),
            Arc::clone(&vms),
            ready,
            crate::host::boot_id(&HostRoot::default()),
            stop.clone(),
        )),
    ];
    if config.demo {
        tokio::spawn(demo::heartbeats(Arc::clone(&nodes), Arc::clone(&machine), stop.clone()));
    }
    for address in &addresses {
        tracing::info!(%address, "listening");
        // Who started it may not listen any more.
        let scheme = if address.ip().is_loopback() { "http" } else { "https" };
        let _ = writeln!(std::io::stdout(), "quantixkvm is serving on {scheme}://{address}");
    }
    let told = Supervisor::of_environment().map(|supervisor| {
        let store = core.store.clone();
        let alive = Arc::new(move || store.setting("alive").is_ok());
        tokio::spawn(supervisor.inform(addresses, alive, core.link.subscribe(), stop.clone()))
    });
    tokio::spawn(wait_for_signal(stop.clone()));
    tokio::spawn(wait_for_loss(core.store.clone(), stop.clone()));
    let followed = tls.clone().map(|tls| tokio::spawn(tls.follow(stop.clone())));
    let door = http::serve::Door {
        tls,
        owner: crate::host::peer::socket_owner,
        // Its own uid would be root's: whoever it starts would be trusted.
        trusts_root: config.local_root_trust && !rustix::process::geteuid().is_root(),
        user_name: |uid| Some(crate::host::accounts::Accounts::read(&HostRoot::default()).user_name(uid)),
    };
    http::serve::serve(listeners, api, router, door, stop.clone(), sockets).await;
    stop.cancel();
    consoles.tasks.close();
    // What a console's client is told goes out first.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), consoles.tasks.wait()).await;
    for task in background.into_iter().chain(told).chain(followed) {
        // Each ends with `stop`; what hangs is left behind.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), task).await;
    }
    libvirt.close();
    drop(demo);
    tracing::info!("stopped; guests run on");
    core.store.healthy().map_err(other)?;
    Ok(())
}

/// Names and addresses by which this host may be addressed, its own first.
fn names(config: &Config, machine: &dyn Machine) -> Vec<String> {
    let mut names = vec![machine.hostname(), format!("{}.local", machine.hostname()), crate::host::hostname()];
    names.extend(config.hostnames.iter().cloned());
    names.extend(crate::host::addresses().iter().map(std::net::IpAddr::to_string));
    names.extend([machine.management_ip(), "localhost".to_owned()]);
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| !name.is_empty() && seen.insert(name.clone()));
    names
}

fn tls(config: &Config, names: &[String]) -> Result<Option<Arc<Tls>>, ServeError> {
    if config.demo {
        return Ok(None);
    }
    let opened = Tls::open(certificate_files(config), &config.data_dir, names);
    Ok(Some(Arc::new(opened.map_err(|why| ServeError::DataDir { path: config.data_dir.display().to_string(), why })?)))
}

/// The administrator's certificate and key; `None`: this host has its own.
#[must_use]
pub fn certificate_files(config: &Config) -> Option<tls::Files> {
    let given = config.tls_certificate.clone().zip(config.tls_key.clone());
    given.map(|(certificate, key)| tls::Files { certificate, key })
}

/// Names and addresses by which this host may be addressed now.
#[must_use]
pub fn host_names(config: &Config) -> Vec<String> {
    names(config, &ThisMachine::new(config.data_dir.clone()))
}

/// Where the page of a server of this configuration is, best first.
#[must_use]
pub fn urls(config: &Config) -> Vec<String> {
    let own = crate::host::addresses();
    let mut urls = Vec::new();
    for at in &config.listen {
        let url = |host: &str| format!("https://{host}:{}", at.port());
        if at.ip().is_loopback() {
            urls.push(url("localhost"));
        } else if at.ip().is_unspecified() {
            urls.push(url(&crate::host::hostname()));
            let same = own.iter().filter(|ip| ip.is_ipv4() == at.is_ipv4() && !ip.is_loopback());
            urls.extend(same.map(|ip| format!("https://{}", std::net::SocketAddr::new(*ip, at.port()))));
        } else {
            urls.push(format!("https://{at}"));
        }
    }
    let mut seen = std::collections::HashSet::new();
    urls.retain(|url| seen.insert(url.clone()));
    urls
}

/// Who may use the API socket, beside root.
const ADMINISTRATORS: &str = "quantixkvm-admin";

/// The API socket; none where its directory is not there, which is said.
fn api_socket(path: &Path) -> Result<Option<ApiSocket>, ServeError> {
    if !path.parent().is_some_and(Path::is_dir) {
        tracing::warn!(
            path = %path.display(),
            "there is no directory for the API socket, and so no socket; the command line needs it: make the \
             directory, or choose another place with --socket"
        );
        return Ok(None);
    }
    let group = crate::host::accounts::Accounts::read(&HostRoot::default()).gid(ADMINISTRATORS);
    Ok(Some(ApiSocket::bind(path, group)?))
}

/// A console is a socket and another to its guest; a thousand of each are more than a process may
/// have open unless it asks.
fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: now.maximum, maximum: now.maximum }) {
        tracing::warn!(%error, current = ?now.current, "the number of open files stays as it is");
    }
}

/// At the first start of all: libvirt's UUID of this host, if it can be had soon.
async fn ask_host_uuid(uri: String) -> Option<uuid::Uuid> {
    let asked = tokio::task::spawn_blocking(move || {
        let libvirt = Libvirt::connected(uri, AcceleratorChoice::Auto, HOST_UUID_PATIENCE).ok()?;
        let offer = libvirt.offer();
        libvirt.close();
        offer.ok()?.host_uuid
    });
    tokio::time::timeout(HOST_UUID_PATIENCE, asked).await.ok()?.ok()?
}

/// What the configuration asks for, in the hypervisor's words.
#[must_use]
pub fn choice(configured: Accelerator) -> AcceleratorChoice {
    match configured {
        Accelerator::Auto => AcceleratorChoice::Auto,
        Accelerator::Kvm => AcceleratorChoice::Kvm,
        Accelerator::Tcg => AcceleratorChoice::Tcg,
    }
}

fn open_store(dir: &Path) -> Result<Store, ServeError> {
    prepare_data_dir(dir)?;
    Ok(Store::open(&dir.join(STATE_FILE))?)
}

/// The data directory, ours alone, made where there is none.
///
/// # Errors
/// [`ServeError::DataDir`], with what is wrong with it.
pub fn prepare_data_dir(dir: &Path) -> Result<(), ServeError> {
    let failed = |why: String| ServeError::DataDir { path: dir.display().to_string(), why };
    match std::fs::metadata(dir) {
        Ok(meta) if !meta.is_dir() => return Err(failed("is no directory; choose another with --data-dir".to_owned())),
        Ok(meta) if meta.mode() & 0o077 != 0 => {
            return Err(failed(format!(
                "can be read by other users (mode {:04o}); run: chmod 0700 {}",
                meta.mode() & 0o7777,
                dir.display()
            )));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| {
                failed(format!("cannot be made: {error}; make it for this user, or choose another with --data-dir"))
            })?;
        }
        Err(error) => return Err(failed(error.to_string())),
    }
    Ok(())
}

/// What the store knows, in the picture, marked stale until libvirt was asked.
fn load(core: &Core) -> Result<(), ServeError> {
    let records = core.store.vm_all().map_err(other)?;
    core.inventory.write(|_, edits| {
        edits.stale(Some((crate::model::vm::Moment::now(), "not connected yet".to_owned())));
        for record in records {
            let mut vm = Vm::of_record(record);
            vm.stale = true;
            edits.put(vm);
        }
    });
    Ok(())
}

/// Begin connecting; the link's state is known at once, what follows from it in order.
fn connect(core: &Arc<Core>, libvirt: &dyn Hypervisor) -> mpsc::UnboundedReceiver<Notice> {
    let (sender, notices) = mpsc::unbounded_channel();
    let core = Arc::clone(core);
    libvirt.run(Box::new(move |notice| {
        match &notice {
            Notice::Connected => {
                core.link.send_replace(LinkState::Up);
            }
            Notice::Disconnected(why) => {
                core.link.send_replace(LinkState::Down(why.clone()));
            }
            Notice::LifeChanged(_)
            | Notice::DefinitionChanged(_)
            | Notice::Undefined(_)
            | Notice::Rebooted(_)
            | Notice::AgentChanged(_, _)
            | Notice::NetworkChanged => {}
        }
        // Nobody listens any more only when the process ends.
        let _ = sender.send(notice);
    }));
    notices
}

async fn wait_for_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::error!("signals cannot be heard; end the process with SIGKILL");
        return;
    };
    tokio::select! {
        _ = term.recv() => tracing::info!("SIGTERM: finishing"),
        _ = int.recv() => tracing::info!("SIGINT: finishing"),
    }
    stop.cancel();
}

/// A file that cannot be opened anew is for a new process to try; guests run on.
async fn wait_for_loss(store: Store, stop: CancellationToken) {
    tokio::select! {
        why = store.lost() => {
            tracing::error!(why, "ending, so that the service is started again");
            stop.cancel();
        }
        () = stop.cancelled() => {}
    }
}

/// What pages are told on their live connections.
fn talk(state: RpcState) -> http::live::Talk {
    Arc::new(move |request_id, requests| rpc::live::talk(state.clone(), request_id, requests).boxed())
}

type Ready = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

fn readyz(core: Arc<Core>, ready: watch::Receiver<Readiness>) -> Ready {
    Arc::new(move || {
        core.store.healthy().map_err(|error| error.to_string())?;
        match &*ready.borrow() {
            Readiness::Ready => Ok(()),
            Readiness::NotReady(why) => Err(why.clone()),
        }
    })
}

type Scrape = Arc<dyn Fn(&Metrics) -> String + Send + Sync>;

fn scrape(
    core: Arc<Core>,
    nodes: Arc<NodeService>,
    operations: Arc<OperationService>,
    tls: Option<Arc<Tls>>,
) -> Scrape {
    Arc::new(move |metrics| {
        let ends = tls.as_ref().map(|tls| tls.ends_at().0.div_euclid(1_000_000));
        metrics.render(&Snapshot { certificate_ends_seconds: ends, ..snapshot(&core, &nodes, &operations) })
    })
}

#[allow(clippy::cast_precision_loss, reason = "gauges are floating point")]
fn snapshot(core: &Core, nodes: &NodeService, operations: &OperationService) -> Snapshot {
    let picture = core.inventory.picture();
    let usage = core.inventory.usage();
    let vms = picture
        .vms
        .values()
        .map(|vm| VmGauges {
            id: vm.record.id.to_string(),
            name: vm.record.name.clone(),
            project: vm.record.project_id.to_string(),
            state: vm.record.state.word(),
            usage: usage.get(&vm.record.id).map(|used| {
                let counters = &used.counters;
                VmUse {
                    cpu_seconds: counters.cpu_time_ns as f64 / 1e9,
                    vcpus: f64::from(counters.vcpus),
                    memory_used_bytes: counters.memory_used_bytes as f64,
                    memory_allocated_bytes: counters.memory_allocated_bytes as f64,
                    disk_read_bytes: counters.disk_read_bytes as f64,
                    disk_written_bytes: counters.disk_write_bytes as f64,
                    network_received_bytes: counters.network_rx_bytes as f64,
                    network_transmitted_bytes: counters.network_tx_bytes as f64,
                }
            }),
        })
        .collect();
    let node = nodes.local().map_or_else(
        |_| Vec::new(),
        |node| {
            let load = &node.record.load;
            vec![
                ("cpu_usage_ratio", "CPU in use over all threads, 0-1.", load.cpu_usage_percent / 100.0),
                ("memory_bytes", "Memory of the host.", load.memory_total_bytes as f64),
                ("memory_used_bytes", "Memory of the host in use.", load.memory_used_bytes as f64),
                ("storage_bytes", "Space on the file systems that VMs depend on.", load.storage_total_bytes as f64),
                ("storage_used_bytes", "Space in use there.", load.storage_used_bytes as f64),
                ("network_received_bytes", "Bytes received since the boot.", load.network_rx_bytes as f64),
                ("network_transmitted_bytes", "Bytes sent since the boot.", load.network_tx_bytes as f64),
                ("load1", "Load average over a minute.", load.load_1m),
            ]
        },
    );
    let mut running: std::collections::BTreeMap<&'static str, f64> = std::collections::BTreeMap::new();
    for operation in operations.in_flight() {
        *running.entry(operation.verb.word()).or_default() += 1.0;
    }
    Snapshot {
        vms,
        node,
        libvirt_connected: *core.link.borrow() == LinkState::Up,
        operations: running.into_iter().collect(),
        store_bytes: core.store.size_bytes() as f64,
        backup: backup_gauges(core.store.backup_status()),
        certificate_ends_seconds: None,
    }
}

fn backup_gauges(status: BackupStatus) -> Option<BackupGauges> {
    match status {
        BackupStatus::NotKept => None,
        BackupStatus::Kept { newest, failure } => Some(BackupGauges {
            made_at_seconds: newest.map(|at| at.0.div_euclid(1_000_000)),
            failing: failure.is_some(),
        }),
    }
}
