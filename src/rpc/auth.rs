//! `AuthService`.

use std::sync::Arc;

use buffa_types::google::protobuf::Empty;
use connectrpc::{ConnectError, Encodable, RequestContext, Response, ServiceRequest, ServiceResult, ServiceStream};
use quantixkvm_proto::Quantixkvm::auth::v1 as wire;

use crate::model::access::{Need, Quota, Role};
use crate::model::user::{AuditEntry, SessionRecord, TokenRecord, UserRecord};
use crate::model::vm::Moment;
use crate::service::auth::{AuditFilter, COOKIE, NumberedEntry};
use crate::service::auth::{AuthService, Client, NewUser, Principal, SignedIn, UserChange, Via, Who};
use crate::service::error::ServiceError;
use crate::service::paging;

use super::calls::{caller_of, refused, request_id};
use super::read::Reader;
use super::vm_out::moment;
use super::{RpcState, access};

pub(super) struct Auth(pub RpcState);

/// Lines of the audit log that are read at a time for an export.
const EXPORT_AT_ONCE: usize = 500;

fn role_in(role: wire::Role) -> Option<Role> {
    match role {
        wire::Role::ROLE_UNSPECIFIED => None,
        wire::Role::VIEWER => Some(Role::Viewer),
        wire::Role::OPERATOR => Some(Role::Operator),
        wire::Role::ADMIN => Some(Role::Admin),
    }
}

fn role_out(role: Role) -> wire::Role {
    match role {
        Role::Viewer => wire::Role::VIEWER,
        Role::Operator => wire::Role::OPERATOR,
        Role::Admin => wire::Role::ADMIN,
    }
}

fn quota_in(sent: &wire::Quota) -> Quota {
    Quota { vms: sent.vms, vcpus: sent.vcpus, memory_mib: sent.memory_mib, disk_gib: sent.disk_gib }
}

fn quota_out(quota: Quota) -> wire::Quota {
    wire::Quota {
        vms: quota.vms,
        vcpus: quota.vcpus,
        memory_mib: quota.memory_mib,
        disk_gib: quota.disk_gib,
        ..Default::default()
    }
}

fn user(record: &UserRecord) -> wire::User {
    wire::User {
        id: record.id.to_string(),
        name: record.name.clone(),
        role: role_out(record.role).into(),
        enabled: record.enabled,
        created_at: moment(record.created_at).into(),
        password_changed_at: moment(record.password_changed_at).into(),
        last_login_at: record.last_login_at.map(moment).into(),
        quota: Some(record.quota).filter(|quota| *quota != Quota::default()).map(quota_out).into(),
        ..Default::default()
    }
}

fn token(record: &TokenRecord, owner: &str) -> wire::Token {
    wire::Token {
        id: record.id.clone(),
        name: record.name.clone(),
        user_id: record.user_id.to_string(),
        user_name: owner.to_owned(),
        role: role_out(record.role).into(),
        created_at: moment(record.created_at).into(),
        expires_at: moment(record.expires_at).into(),
        last_used_at: record.last_used_at.map(moment).into(),
        ..Default::default()
    }
}

fn session(record: &SessionRecord, owner: &str, caller: Option<&Principal>) -> wire::Session {
    wire::Session {
        id: record.id.to_string(),
        user_id: record.user_id.to_string(),
        user_name: owner.to_owned(),
        created_at: moment(record.created_at).into(),
        last_used_at: moment(record.last_used_at).into(),
        expires_at: moment(AuthService::session_ends(record)).into(),
        address: record.address.clone(),
        user_agent: record.user_agent.clone(),
        current: caller.and_then(Principal::session) == Some(record.id),
        ..Default::default()
    }
}

fn entry((sequence, entry): NumberedEntry) -> wire::AuditEntry {
    let AuditEntry { at, user, via, address, method, resource, code, message, request_id } = entry;
    wire::AuditEntry {
        sequence,
        at: moment(at).into(),
        user,
        via,
        address,
        method,
        resource,
        code,
        message,
        request_id,
        ..Default::default()
    }
}

fn text(ctx: &RequestContext, name: &str) -> String {
    ctx.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn client<'a>(caller: Option<&'a Principal>, address: &'a str, user_agent: &'a str) -> Client<'a> {
    Client { address: caller.map_or(address, |caller| caller.address.as_str()), user_agent }
}

/// What a browser is told of a session: it keeps the secret where no script can read it.
fn with_cookie<B>(answer: Response<B>, ctx: &RequestContext, cookie: &str) -> Response<B> {
    // Whoever is no browser has the access token, and needs no second secret.
    let is_browser = ctx.headers().contains_key("sec-fetch-site") || ctx.headers().contains_key("origin");
    if !is_browser {
        return answer;
    }
    let text = format!("{COOKIE}={cookie}; Path=/; Secure; HttpOnly; SameSite=Strict");
    match http::HeaderValue::from_str(&text) {
        Ok(value) => answer.with_header("set-cookie", value),
        Err(_) => answer,
    }
}

fn without_cookie<B>(answer: Response<B>) -> Response<B> {
    let text = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    match http::HeaderValue::from_str(&text) {
        Ok(value) => answer.with_header("set-cookie", value),
        Err(_) => answer,
    }
}

fn signed_in(signed: &SignedIn) -> wire::LoginResponse {
    wire::LoginResponse {
        access_token: signed.access_token.clone(),
        access_token_expires_at: moment(signed.access_token_expires_at).into(),
        session: wire::Session { current: true, ..session(&signed.session, &signed.user.name, None) }.into(),
        user: user(&signed.user).into(),
        ..Default::default()
    }
}

/// Work that goes to its end whether or not its client waits.
async fn to_its_end<T: Send + 'static>(
    ctx: &RequestContext,
    work: impl Future<Output = Result<T, ServiceError>> + Send + 'static,
) -> Result<T, ConnectError> {
    use tracing::Instrument as _;
    match tokio::spawn(work.in_current_span()).await {
        Ok(done) => done.map_err(refused(ctx)),
        Err(lost) => Err(refused(ctx)(ServiceError::Internal(format!("the task of the request ended: {lost}")))),
    }
}

/// In the audit log: whoever has not shown who they are.
const NOBODY: &str = "(nobody)";

/// Whose name stands beside a sign-in: it is theirs only where the sign-in succeeded.
fn proven<'a, T>(name: &'a str, done: &Result<T, ConnectError>) -> &'a str {
    if done.is_ok() { name } else { NOBODY }
}

impl Auth {
    /// A line of the audit log for what was asked by `who` of `resource`.
    fn audit<T>(&self, ctx: &RequestContext, who: &str, resource: &str, done: &Result<T, ConnectError>) {
        super::calls::record(&self.0, ctx, who, resource, done);
    }

    async fn audited<T: Send + 'static>(
        &self,
        ctx: &RequestContext,
        resource: &str,
        work: impl Future<Output = Result<T, ServiceError>> + Send + 'static,
    ) -> Result<T, ConnectError> {
        let done = to_its_end(ctx, work).await;
        self.audit(ctx, NOBODY, resource, &done);
        done
    }
}

impl wire::AuthService for Auth {
    async fn get_sign_in(
        &self,
        _: RequestContext,
        _: ServiceRequest<'_, wire::GetSignInRequest>,
    ) -> ServiceResult<wire::GetSignInResponse> {
        Response::ok(wire::GetSignInResponse {
            set_up_needed: self.0.auth.set_up_needed(),
            demo: self.0.auth.is_demo(),
            ..Default::default()
        })
    }

    async fn set_up(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::SetUpRequest>,
    ) -> ServiceResult<wire::LoginResponse> {
        let request = request.to_owned_message();
        let (auth, address, agent) = (Arc::clone(&self.0.auth), access::address(&ctx), text(&ctx, "user-agent"));
        let name = request.name.clone();
        let work = async move {
            auth.set_up(&request.code, request.name, request.password, client(None, &address, &agent)).await
        };
        let done = to_its_end(&ctx, work).await;
        self.audit(&ctx, proven(&name, &done), &name, &done);
        let signed = done?;
        Ok(with_cookie(Response::new(signed_in(&signed)), &ctx, &signed.cookie))
    }

    async fn login(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::LoginRequest>,
    ) -> ServiceResult<wire::LoginResponse> {
        let request = request.to_owned_message();
        let (auth, address, agent) = (Arc::clone(&self.0.auth), access::address(&ctx), text(&ctx, "user-agent"));
        let name = request.name.clone();
        let work = async move { auth.login(&request.name, request.password, client(None, &address, &agent)).await };
        let done = to_its_end(&ctx, work).await;
        // A flood of guesses, which is refused unread, would push the rest out of the log.
        if !matches!(&done, Err(error) if error.code == connectrpc::ErrorCode::ResourceExhausted) {
            self.audit(&ctx, proven(&name, &done), &name, &done);
        }
        let signed = done?;
        Ok(with_cookie(Response::new(signed_in(&signed)), &ctx, &signed.cookie))
    }

    async fn logout(&self, ctx: RequestContext, _: ServiceRequest<'_, wire::LogoutRequest>) -> ServiceResult<Empty> {
        let caller = caller_of(&ctx)?.clone();
        let auth = Arc::clone(&self.0.auth);
        self.audited(&ctx, "", async move { auth.logout(&caller).await }).await?;
        Ok(without_cookie(Response::new(Empty::default())))
    }

    async fn refresh_token(
        &self,
        ctx: RequestContext,
        _: ServiceRequest<'_, wire::RefreshTokenRequest>,
    ) -> ServiceResult<wire::LoginResponse> {
        let caller = caller_of(&ctx)?;
        let (access_token, ends, found, owner) = self.0.auth.refresh(caller).map_err(refused(&ctx))?;
        Response::ok(wire::LoginResponse {
            access_token,
            access_token_expires_at: moment(ends).into(),
            session: session(&found, &owner.name, Some(caller)).into(),
            user: user(&owner).into(),
            ..Default::default()
        })
    }

    async fn who_am_i(
        &self,
        ctx: RequestContext,
        _: ServiceRequest<'_, wire::WhoAmIRequest>,
    ) -> ServiceResult<wire::WhoAmIResponse> {
        let caller = caller_of(&ctx)?;
        let kind = match (&caller.who, &caller.via) {
            (Who::LocalRoot, _) => wire::who_am_i_response::Kind::LOCAL_ROOT,
            (Who::Socket(_), _) => wire::who_am_i_response::Kind::SOCKET,
            (Who::Demo, _) => wire::who_am_i_response::Kind::DEMO,
            (Who::User { .. }, Via::ApiToken(_)) => wire::who_am_i_response::Kind::API_TOKEN,
            (Who::User { .. }, Via::Session(_) | Via::AccessToken(_) | Via::Connection) => {
                wire::who_am_i_response::Kind::USER
            }
        };
        let methods = access::methods().map(|(method, privilege)| {
            let role = match privilege.need() {
                Need::Nothing | Need::Identity => wire::Role::ROLE_UNSPECIFIED,
                Need::Role(role) => role_out(role),
            };
            wire::MethodAccess {
                method: method.to_owned(),
                role: role.into(),
                allowed: caller.may(privilege).is_ok(),
                ..Default::default()
            }
        });
        Response::ok(wire::WhoAmIResponse {
            kind: kind.into(),
            name: caller.name().to_owned(),
            user_id: caller.user_id().map(|id| id.to_string()).unwrap_or_default(),
            role: role_out(caller.role).into(),
            session_id: caller.session().map(|id| id.to_string()).unwrap_or_default(),
            methods: methods.collect(),
            quota: Some(caller.quota).filter(|quota| *quota != Quota::default()).map(quota_out).into(),
            host_paths: caller.may(crate::model::access::Privilege::HostPaths).is_ok(),
            ..Default::default()
        })
    }

    async fn change_password(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::ChangePasswordRequest>,
    ) -> ServiceResult<Empty> {
        let request = request.to_owned_message();
        let caller = caller_of(&ctx)?.clone();
        let auth = Arc::clone(&self.0.auth);
        let name = caller.name().to_owned();
        let work = async move { auth.change_password(&caller, request.old_password, request.new_password).await };
        self.audited(&ctx, &name, work).await?;
        Response::ok(Empty::default())
    }

    async fn create_user(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::CreateUserRequest>,
    ) -> ServiceResult<wire::User> {
        let request = request.to_owned_message();
        let auth = Arc::clone(&self.0.auth);
        let name = request.name.clone();
        let work = async move {
            let mut reader = Reader::default();
            let role = role_in(reader.known("role", request.role));
            if role.is_none() {
                reader.wrong("role", "is required: VIEWER, OPERATOR or ADMIN");
            }
            let role = reader.end(role)?.unwrap_or(Role::Viewer);
            let quota = request.quota.as_option().map(quota_in).unwrap_or_default();
            auth.user_create(NewUser { name: request.name, password: request.password, role, quota }).await
        };
        Response::ok(user(&self.audited(&ctx, &name, work).await?))
    }

    async fn get_user(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::GetUserRequest>,
    ) -> ServiceResult<wire::User> {
        Response::ok(user(&self.0.auth.user_get(request.id).map_err(refused(&ctx))?))
    }

    async fn list_users(
        &self,
        _: RequestContext,
        _: ServiceRequest<'_, wire::ListUsersRequest>,
    ) -> ServiceResult<wire::ListUsersResponse> {
        let users = self.0.auth.user_list().iter().map(user).collect();
        Response::ok(wire::ListUsersResponse { users, ..Default::default() })
    }

    async fn update_user(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::UpdateUserRequest>,
    ) -> ServiceResult<wire::User> {
        let request = request.to_owned_message();
        let auth = Arc::clone(&self.0.auth);
        let id = request.id.clone();
        let work = async move {
            let mut reader = Reader::default();
            let role = match request.role {
                None => None,
                Some(sent) => {
                    let role = role_in(reader.known("role", sent));
                    if role.is_none() {
                        reader.wrong("role", "must be VIEWER, OPERATOR or ADMIN");
                    }
                    role
                }
            };
            let change = UserChange {
                role,
                enabled: request.enabled,
                password: request.password,
                quota: request.quota.as_option().map(quota_in),
            };
            auth.user_update(&request.id, reader.end(change)?).await
        };
        Response::ok(user(&self.audited(&ctx, &id, work).await?))
    }

    async fn delete_user(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::DeleteUserRequest>,
    ) -> ServiceResult<Empty> {
        let id = request.id.to_owned();
        let (auth, of) = (Arc::clone(&self.0.auth), id.clone());
        self.audited(&ctx, &id, async move { auth.user_delete(&of).await }).await?;
        Response::ok(Empty::default())
    }

    async fn create_token(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::CreateTokenRequest>,
    ) -> ServiceResult<wire::CreateTokenResponse> {
        let request = request.to_owned_message();
        let caller = caller_of(&ctx)?.clone();
        let auth = Arc::clone(&self.0.auth);
        let name = request.name.clone();
        let work = async move {
            let mut reader = Reader::default();
            let role = role_in(reader.known("role", request.role));
            let role = reader.end(role)?;
            auth.token_create(&caller, request.name, role, request.days, &request.user_id).await
        };
        let (made, owner, secret) = self.audited(&ctx, &name, work).await?;
        Response::ok(wire::CreateTokenResponse {
            token: token(&made, &owner.name).into(),
            secret,
            ..Default::default()
        })
    }

    async fn list_tokens(
        &self,
        ctx: RequestContext,
        _: ServiceRequest<'_, wire::ListTokensRequest>,
    ) -> ServiceResult<wire::ListTokensResponse> {
        let found = self.0.auth.token_list(caller_of(&ctx)?);
        let tokens = found.iter().map(|(record, owner)| token(record, owner)).collect();
        Response::ok(wire::ListTokensResponse { tokens, ..Default::default() })
    }

    async fn revoke_token(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::RevokeTokenRequest>,
    ) -> ServiceResult<Empty> {
        let (id, caller) = (request.id.to_owned(), caller_of(&ctx)?.clone());
        let (auth, of) = (Arc::clone(&self.0.auth), id.clone());
        self.audited(&ctx, &id, async move { auth.token_revoke(&caller, &of).await }).await?;
        Response::ok(Empty::default())
    }

    async fn list_sessions(
        &self,
        ctx: RequestContext,
        _: ServiceRequest<'_, wire::ListSessionsRequest>,
    ) -> ServiceResult<wire::ListSessionsResponse> {
        let caller = caller_of(&ctx)?;
        let found = self.0.auth.session_list(caller);
        let sessions = found.iter().map(|(record, owner)| session(record, owner, Some(caller))).collect();
        Response::ok(wire::ListSessionsResponse { sessions, ..Default::default() })
    }

    async fn revoke_session(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::RevokeSessionRequest>,
    ) -> ServiceResult<Empty> {
        let (id, caller) = (request.id.to_owned(), caller_of(&ctx)?.clone());
        let (auth, of) = (Arc::clone(&self.0.auth), id.clone());
        self.audited(&ctx, &id, async move { auth.session_revoke(&caller, &of).await }).await?;
        Response::ok(Empty::default())
    }

    async fn create_set_up_code(
        &self,
        ctx: RequestContext,
        _: ServiceRequest<'_, wire::CreateSetUpCodeRequest>,
    ) -> ServiceResult<wire::CreateSetUpCodeResponse> {
        let done = self.0.auth.set_up_code().map_err(refused(&ctx));
        self.audit(&ctx, "", "", &done);
        let made = done?;
        Response::ok(wire::CreateSetUpCodeResponse {
            code: made.code,
            expires_at: moment(made.expires_at).into(),
            ..Default::default()
        })
    }

    async fn list_audit_entries(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::ListAuditEntriesRequest>,
    ) -> ServiceResult<wire::ListAuditEntriesResponse> {
        let request = request.to_owned_message();
        let filter = filter(&request.user, &request.method, &request.resource, request.since.as_option());
        let mark = paging::fingerprint(&filter);
        let read = async {
            let size = paging::size(request.page_size)?;
            let before = paging::read_token(&request.page_token, &mark)?
                .map(|key| key.parse::<u64>().map_err(|_| paging::bad_token()))
                .transpose()?;
            let found = self.0.auth.audit.before(filter, before, size + 1).await?;
            Ok((size, found))
        };
        let (size, mut found) = read.await.map_err(refused(&ctx))?;
        let more = found.len() > size;
        found.truncate(size);
        let next = found.last().filter(|_| more).map(|(sequence, _)| sequence.to_string());
        Response::ok(wire::ListAuditEntriesResponse {
            next_page_token: next.map(|key| paging::write_token(&key, &mark)).unwrap_or_default(),
            entries: found.into_iter().map(entry).collect(),
            ..Default::default()
        })
    }

    async fn export_audit_entries(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, wire::ExportAuditEntriesRequest>,
    ) -> ServiceResult<ServiceStream<impl Encodable<wire::AuditEntry> + Send + use<>>> {
        let request = request.to_owned_message();
        let filter = filter(&request.user, &request.method, &request.resource, request.since.as_option());
        let (audit, id) = (self.0.auth.audit.clone(), request_id(&ctx).to_owned());
        // A page at a time, as the reader takes them.
        let pages = futures::stream::try_unfold(0, move |after| {
            let (audit, filter, id) = (audit.clone(), filter.clone(), id.clone());
            async move {
                let page = audit
                    .after(filter, after, EXPORT_AT_ONCE)
                    .await
                    .map_err(|error| super::error::connect(&error, &id))?;
                let last = page.last().map(|(sequence, _)| *sequence);
                Ok::<_, ConnectError>(last.map(|last| (page, last)))
            }
        });
        use futures::{StreamExt as _, TryStreamExt as _};
        let lines =
            pages.map_ok(|page| futures::stream::iter(page.into_iter().map(|line| Ok(entry(line))))).try_flatten();
        Response::stream_ok(lines.boxed())
    }
}

fn filter(
    user: &str,
    method: &str,
    resource: &str,
    since: Option<&buffa_types::google::protobuf::Timestamp>,
) -> AuditFilter {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    AuditFilter {
        user: some(user),
        method: some(method),
        resource: some(resource),
        since: since.map(|at| Moment(at.seconds.saturating_mul(1_000_000).saturating_add(i64::from(at.nanos) / 1000))),
    }
}
