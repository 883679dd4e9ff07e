//! What went wrong at an object store, in words that name no key, no signature and no URL with one.

use crate::StoreError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;

/// Makes errors that say where the store is.
#[derive(Debug)]
pub(super) struct Faults {
    place: String,
}

impl Faults {
    pub(super) fn at(place: String) -> Self {
        Self { place }
    }

    /// Turns what a request met into an error of ours.
    pub(super) fn of<E>(&self, doing: impl Into<String>) -> impl FnOnce(SdkError<E>) -> StoreError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let doing = doing.into();
        move |error| match &error {
            SdkError::ConstructionFailure(_) => self.refused(doing, "the request can't be made"),
            SdkError::TimeoutError(_) => self.unavailable(doing, "no answer in time"),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => self.unavailable(doing, "no answer in time"),
            SdkError::DispatchFailure(_) => {
                let why = io_cause(&error).unwrap_or_else(|| "the connection failed".to_owned());
                self.unavailable(doing, &why)
            }
            SdkError::ResponseError(_) => self.unavailable(doing, "the answer can't be read"),
            error => self.coded(doing, error.code(), error.raw_response().map(|answer| answer.status().as_u16())),
        }
    }

    /// An error answer, by the store's code and HTTP status. Its message is left out: what it says is not ours to trust.
    pub(super) fn coded(&self, doing: impl Into<String>, code: Option<&str>, status: Option<u16>) -> StoreError {
        let plain = |code: &&str| code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let code = code.filter(plain);
        let advice = match (code, status) {
            (Some("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken"), _) => {
                ": check the access key id, the secret access key and the region"
            }
            (Some("ExpiredToken" | "RequestExpired"), _) => ": the credentials have expired",
            (Some("RequestTimeTooSkewed"), _) => ": this machine's clock is wrong, or the store's",
            (Some("NoSuchBucket"), _) => ": make the bucket first",
            (Some("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException"), _) => {
                ": check the region and the endpoint"
            }
            (Some("BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch"), _) => {
                ": the bytes changed on their way"
            }
            (Some("AccessDenied" | "AllAccessDisabled"), _) | (_, Some(401 | 403)) => {
                ": check the credentials and what they allow"
            }
            _ => "",
        };
        let said = match (code, status) {
            (Some(code), _) => code.to_owned(),
            (None, Some(status)) => format!("status {status}"),
            (None, None) => "an error".to_owned(),
        };
        let retryable = matches!(status, Some(429 | 500..)) || code.is_some_and(is_passing);
        self.error(doing, format!("the store answered {said}{advice}"), retryable)
    }

    /// Nothing or nothing whole came back.
    pub(super) fn unavailable(&self, doing: impl Into<String>, why: &str) -> StoreError {
        self.error(doing, why.to_owned(), true)
    }

    /// It makes no sense to ask again.
    pub(super) fn refused(&self, doing: impl Into<String>, why: &str) -> StoreError {
        self.error(doing, why.to_owned(), false)
    }

    fn error(&self, doing: impl Into<String>, why: String, retryable: bool) -> StoreError {
        StoreError::ObjectStore { doing: doing.into(), place: self.place.clone(), why, retryable }
    }
}

/// Whether a store that answers so may answer otherwise soon.
fn is_passing(code: &str) -> bool {
    matches!(
        code,
        "SlowDown"
            | "InternalError"
            | "ServiceUnavailable"
            | "RequestTimeout"
            | "RequestTimeTooSkewed"
            | "ExpiredToken"
            | "OperationAborted"
            | "BadDigest"
            | "XAmzContentSHA256Mismatch"
    )
}

/// What the operating system or the encryption said at the bottom of it: that names a host at most.
fn io_cause(error: &(dyn Error + 'static)) -> Option<String> {
    let (mut next, mut found) = (Some(error), None);
    while let Some(error) = next {
        found = error.downcast_ref::<std::io::Error>().or(found);
        next = error.source();
    }
    found.map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_what_to_do_and_whether_to_wait() {
        let faults = Faults::at("bucket b at http://h".to_owned());
        let rows = [
            (Some("SignatureDoesNotMatch"), Some(403), "check the access key id", false),
            (Some("NoSuchBucket"), Some(404), "make the bucket first", false),
            (Some("SlowDown"), Some(503), "SlowDown", true),
            (Some("ExpiredToken"), Some(400), "have expired", true),
            (None, Some(403), "check the credentials", false),
            (Some("NotSignedUp"), Some(403), "check the credentials", false),
            (Some("RequestTimeTooSkewed"), Some(403), "clock", true),
            (None, Some(502), "status 502", true),
            (None, None, "an error", false),
            (Some("<b>not a code</b>"), Some(400), "status 400", false),
        ];
        for (code, status, words, retryable) in rows {
            let error = faults.coded("storing", code, status);
            assert!(error.to_string().contains(words), "{error}");
            assert!(error.to_string().contains("bucket b at http://h"), "{error}");
            assert_eq!(error.is_retryable(), retryable, "{error}");
        }
    }
}
