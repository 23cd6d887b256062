//! `StateService`.

use connectrpc::{ConnectError, RequestContext, Response, ServiceRequest, ServiceResult};
use quantixkvm_proto::Quantixkvm::state::v1 as wire;

use crate::model::backup::BackupKind;
use crate::service::backup::{self, Made};
use crate::service::error::ServiceError;

use super::calls::{change, refused};
use super::{RpcState, vm_out};

pub(super) struct State(pub RpcState);

fn kind(kind: BackupKind) -> wire::backup::Kind {
    match kind {
        BackupKind::Scheduled => wire::backup::Kind::KIND_SCHEDULED,
        BackupKind::OnDemand => wire::backup::Kind::KIND_ON_DEMAND,
        BackupKind::BeforeUpgrade => wire::backup::Kind::KIND_BEFORE_UPGRADE,
    }
}

fn written(made: &Made) -> wire::Backup {
    wire::Backup {
        name: made.name.file(),
        path: made.path.display().to_string(),
        created_at: vm_out::moment(made.name.at).into(),
        size_bytes: made.size_bytes,
        kind: kind(made.name.kind).into(),
        ..Default::default()
    }
}

impl wire::StateService for State {
    async fn backup_state(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::BackupStateRequest>,
    ) -> ServiceResult<wire::Backup> {
        let back_up = |state: RpcState, caller: crate::service::requests::Caller| async move {
            backup::back_up(state.core.store.clone(), &caller.user).await
        };
        let answer: Result<wire::Backup, ConnectError> = change(
            &self.0,
            &ctx,
            &request.to_owned_message(),
            back_up,
            |_, made| written(made),
            |state, _| {
                // The answer is kept after the backup, so only a crash between the two comes here.
                let newest = state.core.store.backups().map_err(ServiceError::from)?.into_iter().next();
                newest.ok_or_else(|| ServiceError::Unavailable("the first answer was lost; ask again".to_owned()))
            },
        )
        .await;
        Ok(answer?.into())
    }

    async fn list_backups(
        &self,
        ctx: RequestContext,
        _request: ServiceRequest<'_, wire::ListBackupsRequest>,
    ) -> ServiceResult<wire::ListBackupsResponse> {
        let found = backup::list(self.0.core.store.clone()).await.map_err(refused(&ctx))?;
        Response::ok(wire::ListBackupsResponse {
            backups: found.all.iter().map(written).collect(),
            last_error: found.failure.unwrap_or_default(),
            ..Default::default()
        })
    }
}
