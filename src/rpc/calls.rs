//! What every call has in common: who asks, and that what changes something is done once and to
//! its end, whether or not its client waits.

use std::sync::Arc;

use buffa::Message;
use connectrpc::{ConnectError, RequestContext};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tracing::Instrument as _;

use crate::model::access::{Quota, Rights, Role};
use crate::model::id::clip;
use crate::model::user::AuditEntry;
use crate::model::vm::Moment;
use crate::service::auth::Principal;
use crate::service::error::ServiceError;
use crate::service::idempotency::Told;
use crate::service::requests::{Caller, IdempotencyKey};

use super::{RpcState, error};

/// Characters of what a request is about that the audit log keeps.
const RESOURCE_MAX: usize = 100;
/// Characters of an idempotency key at most.
const KEY_MAX: usize = 255;

/// The id that the log lines of this request carry.
pub(super) fn request_id(ctx: &RequestContext) -> &str {
    ctx.headers().get("x-request-id").and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A failure, as its caller is told.
pub(super) fn refused(ctx: &RequestContext) -> impl Fn(ServiceError) -> ConnectError + use<'_> {
    |failure| error::connect(&failure, request_id(ctx))
}

/// Who calls; whoever comes this far is somebody.
pub(super) fn caller_of(ctx: &RequestContext) -> Result<&Principal, ConnectError> {
    let nobody = || ServiceError::Internal("a call came without its caller".to_owned());
    ctx.extensions().get::<Principal>().ok_or_else(|| refused(ctx)(nobody()))
}

/// What a request is about, for the audit log: of all that it holds its ids and its name alone.
fn resource_in(request: &serde_json::Value) -> String {
    ["id", "vmId", "nodeId", "hostname", "name"]
        .iter()
        .find_map(|key| request.get(key)?.as_str().filter(|text| !text.is_empty()))
        .map(str::to_owned)
        .unwrap_or_default()
}

/// Who asks what would be done: a key has nothing to keep of that.
pub(super) fn looking(ctx: &RequestContext) -> Result<Caller, ConnectError> {
    let who = caller_of(ctx)?;
    Ok(Caller {
        user: who.name().to_owned(),
        rights: who.rights(),
        request_id: request_id(ctx).to_owned(),
        idempotency: None,
    })
}

fn caller(ctx: &RequestContext, request: &impl Serialize) -> Result<Caller, ServiceError> {
    let who = ctx.extensions().get::<Principal>();
    let user = who.map(Principal::name).unwrap_or_default().to_owned();
    // Nobody comes this far, and nobody's rights are the least.
    let rights = who.map_or(Rights::new(Role::Viewer, Quota::default()), Principal::rights);
    let idempotency = match ctx.headers().get("idempotency-key") {
        None => None,
        Some(key) => Some(idempotency(ctx, &user, key.as_bytes(), request)?),
    };
    Ok(Caller { user, rights, request_id: request_id(ctx).to_owned(), idempotency })
}

fn idempotency(
    ctx: &RequestContext,
    user: &str,
    key: &[u8],
    request: &impl Serialize,
) -> Result<IdempotencyKey, ServiceError> {
    if key.is_empty() || key.len() > KEY_MAX || !key.iter().all(u8::is_ascii_graphic) {
        return Err(ServiceError::invalid(
            "Idempotency-Key",
            format!("must be 1-{KEY_MAX} visible ASCII characters; {} bytes were sent", key.len()),
        ));
    }
    // By value, so that a retry in another codec or another order of keys is the same request.
    let body = serde_json::to_value(request)
        .map_err(|why| ServiceError::Internal(format!("the request cannot be written as JSON: {why}")))?;
    let mut name = Sha256::new();
    for part in [user.as_bytes(), ctx.path().unwrap_or_default().as_bytes(), key] {
        name.update((part.len() as u64).to_le_bytes());
        name.update(part);
    }
    Ok(IdempotencyKey { key: name.finalize().into(), body: Sha256::digest(body.to_string().as_bytes()).into() })
}

/// A change: `work` runs in a task of its own and once a key, `answer` writes what came of it, and
/// `reread` finds the answer to a request whose first answer was lost with the process.
pub(super) async fn change<R, A, W, F, Fut>(
    state: &RpcState,
    ctx: &RequestContext,
    request: &R,
    work: F,
    answer: fn(&RpcState, &A) -> W,
    reread: fn(&RpcState, &str) -> Result<A, ServiceError>,
) -> Result<W, ConnectError>
where
    R: Serialize,
    A: Send + Sync + 'static,
    W: Message + Send + 'static,
    F: FnOnce(RpcState, Caller) -> Fut + Send + 'static,
    Fut: Future<Output = Result<A, ServiceError>> + Send + 'static,
{
    let done = once(state, ctx, request, work, answer, reread).await;
    if caller_of(ctx).is_ok() {
        let about = serde_json::to_value(request).map(|request| resource_in(&request)).unwrap_or_default();
        record(state, ctx, "", &about, &done);
    }
    done
}

/// A line of the audit log, of `unknown` where the caller has shown nothing.
pub(super) fn record<W>(
    state: &RpcState,
    ctx: &RequestContext,
    unknown: &str,
    about: &str,
    done: &Result<W, ConnectError>,
) {
    let caller = ctx.extensions().get::<Principal>();
    let (code, message) = match done {
        Ok(_) => ("ok", String::new()),
        Err(error) => (error.code.as_str(), error.message.clone().unwrap_or_default()),
    };
    state.auth.audit.record(AuditEntry {
        at: Moment::now(),
        user: caller.map_or(unknown, Principal::name).to_owned(),
        via: caller.map_or("", Principal::via_word).to_owned(),
        address: super::access::address(ctx),
        method: ctx.path().unwrap_or_default().trim_start_matches('/').to_owned(),
        resource: clip(about, RESOURCE_MAX),
        code: code.to_owned(),
        message,
        request_id: request_id(ctx).to_owned(),
    });
}

async fn once<R, A, W, F, Fut>(
    state: &RpcState,
    ctx: &RequestContext,
    request: &R,
    work: F,
    answer: fn(&RpcState, &A) -> W,
    reread: fn(&RpcState, &str) -> Result<A, ServiceError>,
) -> Result<W, ConnectError>
where
    R: Serialize,
    A: Send + Sync + 'static,
    W: Message + Send + 'static,
    F: FnOnce(RpcState, Caller) -> Fut + Send + 'static,
    Fut: Future<Output = Result<A, ServiceError>> + Send + 'static,
{
    let caller = caller(ctx, request).map_err(refused(ctx))?;
    let task = tokio::spawn({
        let state = state.clone();
        async move {
            let key = caller.idempotency;
            let once = Arc::clone(&state.in_flight);
            let core = Arc::clone(&state.core);
            let bytes = |done: &A| answer(&state, done).encode_to_vec();
            match once.once(&core, key, work(state.clone(), caller), bytes).await? {
                Told::Fresh(done) => Ok(Ok(answer(&state, &done))),
                Told::Again(bytes) => W::decode_from_slice(&bytes)
                    .map(Ok)
                    .map_err(|why| ServiceError::Internal(format!("a kept answer cannot be read: {why}"))),
                Told::Done { resource_id } => {
                    let done = reread(&state, resource_id.as_deref().unwrap_or_default())?;
                    Ok(Ok(answer(&state, &done)))
                }
                Told::Refused { code, message } => Ok(Err(error::again(&code, message))),
            }
        }
        .in_current_span()
    });
    match task.await {
        Ok(Ok(told)) => told,
        Ok(Err(failure)) => Err(refused(ctx)(failure)),
        Err(lost) => Err(refused(ctx)(ServiceError::Internal(format!("the task of the request ended: {lost}")))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use buffa_types::google::protobuf::Empty;
    use connectrpc::ErrorCode;
    use tokio::sync::watch;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::hypervisor::libvirt::Libvirt;
    use crate::hypervisor::{AcceleratorChoice, Hypervisor};
    use crate::model::operation::{Intent, OperationState, Verb};
    use crate::service::auth::{AuthService, Door};
    use crate::service::console::ConsoleService;
    use crate::service::core::Core;
    use crate::service::demo::{self, Demo, DemoMachine};
    use crate::service::inventory::{Inventory, Vm};
    use crate::service::metrics_history::History;
    use crate::service::node::{NodeService, ThisMachine, local_node_id};
    use crate::service::operations::{Hold, OperationService, new_operation};
    use crate::service::vm::{Readiness, VmService};
    use crate::store::{MetricStore, Store};

    const VM: &str = "11111111-1111-1111-1111-111111111111";

    /// The demo without libvirt: what is asked here never reaches it.
    fn state() -> RpcState {
        let demo = Demo::prepare().expect("the kernel gives a file in memory");
        let store = Store::in_memory().expect("a store in memory");
        demo::seed(&store).expect("the seed is taken");
        let libvirt: Arc<dyn Hypervisor> = Arc::new(Libvirt::new(demo.uri(), AcceleratorChoice::Auto));
        let reader = Arc::clone(&libvirt);
        let inventory = Inventory::new(Arc::new(move |text| reader.read(text).unwrap_or_default()));
        let node = local_node_id(&store, None).expect("the seed names it");
        let core = Arc::new(Core::new(store.clone(), libvirt, inventory, node));
        let known = store.vm_all().expect("it answers");
        core.inventory.write(|_, edits| known.into_iter().for_each(|record| edits.put(Vm::of_record(record))));
        let operations = Arc::new(OperationService::new(Arc::clone(&core)));
        let machine = Arc::new(DemoMachine::new(ThisMachine::new("/".into())));
        let opened = NodeService::open(Arc::clone(&core), Arc::clone(&operations), machine, None);
        let nodes = Arc::new(opened.expect("the store answers"));
        let (_, ready) = watch::channel(Readiness::Ready);
        let vms = Arc::new(VmService::new(Arc::clone(&core), Arc::clone(&operations), Arc::clone(&nodes), ready));
        let stop = CancellationToken::new();
        let consoles = Arc::new(ConsoleService::new(Arc::clone(&core), Arc::clone(&vms), stop.clone()));
        let past = MetricStore::in_memory().expect("a store in memory");
        let history = Arc::new(History::new(Arc::clone(&core), Arc::clone(&nodes), past));
        let auth = AuthService::open(store, None, "node".to_owned(), Door::Demo).expect("it opens");
        let auth = Arc::new(auth);
        RpcState { core, vms, nodes, operations, consoles, history, auth, in_flight: Arc::default(), stop }
    }

    /// A change whose work begins an operation and then, where `words` says so, panics.
    async fn ask(state: &RpcState, words: Option<&'static str>) -> Result<Empty, ConnectError> {
        let headers = [("x-request-id", "r-26"), ("idempotency-key", "k")]
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
        let ctx = RequestContext::new(headers.into_iter().collect()).with_path("/x/Y");
        let work = move |state: RpcState, caller: Caller| async move {
            let operation = new_operation(&caller, Verb::Start, VM.to_owned(), Intent::Plain);
            let running = state.operations.take(operation).map_err(|_| ServiceError::Internal("held".to_owned()))?;
            let running = Hold::new(running, Arc::clone(&state.operations));
            assert!(words.is_none(), "{}", words.unwrap_or_default());
            state.operations.release(&running);
            Ok(())
        };
        let asked = change(state, &ctx, &VM, work, |_, ()| Empty::default(), |_, _| Ok(()));
        tokio::time::timeout(Duration::from_secs(20), asked).await.expect("it is answered")
    }

    /// R26.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_is_internal_lets_go_of_its_vm_and_of_its_key() {
        let state = state();
        let told = ask(&state, Some("the password is hunter2")).await.expect_err("it panicked");
        let message = told.message.clone().unwrap_or_default();
        assert_eq!(told.code, ErrorCode::Internal);
        assert!(message.contains("r-26") && !message.contains("hunter2"), "{message}");
        assert!(state.operations.holder(VM).is_none(), "the VM is still held");
        assert!(state.operations.in_flight().iter().all(|operation| operation.state != OperationState::Running));
        // The same key again, and another after it: neither waits for the one that is gone.
        ask(&state, None).await.expect("it is done");
        ask(&state, Some("not done again")).await.expect("it is answered by the first answer");
    }
}
