//! Signatures and secrets as Standard Webhooks 1.0 has them (standardwebhooks.com): the symmetric scheme, `v1`.
//!
//! Knows nothing of requests: `webhook-id`, `webhook-timestamp` and the body are what a signature is over.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::fmt;

const PREFIX: &str = "whsec_";
/// Bytes of a secret, as the specification allows them.
const SECRET_BYTES_MIN: usize = 24;
const SECRET_BYTES_MAX: usize = 64;

/// What an endpoint and this platform both know.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// The text is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is whsec_ and the base64 of 24 to 64 bytes")]
pub struct SecretError;

impl Secret {
    /// Reads a secret as it is shown and stored: `whsec_…`.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SecretError)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| SecretError)?;
        if (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(SecretError) }
    }

    fn mac(&self, id: &str, timestamp_s: i64, body: &[u8]) -> Hmac<Sha256> {
        // A key as long as the block or shorter is padded, as HMAC says; a secret always is.
        let mut block = [0; SECRET_BYTES_MAX];
        block.iter_mut().zip(&self.0).for_each(|(to, from)| *to = *from);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body);
        mac
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The value of `webhook-signature`: one signature for each secret, so that while a secret is being replaced a receiver
/// may know the old or the new one. `timestamp_s` is in Unix seconds, of this attempt.
pub(super) fn sign(secrets: &[Secret], id: &str, timestamp_s: i64, body: &[u8]) -> String {
    let signature =
        |secret: &Secret| format!("v1,{}", STANDARD.encode(secret.mac(id, timestamp_s, body).finalize().into_bytes()));
    secrets.iter().map(signature).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
pub(super) fn verify(secret: &Secret, id: &str, timestamp_s: i64, body: &[u8], signatures: &str) -> bool {
    let tags = signatures.split(' ').filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
    tags.into_iter().any(|tag| secret.mac(id, timestamp_s, body).verify_slice(&tag).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIMESTAMP_S: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    /// The vector of the specification's own libraries.
    const SHORTEST: (&str, &str) =
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    /// The bytes 0 to 63, computed with another implementation of HMAC.
    const LONGEST: (&str, &str) = (
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==",
        "v1,LZ5zuwHTqQH3VM8ERUusjzVQq1FXzemvpR8Mk7Ivp5c=",
    );

    #[test]
    fn the_signatures_are_those_of_the_specification() {
        for (secret, signature) in [SHORTEST, LONGEST] {
            let secret = Secret::parse(secret).unwrap();
            assert_eq!(sign(&[secret], ID, TIMESTAMP_S, BODY), signature);
        }
    }

    #[test]
    fn both_secrets_of_a_rotation_sign_and_each_verifies() {
        let secrets = [SHORTEST, LONGEST].map(|(secret, _)| Secret::parse(secret).unwrap());
        let both = sign(&secrets, ID, TIMESTAMP_S, BODY);
        assert_eq!(both, format!("{} {}", SHORTEST.1, LONGEST.1));
        for secret in &secrets {
            assert!(verify(secret, ID, TIMESTAMP_S, BODY, &both));
            assert!(!verify(secret, ID, TIMESTAMP_S + 1, BODY, &both));
            assert!(!verify(secret, "msg_other", TIMESTAMP_S, BODY, &both));
            assert!(!verify(secret, ID, TIMESTAMP_S, b"{}", &both));
        }
        let other = Secret(vec![7; 32]);
        assert!(!verify(&other, ID, TIMESTAMP_S, BODY, &both));
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret(vec![7; 32]);
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        assert!(Secret::parse(&of(24)).is_ok() && Secret::parse(&of(64)).is_ok());
        let rows = ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_???", &of(23), &of(65)];
        for text in rows {
            assert_eq!(Secret::parse(text), Err(SecretError), "{text}");
        }
    }
}
