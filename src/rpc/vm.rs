//! `VMService`.

use std::sync::Arc;

use buffa_types::google::protobuf::Empty;
use connectrpc::{ConnectError, Encodable, RequestContext, Response, ServiceRequest, ServiceResult, ServiceStream};
use futures::{Stream, StreamExt as _};
use quantixkvm_proto::Quantixkvm::compute::v1 as wire;
use serde::Serialize;

use crate::model::id::VmId;
use crate::service::error::ServiceError;
use crate::service::inventory::{Change, Vm};
use crate::service::requests::Caller;
use crate::service::vm::{Reboot, matches};

use super::calls::{caller_of, change, looking, refused};
use super::rows::{Row, RowFrame, Rows};
use super::watch::{self, Kind, Told, Watched};
use super::{RpcState, console, plan_out, vm_in, vm_out};

pub(super) struct Vms(pub RpcState);

fn told(change: Change) -> (VmId, Told<Vm>) {
    match change {
        Change::Added(vm) | Change::Modified(vm) => (vm.record.id, Told::Is(vm)),
        Change::Deleted(vm, _) => (vm.record.id, Told::Gone(vm)),
    }
}

fn message(state: &RpcState, vm: &Arc<Vm>) -> wire::VirtualMachine {
    Row::new(&state.core, Arc::clone(vm)).message()
}

fn reread(state: &RpcState, id: &str) -> Result<Arc<Vm>, ServiceError> {
    let Ok(id) = id.parse() else {
        return Err(ServiceError::Unavailable(
            "it was done, and its answer was lost with a restart; read the VM".to_owned(),
        ));
    };
    state.vms.get(id)
}

/// The messages of `WatchVMs`.
pub(super) fn watched(
    state: &RpcState,
    sent: &wire::WatchVMsRequest,
) -> Result<impl Stream<Item = Result<RowFrame, ConnectError>> + Send + use<>, ServiceError> {
    let wanted = vm_in::watch(sent)?;
    let (picture, changes) = state.core.inventory.watch();
    let core = Arc::clone(&state.core);
    let present =
        picture.vms.iter().filter(|(_, vm)| matches(&wanted, vm)).map(|(id, vm)| (*id, Arc::clone(vm))).collect();
    let watched = Watched {
        present,
        changes,
        read: told,
        wants: Box::new(move |vm| matches(&wanted, vm)),
        stop: state.stop.clone(),
    };
    Ok(watch::stream(watched).map(move |frame| frame.map(|frame| RowFrame::new(&core, frame))))
}

impl Vms {
    /// The VM that a request names, noted in the request's span.
    fn id(&self, ctx: &RequestContext, text: &str) -> Result<VmId, ConnectError> {
        let id = vm_in::id(text).map_err(refused(ctx))?;
        let span = tracing::Span::current();
        span.record("vm", tracing::field::display(id));
        if let Some(vm) = self.0.core.inventory.get(id) {
            span.record("project", tracing::field::display(vm.record.project_id));
        }
        Ok(id)
    }

    /// A verb of one VM that answers the VM.
    async fn verb<R, F, Fut>(&self, ctx: &RequestContext, request: &R, work: F) -> ServiceResult<wire::VirtualMachine>
    where
        R: Serialize,
        F: FnOnce(RpcState, Caller) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Arc<Vm>, ServiceError>> + Send + 'static,
    {
        Ok(change(&self.0, ctx, request, work, message, reread).await?.into())
    }
}

impl wire::VmService for Vms {
    async fn create_vm(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::CreateVMRequest>,
    ) -> ServiceResult<wire::VirtualMachine> {
        let request = request.to_owned_message();
        let wanted = vm_in::create(&request).map_err(refused(&ctx))?;
        tracing::Span::current().record("project", tracing::field::display(wanted.project_id));
        if request.validate_only {
            // Nothing is changed: a key has nothing to keep.
            let caller = looking(&ctx)?;
            let plan = self.0.vms.create_plan(&wanted, &caller).await.map_err(refused(&ctx))?;
            return Response::ok(plan_out::create(&plan, &self.0.core.inventory));
        }
        let made =
            self.verb(&ctx, &request, |state, caller| async move { state.vms.create(&caller, wanted).await }).await?;
        tracing::Span::current().record("vm", &made.body.id);
        Ok(made)
    }

    async fn get_vm(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::GetVMRequest>,
    ) -> ServiceResult<impl Encodable<wire::VirtualMachine> + Send + use<>> {
        let vm = self.0.vms.get(self.id(&ctx, request.id)?).map_err(refused(&ctx))?;
        Response::ok(Row::new(&self.0.core, vm))
    }

    async fn list_v_ms(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::ListVMsRequest>,
    ) -> ServiceResult<impl Encodable<wire::ListVMsResponse> + Send + use<>> {
        let page = vm_in::list(&request.to_owned_message())
            .and_then(|wanted| self.0.vms.list(&wanted))
            .map_err(refused(&ctx))?;
        Response::ok(Rows::new(&self.0.core, page))
    }

    async fn update_vm(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::UpdateVMRequest>,
    ) -> ServiceResult<wire::VirtualMachine> {
        let request = request.to_owned_message();
        let id = self.id(&ctx, &request.id)?;
        let wanted = self
            .0
            .vms
            .get(id)
            .and_then(|vm| vm_in::update(&request, &self.0.core.inventory.spec(&vm)))
            .map_err(refused(&ctx))?;
        self.verb(&ctx, &request, move |state, caller| async move { state.vms.update(&caller, id, wanted).await }).await
    }

    async fn delete_vm(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::DeleteVMRequest>,
    ) -> ServiceResult<wire::DeleteVMResponse> {
        let request = request.to_owned_message();
        let id = self.id(&ctx, &request.id)?;
        let how = vm_in::delete(&request);
        if request.validate_only {
            let rights = looking(&ctx)?.rights;
            let plan = self.0.vms.delete_plan(rights, id, how).await.map_err(refused(&ctx))?;
            return Response::ok(plan_out::delete(&plan));
        }
        let work = move |state: RpcState, caller| async move { state.vms.delete(&caller, id, how).await };
        let answer: Result<wire::DeleteVMResponse, ConnectError> =
            change(&self.0, &ctx, &request, work, |_, ()| wire::DeleteVMResponse::default(), |_, _| Ok(())).await;
        Ok(answer?.into())
    }

    async fn start_vm(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::StartVMRequest>,
    ) -> ServiceResult<wire::VirtualMachine> {
        let request = request.to_owned_message();
        let id = self.id(&ctx, &request.id)?;
        self.verb(&ctx, &request, move |state, caller| async move { state.vms.start(&caller, id).await }).await
    }

    async fn stop_vm(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::StopVMRequest>,
    ) -> ServiceResult<wire::VirtualMachine> {
        let request = request.to_owned_message();
        let id = self.id(&ctx, &request.id)?;
        let how = vm_in::stop(&request);
        self.verb(&ctx, &request, move |state, caller| async move { state.vms.stop(&caller, id, how).await }).await
    }

    async fn reboot_vm(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::RebootVMRequest>,
    ) -> ServiceResult<wire::VirtualMachine> {
        let request = request.to_owned_message();
        let id = self.id(&ctx, &request.id)?;
        let how = if request.force { Reboot::Reset } else { Reboot::Graceful };
        self.verb(&ctx, &request, move |state, caller| async move { state.vms.reboot(&caller, id, how).await }).await
    }

    async fn pause_vm(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::PauseVMRequest>,
    ) -> ServiceResult<wire::VirtualMachine> {
        let request = request.to_owned_message();
        let id = self.id(&ctx, &request.id)?;
        self.verb(&ctx, &request, move |state, caller| async move { state.vms.pause(&caller, id).await }).await
    }

    async fn resume_vm(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::ResumeVMRequest>,
    ) -> ServiceResult<wire::VirtualMachine> {
        let request = request.to_owned_message();
        let id = self.id(&ctx, &request.id)?;
        self.verb(&ctx, &request, move |state, caller| async move { state.vms.resume(&caller, id).await }).await
    }

    async fn suspend_vm(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::SuspendVMRequest>,
    ) -> ServiceResult<wire::VirtualMachine> {
        let request = request.to_owned_message();
        let id = self.id(&ctx, &request.id)?;
        self.verb(&ctx, &request, move |state, caller| async move { state.vms.suspend(&caller, id).await }).await
    }

    async fn adopt_vm(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::AdoptVMRequest>,
    ) -> ServiceResult<wire::VirtualMachine> {
        let request = request.to_owned_message();
        let id = self.id(&ctx, &request.id)?;
        let project = vm_in::project(&request.project_id).map_err(refused(&ctx))?;
        self.verb(&ctx, &request, move |state, caller| async move { state.vms.adopt(&caller, id, project).await }).await
    }

    async fn redefine_vm(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::RedefineVMRequest>,
    ) -> ServiceResult<wire::VirtualMachine> {
        let request = request.to_owned_message();
        let id = self.id(&ctx, &request.id)?;
        self.verb(&ctx, &request, move |state, caller| async move { state.vms.redefine(&caller, id).await }).await
    }

    async fn list_vm_events(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::ListVMEventsRequest>,
    ) -> ServiceResult<wire::ListVMEventsResponse> {
        let request = request.to_owned_message();
        let (id, wanted) = vm_in::events(&request).map_err(refused(&ctx))?;
        let vms = Arc::clone(&self.0.vms);
        let found = crate::service::core::blocking(move || vms.events_of(id, &wanted)).await.map_err(refused(&ctx))?;
        let events = found.iter().map(vm_out::event).collect();
        Response::ok(wire::ListVMEventsResponse { events, ..Default::default() })
    }

    async fn watch_vm(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::WatchVMRequest>,
    ) -> ServiceResult<ServiceStream<impl Encodable<wire::VirtualMachine> + Send + use<>>> {
        let id = vm_in::vm_id(request.vm_id).map_err(refused(&ctx))?;
        let (picture, changes) = self.0.core.inventory.watch();
        let first = picture.vms.get(&id).cloned().ok_or_else(|| refused(&ctx)(ServiceError::no_vm(id)))?;
        let core = Arc::clone(&self.0.core);
        let watched = Watched {
            present: vec![(id, first)],
            changes,
            read: told,
            wants: Box::new(move |vm| vm.record.id == id),
            stop: self.0.stop.clone(),
        };
        let gone = refused(&ctx)(ServiceError::no_vm(id));
        let rows = watch::stream(watched).filter_map(move |frame| {
            let row = match frame {
                Err(error) => Some(Err(error)),
                Ok(frame) => match (frame.kind, frame.item) {
                    (Kind::Added | Kind::Modified, Some(vm)) => Some(Ok(Row::new(&core, vm))),
                    (Kind::Deleted, _) => Some(Err(gone.clone())),
                    (Kind::Resync, _) => {
                        Some(Err(ConnectError::resource_exhausted("this reader fell too far behind; call again")))
                    }
                    (Kind::Heartbeat, _) => core.inventory.get(id).map(|vm| Ok(Row::new(&core, vm))),
                    (Kind::Added | Kind::Modified | Kind::Synced, _) => None,
                },
            };
            std::future::ready(row)
        });
        Response::stream_ok(rows)
    }

    async fn watch_v_ms(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::WatchVMsRequest>,
    ) -> ServiceResult<ServiceStream<impl Encodable<wire::VMUpdate> + Send + use<>>> {
        Response::stream_ok(watched(&self.0, &request.to_owned_message()).map_err(refused(&ctx))?)
    }

    async fn get_console(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::GetConsoleRequest>,
    ) -> ServiceResult<wire::ConsoleInfo> {
        let (id, wanted) = console::wanted(&request.to_owned_message()).map_err(refused(&ctx))?;
        let granted = self.0.consoles.grant(id, wanted, caller_of(&ctx)?).await.map_err(refused(&ctx))?;
        Response::ok(console::info(id, wanted, granted))
    }

    async fn get_screenshot(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::GetScreenshotRequest>,
    ) -> ServiceResult<wire::Screenshot> {
        let id = vm_in::vm_id(request.vm_id).map_err(refused(&ctx))?;
        Response::ok(console::screenshot(self.0.consoles.screenshot(id).await.map_err(refused(&ctx))?))
    }

    async fn send_keys(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::SendKeysRequest>,
    ) -> ServiceResult<Empty> {
        let request = request.to_owned_message();
        let (id, codes, hold) = console::keys(&request).map_err(refused(&ctx))?;
        let work = move |state: RpcState, caller: Caller| async move {
            state.consoles.send_keys(&caller, id, codes, hold).await
        };
        let done: Result<Empty, ConnectError> =
            change(&self.0, &ctx, &request, work, |_, ()| Empty::default(), |_, _| Ok(())).await;
        Ok(done?.into())
    }

    async fn mount_iso(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::MountISORequest>,
    ) -> ServiceResult<wire::VirtualMachine> {
        let request = request.to_owned_message();
        let id = vm_in::vm_id(&request.vm_id).map_err(refused(&ctx))?;
        let (how, path) = (console::media(&request.cdrom_id, request.force), request.iso_path.clone());
        let work = move |state: RpcState, caller| async move { state.vms.mount_iso(&caller, id, how, path).await };
        self.verb(&ctx, &request, work).await
    }

    async fn eject_iso(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::EjectISORequest>,
    ) -> ServiceResult<wire::VirtualMachine> {
        let request = request.to_owned_message();
        let id = vm_in::vm_id(&request.vm_id).map_err(refused(&ctx))?;
        let how = console::media(&request.cdrom_id, request.force);
        self.verb(&ctx, &request, move |state, caller| async move { state.vms.eject_iso(&caller, id, how).await }).await
    }

    async fn get_vm_definition(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::GetVMDefinitionRequest>,
    ) -> ServiceResult<wire::VMDefinition> {
        let id = self.id(&ctx, request.id)?;
        let shown = self.0.vms.definition(id).await.map_err(refused(&ctx))?;
        Response::ok(wire::VMDefinition {
            persistent_xml: shown.persistent,
            live_xml: shown.live,
            ..Default::default()
        })
    }

    async fn get_create_options(
        &self,
        ctx: RequestContext,
        _: ServiceRequest<'_, wire::GetCreateOptionsRequest>,
    ) -> ServiceResult<wire::CreateOptions> {
        let options = self.0.vms.create_options().await.map_err(refused(&ctx))?;
        Response::ok(plan_out::options(options))
    }

    async fn watch_vm_usage(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::WatchVMUsageRequest>,
    ) -> ServiceResult<ServiceStream<impl Encodable<wire::VMUsageUpdate> + Send + use<>>> {
        Response::stream_ok(super::vm_usage::watched(&self.0, &request.to_owned_message()).map_err(refused(&ctx))?)
    }
}
