//! Who somebody is by the access token of an OpenID Connect issuer (a Keycloak realm, as a rule).
//!
//! A token is refused by its form and its claims first, then by its signature; only then does it count. The issuer is
//! asked for its keys and for nothing else. Knows nothing of requests and answers.

mod claims;
mod discovery;
mod key_ring;
mod keys;
#[cfg(test)]
mod samples;
mod tenants;
mod token;

pub use mecapy_store::{Scope, Scopes};
pub use tenants::TenantNames;
pub use token::TOKEN_BYTES_MAX;

use crate::config::OidcSettings;
use claims::Claims;
use discovery::Source;
use key_ring::{KeyRing, NoKey};
use mecapy_store::{Clock, Role};
use sha2::{Digest as _, Sha256};
use std::{sync::Arc, time::Duration};
use time::OffsetDateTime;
use token::{Reason, Unverified};
use tokio::task::AbortHandle;
use uuid::Uuid;

/// Somebody whose token is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Made of issuer and subject: the same for all tokens of one person or machine.
    pub id: Uuid,
    pub subject: String,
    /// The client that was given the token.
    pub client: Option<String>,
    /// The tenant's name, as the token has it.
    pub tenant: String,
    pub role: Role,
    /// For people; anything that the issuer wrote.
    pub name: String,
    pub person: Person,
    pub expires_at: OffsetDateTime,
}

/// What an issuer says of a person, where it does; for people alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    pub email: Option<String>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
}

/// Why a token doesn't let anybody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is no good token; why is in the log.
    Unauthorized,
    /// It is good, and gives none of our roles.
    NoRole,
    /// It is good, and names no tenant.
    NoTenant,
    /// Nobody can say: the issuer has not told its keys for too long.
    Unavailable { retry_after: Duration },
}

/// Checks access tokens. Clones share keys.
#[derive(Debug, Clone)]
pub struct Verifier(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: OidcSettings,
    ring: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    fetching: AbortHandle,
}

impl Verifier {
    /// Starts to fetch the issuer's keys, in a task of the runtime that it is called in, for as long as the verifier
    /// lives. An issuer that is down is no error. An error: there are no certificates to check the issuer's with.
    pub fn start(settings: OidcSettings, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let source = Source::new(&settings.issuer)?;
        let ring = Arc::new(KeyRing::new(settings.refresh_every, Arc::clone(&clock)));
        let kept = Arc::clone(&ring);
        let fetching = tokio::spawn(async move { kept.keep_fresh(&source).await }).abort_handle();
        Ok(Self(Arc::new(Shared { settings, ring, clock, fetching })))
    }

    /// Who the bearer of `token` is. Waits for nothing where the token's key is known.
    ///
    /// Nothing is remembered of a token: the signature takes some 30 µs to check, and what is not kept needs no end.
    pub async fn verify(&self, token: &str) -> Result<Arc<Identity>, Refused> {
        let refused = |reason: Reason| {
            tracing::debug!(reason, "identity: a token was refused");
            Refused::Unauthorized
        };
        let Shared { settings, ring, clock, .. } = &*self.0;
        let token = Unverified::parse(token).map_err(refused)?;
        let claims = Claims::read(&token.claims, settings, clock.now()).map_err(refused)?;
        let key = ring.find(&token.kid).await.map_err(|missing| match missing {
            NoKey::Unknown => refused("the issuer has no such key"),
            NoKey::Unavailable => Refused::Unavailable { retry_after: KeyRing::retry_after() },
        })?;
        if !key.verifies(&token.algorithm, token.signed, token.signature) {
            return Err(refused("the signature is not the key's"));
        }
        // From here on the claims are the issuer's.
        let role = claims.role.ok_or(Refused::NoRole)?;
        let tenant = claims.company.ok_or(Refused::NoTenant)?;
        Ok(Arc::new(Identity {
            id: id(&settings.issuer, &claims.subject),
            subject: claims.subject,
            client: claims.client,
            tenant,
            role,
            name: claims.name,
            person: claims.person,
            expires_at: claims.expires_at,
        }))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.fetching.abort();
    }
}

/// A UUID (version 8) of issuer and subject.
fn id(issuer: &str, subject: &str) -> Uuid {
    // The issuer is the same in this process for all, so no subject can move the border between the two.
    let digest: [u8; 32] = Sha256::new().chain_update(issuer).chain_update([0]).chain_update(subject).finalize().into();
    let (start, _) = digest.split_first_chunk().unwrap_or((&[0; 16], &[]));
    uuid::Builder::from_custom_bytes(*start).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use keys::KeySet;
    use mecapy_store::ManualClock;

    const NOW: i64 = 1_800_000_000;

    /// A verifier whose issuer answered so, once.
    fn verifier(fetched: Option<KeySet>) -> (Verifier, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(OffsetDateTime::from_unix_timestamp(NOW).unwrap(), 1));
        let settings = OidcSettings {
            issuer: "https://id.example/realms/mecapy".to_owned(),
            audience: "mecapy-api".to_owned(),
            tenant_claim: "company".to_owned(),
            role_client: "mecapy-api".to_owned(),
            clients_allowed: Vec::new(),
            refresh_every: Duration::from_secs(600),
        };
        let ring = Arc::new(KeyRing::new(settings.refresh_every, clock.clone()));
        ring.put(fetched);
        let fetching = tokio::spawn(std::future::pending::<()>()).abort_handle();
        (Verifier(Arc::new(Shared { settings, ring, clock: clock.clone(), fetching })), clock)
    }

    #[tokio::test]
    async fn the_issuers_tokens_are_good_until_they_end() {
        let (verifier, clock) = verifier(KeySet::parse(samples::keys().as_object().unwrap()));
        let mut ids = Vec::new();
        for token in samples::TOKENS {
            let identity = verifier.verify(token).await.unwrap();
            assert_eq!(
                (identity.tenant.as_str(), identity.role, identity.name.as_str()),
                ("acme", Role::Engineer, "ada")
            );
            ids.push(identity.id);
        }
        assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
        assert_ne!(ids[0], id("https://id.example/realms/mecapy", "f3a1"));
        clock.advance(Duration::from_secs(300));
        assert_eq!(verifier.verify(samples::TOKENS[0]).await, Err(Refused::Unauthorized));
    }

    #[tokio::test]
    async fn security_25_no_part_of_a_token_can_be_exchanged() {
        let (verifier, _) = verifier(KeySet::parse(samples::keys().as_object().unwrap()));
        let parts: Vec<Vec<&str>> = samples::TOKENS.iter().map(|token| token.split('.').collect()).collect();
        for (header, claims, signature) in [(0, 0, 1), (1, 0, 0), (0, 1, 2), (2, 0, 0)] {
            let token = [parts[header][0], parts[claims][1], parts[signature][2]].join(".");
            assert_eq!(verifier.verify(&token).await, Err(Refused::Unauthorized), "{header} {claims} {signature}");
        }
    }

    #[tokio::test]
    async fn fault_12_without_keys_nobody_can_say() {
        let (verifier, _) = verifier(None);
        assert!(matches!(verifier.verify(samples::TOKENS[0]).await, Err(Refused::Unavailable { .. })));
        assert_eq!(verifier.verify("a.b.c").await, Err(Refused::Unauthorized));
    }
}
