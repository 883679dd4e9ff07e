//! Who is asking: an API key, an access token, or for event streams a ticket. Runs before a route that is
//! not open sees anything of the request; deny by default.

use super::{Problem, router::Api};
use crate::{
    app::App,
    identity::{Identity, Refused, Scope, Scopes, TOKEN_BYTES_MAX},
};
use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderMap, Method, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use mecapy_model::TenantId;
use mecapy_store::{Access, Actor, ApiKey, Role, Store, Ticket, TicketHolder, Viewer};
use std::{sync::Arc, time::Duration};
use time::OffsetDateTime;
use uuid::Uuid;

/// The longest name or subject in the audit log, in characters.
const ACTOR_CHARS_MAX: usize = 200;
/// The longest `X-Request-Id` that is kept, bytes.
const REQUEST_ID_BYTES_MAX: usize = 128;
/// What the secrets of API keys start with.
const API_KEY_START: &str = "mecapy_";
/// Where a ticket in the URL stands for the header that browsers can't send.
const STREAMS: [&str; 4] =
    ["/v1/events", "/v1/tasks/{id}/events", "/v1/batches/{id}/events", "/v1/workflow-runs/{id}/events"];
/// How long a ticket is good.
const TICKET_FOR: Duration = Duration::from_secs(60);

/// An authenticated caller.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    principal: Principal,
    tenant: TenantId,
    scopes: Scopes,
    /// What the client calls its request.
    request_id: Option<Arc<str>>,
}

/// What a caller showed.
#[derive(Debug, Clone)]
pub(super) enum Principal {
    ApiKey(Arc<ApiKey>),
    AccessToken(Arc<Identity>),
}

/// Who has an event stream open: a caller, or who holds the ticket of one. It may read and nothing else.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) tenant: TenantId,
    holder: TicketHolder,
    /// When the credential ends; `None`: never.
    until: Option<OffsetDateTime>,
}

impl Reader {
    /// Whom streams are counted for.
    pub(super) fn id(&self) -> Uuid {
        self.holder.id()
    }

    /// Whether the credential is good at this moment, as far as this process knows.
    pub(super) fn is_good(&self, store: &Store) -> bool {
        match self.holder {
            TicketHolder::ApiKey(key) => store.key_in_force(self.tenant, key).is_some(),
            // What an issuer withdraws nobody tells us: a token is good until it ends.
            TicketHolder::Identity(_) => {
                let is_over = self.until.is_some_and(|until| until <= store.clock().now());
                !is_over && !store.is_disabled(self.tenant)
            }
        }
    }

    fn of_ticket(ticket: Ticket) -> Self {
        Self { tenant: ticket.tenant, holder: ticket.holder, until: ticket.holder_until }
    }
}

impl Caller {
    fn of_key(key: Arc<ApiKey>) -> Self {
        Self { tenant: key.tenant, scopes: key.scopes(), principal: Principal::ApiKey(key), request_id: None }
    }

    fn of_token(identity: Arc<Identity>, tenant: TenantId) -> Self {
        let scopes = Scopes::of(identity.role);
        Self { tenant, scopes, principal: Principal::AccessToken(identity), request_id: None }
    }

    /// The caller as one who reads streams.
    pub(super) fn reader(&self) -> Reader {
        let holder = match &self.principal {
            Principal::ApiKey(key) => TicketHolder::ApiKey(key.id),
            Principal::AccessToken(identity) => TicketHolder::Identity(identity.id),
        };
        Reader { tenant: self.tenant, holder, until: self.expires_at() }
    }

    /// What lets a browser open an event stream as this caller.
    pub(super) fn ticket(&self, now: OffsetDateTime) -> Ticket {
        let Reader { tenant, holder, until } = self.reader();
        let expires_at = now + TICKET_FOR;
        Ticket { tenant, holder, expires_at: until.map_or(expires_at, |at| at.min(expires_at)), holder_until: until }
    }

    pub(super) fn principal(&self) -> &Principal {
        &self.principal
    }

    pub(super) fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// As who looks for packages and changes them.
    pub(super) fn viewer(&self) -> Viewer {
        Viewer { tenant: self.tenant, principal: self.id(), is_admin: self.scopes.has(Scope::Admin) }
    }

    pub(super) fn role(&self) -> Role {
        match &self.principal {
            Principal::ApiKey(key) => key.role,
            Principal::AccessToken(identity) => identity.role,
        }
    }

    /// Whom rates and streams are counted for: the key, or the person or machine that the token is of.
    pub(super) fn id(&self) -> Uuid {
        match &self.principal {
            Principal::ApiKey(key) => key.id.0,
            Principal::AccessToken(identity) => identity.id,
        }
    }

    /// For people.
    pub(super) fn name(&self) -> &str {
        match &self.principal {
            Principal::ApiKey(key) => &key.name,
            Principal::AccessToken(identity) => &identity.name,
        }
    }

    pub(super) fn expires_at(&self) -> Option<OffsetDateTime> {
        match &self.principal {
            Principal::ApiKey(key) => key.expires_at,
            Principal::AccessToken(identity) => Some(identity.expires_at),
        }
    }

    pub(super) fn scopes(&self) -> Scopes {
        self.scopes
    }

    /// Whom the audit log names.
    fn actor(&self) -> Actor {
        let short = |text: &str| text.chars().take(ACTOR_CHARS_MAX).collect::<String>();
        let principal = match &self.principal {
            Principal::ApiKey(key) => format!("api_key:{}", key.id),
            Principal::AccessToken(identity) => format!("access_token:{}", short(&identity.subject)),
        };
        Actor { principal, name: short(self.name()), request_id: self.request_id.as_deref().map(str::to_owned) }
    }

    /// Who that is, where a decision of a person is kept: the name, and what the credential is of.
    pub(super) fn signature(&self) -> String {
        let Actor { principal, name, .. } = self.actor();
        format!("{name} ({principal})")
    }

    /// 403 unless the caller may do that.
    pub(super) fn must(&self, scope: Scope) -> Result<(), Problem> {
        if self.scopes.has(scope) {
            return Ok(());
        }
        Err(Problem::forbidden(match scope {
            Scope::Read => "the scope read is needed for this",
            Scope::Compute => "you may only read: the scope compute is needed for this (roles engineer, author, admin)",
            Scope::Publish => "the scope publish is needed for this (roles author, admin)",
            Scope::Admin => "the scope admin is needed for this (role admin)",
        }))
    }

    /// 403 unless the caller is one of the platform's operators.
    pub(super) fn must_operate(&self, store: &Store) -> Result<(), Problem> {
        self.must(Scope::Admin)?;
        if store.is_operator(self.tenant) {
            return Ok(());
        }
        Err(Problem::forbidden("only the platform's operators may do this: administrators of the tenant `default`"))
    }

    /// 403 unless the caller administers its tenant.
    pub(super) fn must_administer(&self) -> Result<(), Problem> {
        self.must(Scope::Admin)
    }
}

impl Api {
    /// The store, whose changes stand in the audit log in the caller's name.
    pub(super) fn store_for(&self, caller: &Caller) -> Store {
        self.app.store.acting_for(caller.actor())
    }
}

/// Lets a request with good credentials through, as often as its rate allows and to what its scopes allow.
pub(super) async fn authenticate(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    let needed = needed(request.method(), route);
    let ticket = ticket(request.uri()).filter(|_| request.method() == Method::GET && STREAMS.contains(&route));
    let admitted = match ticket.filter(|_| !request.headers().contains_key(header::AUTHORIZATION)) {
        // There is no caller then: of all routes those alone that read streams do without.
        Some(ticket) => of_ticket(&api, ticket).map(|reader| {
            request.extensions_mut().insert(reader);
        }),
        None => admit(&api, request.headers(), needed).await.map(|caller| {
            request.extensions_mut().insert(caller.reader());
            request.extensions_mut().insert(caller);
        }),
    };
    match admitted {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn admit(api: &Api, headers: &HeaderMap, needed: Scope) -> Result<Caller, Problem> {
    let caller = identify(&api.app, headers).await?;
    count(api, caller.id(), caller.tenant)?;
    caller.must(needed)?;
    Ok(Caller { request_id: request_id(headers), ..caller })
}

/// 429 where more is asked than may be.
fn count(api: &Api, id: Uuid, tenant: TenantId) -> Result<(), Problem> {
    let now = api.app.store.clock().monotonic();
    if let Err(wait) = api.rates.count(id, api.app.limits.requests_per_second_max, now) {
        return Err(Problem::too_many("you ask more often than you may", wait));
    }
    if let Some(max) = api.app.store.quota(tenant).requests_per_second_max
        && let Err(wait) = api.rates.count(tenant.0, max, now)
    {
        let detail = format!("the tenant's quota requests_per_second_max is {max}, and more were sent");
        return Err(Problem::too_many(detail, wait));
    }
    Ok(())
}

/// What the client calls its request, where that can be kept.
fn request_id(headers: &HeaderMap) -> Option<Arc<str>> {
    let text = headers.get("x-request-id")?.to_str().ok()?;
    (1..=REQUEST_ID_BYTES_MAX).contains(&text.len()).then(|| text.into())
}

/// The scope that a request needs. A route that nobody thought of needs one too.
fn needed(method: &Method, route: &str) -> Scope {
    match route {
        "/packages/from-zip" => return Scope::Publish,
        // It changes nothing.
        "/types/check-connection" => return Scope::Read,
        _ => {}
    }
    let noun = route.strip_prefix("/v1/").and_then(|rest| rest.split('/').next());
    match noun {
        Some("api-keys" | "tenants" | "audit" | "webhooks") => Scope::Admin,
        // It lets nobody do more than read.
        Some("tickets") => Scope::Read,
        _ if method.is_safe() => Scope::Read,
        Some("packages") => Scope::Publish,
        _ => Scope::Compute,
    }
}

/// A ticket is as good as the credential of its holder is at this moment.
fn of_ticket(api: &Api, text: &str) -> Result<Reader, Problem> {
    let store = &api.app.store;
    let ticket = store.signer().read_ticket(text, store.clock().now()).map_err(|_| Problem::unauthorized())?;
    let reader = Reader::of_ticket(ticket);
    if !reader.is_good(store) {
        return Err(Problem::unauthorized());
    }
    count(api, reader.id(), reader.tenant)?;
    Ok(reader)
}

/// The ticket in a URL; it is made of letters that nobody has to encode.
fn ticket(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|field| field.strip_prefix("ticket="))
}

async fn identify(app: &App, headers: &HeaderMap) -> Result<Caller, Problem> {
    let credential = bearer(headers).ok_or_else(Problem::unauthorized)?;
    if credential.starts_with(API_KEY_START) {
        return app.store.authenticate(credential).map(Caller::of_key).ok_or_else(Problem::unauthorized);
    }
    let verifier = app.identity().filter(|_| credential.bytes().filter(|byte| *byte == b'.').count() == 2);
    let identity = verifier.ok_or_else(Problem::unauthorized)?.verify(credential).await?;
    match app.tenant_names.find(&app.store, &identity.tenant).await? {
        Some((tenant, Access::Enabled)) => Ok(Caller::of_token(identity, tenant)),
        Some((_, Access::Disabled)) => Err(Problem::forbidden("this tenant is disabled: ask the platform's operators")),
        None => Err(Problem::forbidden(
            "the tenant that your token names is not known to this server: an administrator must create it first",
        )),
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unauthorized => Problem::unauthorized(),
            Refused::NoRole => Problem::forbidden(
                "your token gives you no role here: ask for one of admin, author, engineer and viewer",
            ),
            Refused::NoTenant => Problem::forbidden("your token names no tenant: ask who runs the identity provider"),
            Refused::Unavailable { retry_after } => Problem::not_ready(
                "access tokens can't be checked just now, because the identity provider does not answer",
                retry_after,
            ),
        }
    }
}

/// The bearer token, where there is one `Authorization` header and it holds one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return None };
    let (scheme, credential) = only.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && credential.len() <= TOKEN_BYTES_MAX).then(|| credential.trim())
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Caller>().cloned().ok_or_else(Problem::unauthorized)
    }
}

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Reader>().cloned().ok_or_else(Problem::unauthorized)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_well_formed_header_counts() {
        let long = format!("Bearer {}", "a".repeat(TOKEN_BYTES_MAX + 1));
        let rows: [(&[&str], Option<&str>); 8] = [
            (&["Bearer abc"], Some("abc")),
            (&["bearer  abc "], Some("abc")),
            (&[], None),
            (&["Basic abc"], None),
            (&["Bearer"], None),
            (&["Bearer abc", "Bearer abc"], None),
            (&["Bearer \u{e9}"], None),
            (&[&long], None),
        ];
        for (values, expected) in rows {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            assert_eq!(bearer(&headers), expected, "{values:?}");
        }
    }

    #[test]
    fn every_route_needs_a_scope() {
        let rows = [
            (Method::GET, "/v1/tasks", Scope::Read),
            (Method::HEAD, "/v1/tasks/{id}/result", Scope::Read),
            (Method::POST, "/v1/tasks", Scope::Compute),
            (Method::DELETE, "/v1/modules/{module}", Scope::Compute),
            (Method::GET, "/v1/packages", Scope::Read),
            (Method::POST, "/v1/packages/{*rest}", Scope::Publish),
            (Method::GET, "/v1/api-keys/{id}", Scope::Admin),
            (Method::GET, "/v1/audit", Scope::Admin),
            (Method::GET, "/v1/webhooks", Scope::Admin),
            (Method::POST, "/v1/webhooks/{id}/test", Scope::Admin),
            (Method::POST, "/v1/tickets", Scope::Read),
            (Method::GET, "/v1/events", Scope::Read),
            (Method::PUT, "/v1/tenants/{id}/quota", Scope::Admin),
            (Method::GET, "/v1/api-keys-of-mine", Scope::Read),
            (Method::PATCH, "/v1/nobody-thought-of", Scope::Compute),
            (Method::POST, "", Scope::Compute),
            (Method::GET, "/registry/lookup/package", Scope::Read),
            (Method::GET, "/jobs/{id}/result", Scope::Read),
            (Method::GET, "/packages", Scope::Read),
            (Method::POST, "/packages/from-zip", Scope::Publish),
            (Method::POST, "/packages/{package_id}/functions/{function}/execute", Scope::Compute),
            (Method::POST, "/upload/archive", Scope::Compute),
            (Method::POST, "/types/check-connection", Scope::Read),
            (Method::GET, "/v1/workflows", Scope::Read),
            (Method::GET, "/v1/workflow-runs/{id}/events", Scope::Read),
            (Method::POST, "/v1/workflows", Scope::Compute),
            (Method::POST, "/v1/workflow-runs/{id}/nodes/{key}/approve", Scope::Compute),
            (Method::DELETE, "/v1/cache", Scope::Compute),
            (Method::GET, "/v1/studies/{id}/table", Scope::Read),
            (Method::PATCH, "/v1/studies/{id}", Scope::Compute),
            (Method::GET, "/v1/schedules/{id}/firings", Scope::Read),
            (Method::POST, "/v1/schedules/{id}/run", Scope::Compute),
        ];
        for (method, route, scope) in rows {
            assert_eq!(needed(&method, route), scope, "{method} {route}");
        }
    }
}
