//! Names of objects.

use crate::Clock;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mecapy_model::{ArtifactName, Digest, TaskId, TenantId, UploadId};
use sha2::{Digest as _, Sha256};

/// The name of an object: parts of `A-Z a-z 0-9 . _ - % ~` joined by `/`, none of them `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

/// Makes a key that nobody else has: 12 random bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nonce([u8; 12]);

/// Whose row an object belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    Attempt { tenant: TenantId, task: TaskId, fence: u64 },
    Log { tenant: TenantId, task: TaskId },
    Item { tenant: TenantId, task: TaskId },
    Upload { tenant: TenantId, upload: UploadId },
    Module { tenant: TenantId, digest: Digest },
    Package { tenant: TenantId, digest: Digest },
}

impl Owner {
    pub(crate) fn tenant(self) -> TenantId {
        match self {
            Owner::Attempt { tenant, .. }
            | Owner::Log { tenant, .. }
            | Owner::Item { tenant, .. }
            | Owner::Upload { tenant, .. }
            | Owner::Module { tenant, .. }
            | Owner::Package { tenant, .. } => tenant,
        }
    }
}

/// A text that can't be an object's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an object key")]
pub struct InvalidObjectKey;

/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 512;
/// The longest part that a file system's folder takes, in bytes, with room to spare.
const PART_BYTES_MAX: usize = 200;
/// How much of a name that is too long stays readable, in bytes.
const SHORTENED_BYTES: usize = 100;
/// Where objects grow before they are published; no key leads there.
const RESERVED: &str = "tmp";

impl ObjectKey {
    /// Checks a key that came from outside (a signed URL's path).
    pub fn parse(text: &str) -> Result<Self, InvalidObjectKey> {
        let part_is_safe = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part.len() <= PART_BYTES_MAX
                && part.bytes().all(|byte| is_plain(byte) || matches!(byte, b'%' | b'~'))
        };
        let first = text.split('/').next();
        if text.len() > KEY_BYTES_MAX || first == Some(RESERVED) || !text.split('/').all(part_is_safe) {
            return Err(InvalidObjectKey);
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key carries the fence, so an attempt that was given up overwrites nothing of its successor.
    pub(crate) fn artifact(tenant: TenantId, task: TaskId, fence: u64, name: &ArtifactName) -> Self {
        Self(format!("artifacts/{tenant}/{task}/{fence}/{}", encode(name.as_str())))
    }

    /// The folder with the artifacts of one attempt.
    pub(crate) fn artifacts_of_attempt(tenant: TenantId, task: TaskId, fence: u64) -> Self {
        Self(format!("artifacts/{tenant}/{task}/{fence}"))
    }

    /// A text that one attempt left, too large for its row.
    pub(crate) fn text_of_attempt(tenant: TenantId, task: TaskId, fence: u64, name: &str) -> Self {
        Self(format!("results/{tenant}/{task}/{fence}/{}", encode(name)))
    }

    /// The folder with the texts of one attempt.
    pub(crate) fn texts_of_attempt(tenant: TenantId, task: TaskId, fence: u64) -> Self {
        Self(format!("results/{tenant}/{task}/{fence}"))
    }

    /// A piece of an attempt's log, too large for its row. The log stays when the attempt is lost, so it lies apart from
    /// the attempt's other texts.
    pub(crate) fn log_of_attempt(tenant: TenantId, task: TaskId, fence: u64, name: &str) -> Self {
        Self(format!("logs/{tenant}/{task}/{fence}/{}", encode(name)))
    }

    /// The result of a batch's item, too large for its row. It stays when the attempt that ended the item is lost, so it
    /// lies apart from the attempt's other texts.
    pub(crate) fn item_of_attempt(tenant: TenantId, task: TaskId, fence: u64, index: u32) -> Self {
        Self(format!("items/{tenant}/{task}/{fence}/{index}.json"))
    }

    /// What a signed URL to send an upload's bytes to names; the bytes get a key of their own, [`sent`](Self::sent).
    pub(crate) fn upload(tenant: TenantId, upload: UploadId) -> Self {
        Self(format!("uploads/{tenant}/{upload}"))
    }

    /// Where an object store takes an upload's bytes straight from the client: nothing reads them there but the
    /// completion, so that who still holds the URL changes nothing afterwards.
    pub(crate) fn incoming(tenant: TenantId, upload: UploadId) -> Self {
        Self(format!("incoming/{tenant}/{upload}"))
    }

    /// The bytes of an upload as one request sent them: each has its own `nonce`, so none overwrites another's.
    pub(crate) fn sent(tenant: TenantId, upload: UploadId, nonce: Nonce) -> Self {
        Self(format!("uploads/{tenant}/{upload}/{nonce}"))
    }

    /// A module's bytes as one request sent them.
    pub(crate) fn module(tenant: TenantId, digest: Digest, nonce: Nonce) -> Self {
        Self(format!("modules/{tenant}/{digest}/{nonce}.wasm"))
    }

    /// A package's zip as one request published it, by the digest of its content.
    pub(crate) fn package(tenant: TenantId, digest: Digest, nonce: Nonce) -> Self {
        Self(format!("packages/{tenant}/{digest}/{nonce}.zip"))
    }

    /// Where a diagnosis tries whether objects can be kept.
    pub(crate) fn probe(nonce: Nonce) -> Self {
        Self(format!("probe/{nonce}"))
    }

    /// The tenant and upload that a signed URL names.
    pub(crate) fn as_upload(&self) -> Option<(TenantId, UploadId)> {
        let (tenant, upload) = self.0.strip_prefix("uploads/")?.split_once('/')?;
        Some((tenant.parse().ok()?, upload.parse().ok()?))
    }

    /// The row that says whether the object is needed; `None` for a key that this program does not make.
    pub(crate) fn owner(&self) -> Option<Owner> {
        let mut parts = self.0.split('/');
        let (kind, tenant) = (parts.next()?, parts.next()?.parse().ok()?);
        let id = parts.next()?;
        match kind {
            "artifacts" | "results" => {
                Some(Owner::Attempt { tenant, task: id.parse().ok()?, fence: parts.next()?.parse().ok()? })
            }
            "logs" => Some(Owner::Log { tenant, task: id.parse().ok()? }),
            "items" => Some(Owner::Item { tenant, task: id.parse().ok()? }),
            "uploads" | "incoming" => Some(Owner::Upload { tenant, upload: id.parse().ok()? }),
            "modules" => Some(Owner::Module { tenant, digest: id.trim_end_matches(".wasm").parse().ok()? }),
            "packages" => Some(Owner::Package { tenant, digest: id.parse().ok()? }),
            _ => None,
        }
    }

    /// The folders above the object, innermost first.
    pub(crate) fn parents(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(self.0.as_str()), |path| path.rsplit_once('/').map(|(parent, _)| parent)).skip(1)
    }
}

impl Nonce {
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        let mut bytes = [0; 12];
        clock.fill_random(&mut bytes);
        Self(bytes)
    }
}

impl std::fmt::Display for Nonce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// A text with every byte but `A-Z a-z 0-9 . _ -` percent-encoded.
pub(super) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// One safe part for any name: percent-encoded; a long one is cut and told apart by its digest.
fn encode(name: &str) -> String {
    let mut part = percent_encode(name);
    if matches!(part.as_str(), "." | "..") {
        return part.replace('.', "%2E");
    }
    if part.len() > PART_BYTES_MAX {
        part.truncate(SHORTENED_BYTES);
        let digest = Digest(Sha256::digest(name.as_bytes()).into());
        part = format!("{part}~{digest}");
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_from_outside_can_not_leave_the_folder() {
        let long = "x".repeat(600);
        for text in
            ["", "/", "/a", "a/", "a//b", "..", "a/../b", "a/.", "a\\b", "a b", "a\0", "é", "tmp/x", "tmp", &long]
        {
            assert_eq!(ObjectKey::parse(text), Err(InvalidObjectKey), "{text:?}");
        }
        assert_eq!(ObjectKey::parse("a/b%20c").unwrap().as_str(), "a/b%20c");
    }

    #[test]
    fn every_artifact_name_gets_a_key_of_its_own_that_parses() {
        let long = |last: &str| format!("{}{last}", "é/".repeat(60));
        let names = ["figure-1.png", "a/b", "a%2Fb", "été.csv", "a b", &long("x"), &long("y"), ".hidden"];
        let (tenant, task) = (TenantId::from_parts(1, &[1; 10]), TaskId::from_parts(1, &[2; 10]));
        let key = |name: &str| ObjectKey::artifact(tenant, task, 3, &ArtifactName::parse(name).unwrap());
        let keys: std::collections::BTreeSet<_> = names.iter().map(|name| key(name)).collect();
        assert_eq!(keys.len(), names.len());
        for key in keys {
            assert_eq!(ObjectKey::parse(key.as_str()), Ok(key.clone()));
            assert_eq!(key.parents().count(), 4);
        }
    }

    #[test]
    fn a_key_says_whose_it_is() {
        let (tenant, task) = (TenantId::from_parts(1, &[1; 10]), TaskId::from_parts(1, &[2; 10]));
        let (upload, digest) = (UploadId::from_parts(1, &[3; 10]), Digest([4; 32]));
        let nonce = Nonce([5; 12]);
        let attempt = Some(Owner::Attempt { tenant, task, fence: 7 });
        let name = ArtifactName::parse("a/b").unwrap();
        let rows = [
            (ObjectKey::artifact(tenant, task, 7, &name), attempt),
            (ObjectKey::text_of_attempt(tenant, task, 7, "result.json"), attempt),
            (ObjectKey::log_of_attempt(tenant, task, 7, "1.txt"), Some(Owner::Log { tenant, task })),
            (ObjectKey::item_of_attempt(tenant, task, 7, 3), Some(Owner::Item { tenant, task })),
            (ObjectKey::incoming(tenant, upload), Some(Owner::Upload { tenant, upload })),
            (ObjectKey::sent(tenant, upload, nonce), Some(Owner::Upload { tenant, upload })),
            (ObjectKey::module(tenant, digest, nonce), Some(Owner::Module { tenant, digest })),
            (ObjectKey::package(tenant, digest, nonce), Some(Owner::Package { tenant, digest })),
            (
                ObjectKey::parse(&format!("modules/{tenant}/{digest}.wasm")).unwrap(),
                Some(Owner::Module { tenant, digest }),
            ),
            (ObjectKey::parse("artifacts/a/b/c").unwrap(), None),
            (ObjectKey::parse("other").unwrap(), None),
        ];
        for (key, owner) in rows {
            assert_eq!(key.owner(), owner, "{key}");
        }
    }

    #[test]
    fn an_uploads_key_names_it() {
        let (tenant, upload) = (TenantId::from_parts(1, &[1; 10]), UploadId::from_parts(1, &[2; 10]));
        assert_eq!(ObjectKey::upload(tenant, upload).as_upload(), Some((tenant, upload)));
        let sent = ObjectKey::sent(tenant, upload, Nonce([0xff; 12]));
        assert_eq!((ObjectKey::parse(sent.as_str()), sent.as_upload()), (Ok(sent.clone()), None));
        assert_eq!(ObjectKey::parse("modules/a/b").unwrap().as_upload(), None);
    }
}
