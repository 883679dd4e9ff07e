//! The one error envelope (RFC 9457) and the one place that maps errors to it.
//!
//! Nothing internal leaks: what we failed at is logged with a reference, and the caller is told the reference.

use crate::{functions::Unpublished, intake, json::Malformed};
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mecapy_model::Fault;
use mecapy_runtime::{
    Refused,
    module::{self, ModuleError},
};
use mecapy_store::{
    ApiKeyError, ListError, OverQuota, PublishError, SignatureError, StoreError, SubmitError, TenantError, UploadError,
    WebhookError,
};
use serde::Serialize;
use std::{borrow::Cow, collections::BTreeSet, time::Duration};
use utoipa::ToSchema;

/// What a caller is told when the platform itself can't answer just now.
const RETRY_AFTER_STORE: Duration = Duration::from_secs(2);
/// What a caller is told when its tenant has too many tasks queued.
const RETRY_AFTER_QUEUE: Duration = Duration::from_secs(5);

/// An answer that is not a success.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    detail: Cow<'static, str>,
    errors: Vec<Fault>,
    retry_after: Option<Duration>,
}

/// RFC 9457 problem details, with a JSON pointer for each fault.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "urn:mecapy:problem:invalid", "title": "The request is invalid", "status": 422,
    "detail": "/limits/timeout_ms: a whole number from 1 to 5000 is needed here",
    "errors": [{"pointer": "/limits/timeout_ms", "code": "out_of_range", "message": "a whole number from 1 to 5000 is needed here"}]
}))]
pub(super) struct ProblemBody {
    /// A name for this kind of problem, the same in every answer of its kind.
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    /// The HTTP status again.
    status: u16,
    /// What went wrong this time, for people.
    detail: String,
    /// Each fault in the request, with where it is.
    errors: Vec<Fault>,
}

impl Problem {
    fn new(status: StatusCode, slug: &'static str, title: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, slug, title, detail: detail.into(), errors: Vec::new(), retry_after: None }
    }

    /// 400: not something that could be understood.
    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", "The request is malformed", detail)
    }

    /// 401: the same body whatever was wrong with the credentials.
    pub fn unauthorized() -> Self {
        let detail = "send a valid API key or access token as `Authorization: Bearer …`";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Credentials are needed", detail)
    }

    /// 403: known, but not allowed.
    pub fn forbidden(detail: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "This is not allowed", detail)
    }

    /// 404: absent, or another tenant's, which is the same.
    pub fn not_found(what: &'static str) -> Self {
        Self::absent(format!("there is no such {what}"))
    }

    /// The same, said in words that tell the caller of nothing it may not see.
    pub fn absent(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
    }

    /// The same, with what is known of it.
    pub fn missing(detail: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
    }

    pub fn method_not_allowed() -> Self {
        let detail = "this path does not answer that method: see /docs for those that it does";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not allowed", detail)
    }

    /// 408: the body did not arrive in time.
    pub fn too_slow() -> Self {
        let detail = "the request body did not arrive in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "too-slow", "The request was too slow", detail)
    }

    /// 409: at odds with the state of things, or not finished yet.
    pub fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "This can't be done now", detail)
    }

    pub fn too_large(bytes_max: u64) -> Self {
        Self::over_limit(format!("the body may have {bytes_max} bytes at most"))
    }

    pub fn form_too_large(bytes_max: u64) -> Self {
        Self::over_limit(format!("a form may have {bytes_max} bytes before its file, and as many after it"))
    }

    fn over_limit(detail: String) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", detail)
    }

    pub fn unsupported_media(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "The media type is not supported",
            detail,
        )
    }

    /// 422: understood, but invalid; one fault at least.
    pub fn invalid(errors: Vec<Fault>) -> Self {
        let detail = match errors.as_slice() {
            [only] if only.pointer.is_empty() => only.message.clone(),
            [only] => format!("{}: {}", only.pointer, only.message),
            [first, ..] => {
                let (count, Fault { pointer, message, .. }) = (errors.len(), first);
                format!("there are {count} faults in the request; the first, at {pointer:?}: {message}")
            }
            [] => "the request has a fault".to_owned(),
        };
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "The request is invalid", detail);
        Self { errors, ..problem }
    }

    /// 422 with one fault.
    pub fn fault(pointer: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self::invalid(vec![Fault::new(pointer, code, message)])
    }

    /// The same where a request stands for another one: `place` says where its own fields are, by the other's pointers.
    #[must_use]
    pub fn relocated(self, place: impl Fn(&str) -> String) -> Self {
        // What has faults is invalid and no more: the first of them stands in the detail too.
        if self.errors.is_empty() {
            return self;
        }
        let faults = self.errors.into_iter();
        Self::invalid(faults.map(|fault| Fault { pointer: place(&fault.pointer), ..fault }).collect())
    }

    /// 422: planned, named in the contract, and not built yet.
    pub fn not_available(pointer: &str) -> Self {
        Self::fault(pointer, "not_available", "this is not available yet")
    }

    pub fn too_many(detail: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many", "Too much at once", detail);
        Self { retry_after: Some(retry_after), ..problem }
    }

    pub fn not_ready(detail: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "The platform is not ready", detail);
        Self { retry_after: Some(retry_after), ..problem }
    }

    /// 503: whoever comes back in a moment meets the next server.
    fn shutting_down() -> Self {
        Self::not_ready("the server is shutting down: try again in a moment", RETRY_AFTER_STORE)
    }

    /// 500: ours. `error` goes to the log under a reference that the caller is given.
    pub fn internal(error: &dyn std::fmt::Debug) -> Self {
        let mut random = [0_u8; 6];
        let reference = match getrandom::fill(&mut random) {
            Ok(()) => random.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}")),
            Err(_) => "unknown".to_owned(),
        };
        tracing::error!(error.reference = %reference, error = ?error, "request failed");
        let detail = format!("the platform failed; the reference for its operators is {reference}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The platform failed", detail)
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    #[cfg(test)]
    pub(crate) fn errors(&self) -> &[Fault] {
        &self.errors
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: format!("urn:mecapy:problem:{}", self.slug),
            title: self.title,
            status: self.status.as_u16(),
            detail: self.detail.into_owned(),
            errors: self.errors,
        };
        let mut response = Response::new(Body::from(serde_json::to_vec(&body).unwrap_or_default()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"mecapy\""));
        }
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs_f64().ceil().max(1.0) as u64));
        }
        response
    }
}

impl From<Malformed> for Problem {
    fn from(malformed: Malformed) -> Self {
        Problem::malformed(malformed.to_string())
    }
}

impl From<intake::Rejected> for Problem {
    fn from(rejected: intake::Rejected) -> Self {
        match rejected {
            intake::Rejected::Malformed(malformed) => malformed.into(),
            intake::Rejected::Invalid(faults) => Problem::invalid(faults),
            intake::Rejected::NotReady { detail, retry_after } => Problem::not_ready(detail, retry_after),
            intake::Rejected::Busy { detail, retry_after } => Problem::too_many(detail, retry_after),
            intake::Rejected::NotQueued(error) => error.into(),
            intake::Rejected::Store(error) => error.into(),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::LaneFull { retry_after } => {
                Problem::too_many("the lane is full: try again in a moment", retry_after)
            }
            Refused::TenantFull { retry_after } => Problem::too_many(
                "you have as many previews under way as one tenant may: wait for one to end",
                retry_after,
            ),
            Refused::ShuttingDown => Problem::shutting_down(),
        }
    }
}

/// A module that can't be accepted.
impl From<module::Refused> for Problem {
    fn from(refused: module::Refused) -> Self {
        if refused.is_other_media_type() {
            return Problem::unsupported_media(refused.to_string());
        }
        Problem::fault("", refused.code(), refused.to_string())
    }
}

impl From<ModuleError> for Problem {
    fn from(error: ModuleError) -> Self {
        match error {
            ModuleError::Refused(refused) => refused.into(),
            ModuleError::Busy => {
                Problem::too_many("other modules are being compiled: try again in a moment", RETRY_AFTER_QUEUE)
            }
            error => Problem::internal(&error),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Closed => return Problem::shutting_down(),
            StoreError::OverQuota(over) => return over.into(),
            _ => {}
        }
        if error.is_retryable() {
            tracing::warn!(error = ?error, "store not available");
            return Problem::not_ready("the platform's storage is not available just now", RETRY_AFTER_STORE);
        }
        Problem::internal(&error)
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::IdempotencyMismatch => {
                let message = "this Idempotency-Key was used for another request: use a new key for a new request";
                Problem::fault("", "idempotency_mismatch", message)
            }
            SubmitError::QueueFull { queued_max } => Problem::too_many(
                format!(
                    "the tenant's quota queued_max is {queued_max}, and as many are queued: wait until some have run"
                ),
                RETRY_AFTER_QUEUE,
            ),
            SubmitError::OverFuel(over) => over.into(),
            SubmitError::TenantDisabled => Problem::forbidden("this tenant is disabled: ask the platform's operators"),
            SubmitError::UnknownUpload { file } => intake::unknown_upload(&file, &BTreeSet::new()).into(),
            SubmitError::Store(error) => error.into(),
        }
    }
}

/// A package that is not published.
impl From<Unpublished> for Problem {
    fn from(unpublished: Unpublished) -> Self {
        match unpublished {
            Unpublished::Archive(refused) => Problem::fault("", refused.code, refused.message),
            Unpublished::Invalid(faults) => Problem::invalid(faults),
            Unpublished::Refused(PublishError::VersionExists { digest }) => Problem::conflict(format!(
                "this version is published already, with the files of digest {digest}, and never changes: raise the version"
            )),
            Unpublished::Refused(PublishError::OwnerTaken) => {
                Problem::fault("/owner", "owner_taken", "the owner's name belongs to another tenant: choose another")
            }
            Unpublished::Refused(error @ PublishError::TooManyVersions { .. }) => Problem::conflict(error.to_string()),
            Unpublished::Refused(PublishError::NotMaintainer) => Problem::forbidden(
                "only the package's maintainers and its tenant's administrators may publish a version of it",
            ),
            Unpublished::Refused(PublishError::Store(error)) | Unpublished::Store(error) => error.into(),
            Unpublished::Failed(error) => Problem::internal(&*error),
        }
    }
}

/// Which quota, how much is used of it and what it is.
impl From<OverQuota> for Problem {
    fn from(over: OverQuota) -> Self {
        Problem::too_many(over.to_string(), over.retry_after)
    }
}

impl From<TenantError> for Problem {
    fn from(error: TenantError) -> Self {
        match error {
            TenantError::NameTaken => Problem::conflict("a tenant has this name already"),
            TenantError::Store(error) => error.into(),
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Problem::invalid(vec![fault])
    }
}

impl From<ListError> for Problem {
    fn from(error: ListError) -> Self {
        match error {
            ListError::BadCursor => {
                Problem::malformed("the cursor is not one that this list gave for the same filters: start without one")
            }
            ListError::BadLimit { max } => {
                Problem::fault("/limit", "out_of_range", format!("a whole number from 1 to {max} is needed here"))
            }
            ListError::Store(error) => error.into(),
        }
    }
}

impl From<UploadError> for Problem {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Missing => Problem::not_found("upload"),
            UploadError::NotReceived => Problem::conflict("the file has not arrived yet: PUT it to the URL first"),
            UploadError::AlreadyReceived => Problem::conflict("the file has arrived already: ask for a new upload"),
            UploadError::TooLarge { bytes_max } => Problem::too_large(bytes_max),
            UploadError::Store(error) => error.into(),
        }
    }
}

impl From<ApiKeyError> for Problem {
    fn from(error: ApiKeyError) -> Self {
        match error {
            ApiKeyError::TooMany { max } => Problem::conflict(format!(
                "the tenant has {max} API keys that are good, and may have no more: revoke one"
            )),
            ApiKeyError::UnknownTenant => Problem::not_found("tenant"),
            ApiKeyError::Store(error) => error.into(),
        }
    }
}

impl From<WebhookError> for Problem {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::TooMany { max } => {
                Problem::conflict(format!("the tenant has {max} webhooks, and may have no more: delete one"))
            }
            WebhookError::Store(error) => error.into(),
        }
    }
}

/// A signed URL that doesn't hold says no more than that.
impl From<SignatureError> for Problem {
    fn from(_: SignatureError) -> Self {
        Problem::forbidden("this signed URL is not valid, or has expired: ask for a new one")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    async fn shown(problem: Problem) -> (Response<()>, serde_json::Value) {
        let (parts, body) = problem.into_response().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (Response::from_parts(parts, ()), serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn the_envelope_has_every_part_of_the_contract() {
        let (response, body) =
            shown(Problem::fault("/inputs", "wrong_type", "an object is needed here, not null")).await;
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let expected = serde_json::json!({
            "type": "urn:mecapy:problem:invalid", "title": "The request is invalid", "status": 422,
            "detail": "/inputs: an object is needed here, not null",
            "errors": [{"pointer": "/inputs", "code": "wrong_type", "message": "an object is needed here, not null"}],
        });
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn several_faults_are_counted_and_the_first_is_told() {
        let faults = ["/a", "/b"].map(|pointer| Fault::new(pointer, "required", "is needed"));
        let (_, body) = shown(Problem::invalid(faults.to_vec())).await;
        assert_eq!(body["detail"], "there are 2 faults in the request; the first, at \"/a\": is needed");
        assert_eq!(body["errors"].as_array().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn what_must_be_retried_says_when_in_whole_seconds() {
        for (wait, shown_as) in [(Duration::from_millis(20), "1"), (Duration::from_millis(1500), "2")] {
            let (response, _) = shown(Refused::LaneFull { retry_after: wait }.into()).await;
            assert_eq!(
                (response.status().as_u16(), &response.headers()["retry-after"]),
                (429, &HeaderValue::from_static(shown_as))
            );
        }
    }

    #[tokio::test]
    async fn a_closed_store_is_no_fault_of_the_platform() {
        let (response, body) = shown(StoreError::Closed.into()).await;
        assert_eq!((response.status().as_u16(), body["type"].as_str()), (503, Some("urn:mecapy:problem:not-ready")));
        assert!(response.headers().contains_key("retry-after"));
    }

    #[tokio::test]
    async fn too_many_keys_are_a_conflict() {
        let (response, body) = shown(ApiKeyError::TooMany { max: 1000 }.into()).await;
        assert_eq!(response.status(), 409);
        assert!(body["detail"].as_str().unwrap().contains("1000"), "{body}");
    }

    #[tokio::test]
    async fn an_internal_error_is_told_by_reference_only() {
        let (response, body) = shown(Problem::internal(&"secret path /var/lib")).await;
        assert_eq!(response.status(), 500);
        assert!(!body.to_string().contains("secret"), "{body}");
    }

    #[tokio::test]
    async fn bad_credentials_name_the_scheme() {
        let (response, _) = shown(Problem::unauthorized()).await;
        assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"mecapy\"");
    }
}
