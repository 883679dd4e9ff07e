//! Claims that outlive their process: a container runs on while its worker is restarted, and the next worker goes on
//! with the claim that the one before kept in a file.

use crate::queue::LeaseToken;
use crate::{Beat, ClaimRef, Claimed, Store, StoreError};
use mecapy_model::{TaskId, TenantId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::Duration;

/// The longest time for which a worker that ends may hold a claim for the one that follows.
pub const LEASE_HANDED_OVER_MAX: Duration = Duration::from_secs(600);

/// A claim as a file may keep it. Whoever reads the file can report on the task: its owner alone may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptClaim {
    pub tenant: TenantId,
    pub task: TaskId,
    pub fence: u64,
    pub lease: LeaseToken,
}

/// A claim that holds again.
#[derive(Debug, Clone)]
pub struct Adopted {
    /// As it would be claimed now: with all that was written to the log so far.
    pub claimed: Claimed,
    /// `Extended`, or `CancelRequested` where the run should stop.
    pub beat: Beat,
}

impl From<&ClaimRef> for KeptClaim {
    fn from(claim: &ClaimRef) -> Self {
        Self { tenant: claim.tenant, task: claim.task, fence: claim.fence, lease: claim.lease }
    }
}

/// 32 hexadecimal digits.
impl Serialize for LeaseToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:032x}", u128::from_be_bytes(self.0)))
    }
}

impl<'de> Deserialize<'de> for LeaseToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_token = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(&text, 16).ok().filter(|_| is_token);
        // Never the text: it may be nearly right.
        let number = number.ok_or_else(|| serde::de::Error::custom("a lease token is 32 hexadecimal digits"))?;
        Ok(LeaseToken(number.to_be_bytes()))
    }
}

impl Store {
    /// Takes up a claim again that an earlier process of the same worker made, and extends its lease. `None` where it
    /// holds no more: then what runs under it must stop, and nothing that it would report counts.
    pub async fn adopt(&self, kept: KeptClaim) -> Result<Option<Adopted>, StoreError> {
        self.write_rarely(async move |writer| writer.adopt(&kept).await).await
    }

    /// Extends a claim's lease so that it holds for a time from now without a heartbeat: until the worker that follows
    /// this one adopts it. A heartbeat sets the usual length again.
    ///
    /// `at_most` is [`LEASE_HANDED_OVER_MAX`] at most and a lease at least. A server with a database of its own counts
    /// leases afresh when it starts, so that there a claim holds however long that takes.
    pub async fn extend(&self, claim: ClaimRef, at_most: Duration) -> Result<Beat, StoreError> {
        let lease = at_most.min(LEASE_HANDED_OVER_MAX).max(self.lease());
        let beats =
            self.write_rarely(async move |writer| writer.extend(std::slice::from_ref(&claim), lease).await).await?;
        Ok(beats.first().map_or(Beat::Stale, |(_, beat)| *beat))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_kept_as_text_and_shown_without_its_token() {
        let (tenant, task) = (TenantId::from_parts(1, &[1; 10]), TaskId::from_parts(2, &[2; 10]));
        let mut lease = [0; 16];
        lease[15] = 0xab;
        let kept = KeptClaim { tenant, task, fence: 7, lease: LeaseToken(lease) };
        let text = serde_json::to_string(&kept).unwrap();
        assert!(text.ends_with(r#""fence":7,"lease":"000000000000000000000000000000ab"}"#), "{text}");
        assert_eq!(serde_json::from_str::<KeptClaim>(&text).unwrap(), kept);
        assert!(!format!("{kept:?}").contains("ab"), "{kept:?}");
        for wrong in ["", "ab", "+00000000000000000000000000000ab", "g00000000000000000000000000000ab"] {
            let text = text.replace("000000000000000000000000000000ab", wrong);
            assert!(serde_json::from_str::<KeptClaim>(&text).is_err(), "{wrong}");
        }
    }
}
