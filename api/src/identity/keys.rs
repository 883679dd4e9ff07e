//! The issuer's public keys, as a JSON Web Key Set names them. Each key verifies one algorithm; a token has no say.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{collections::HashMap, sync::Arc};

/// Keys of one set that are looked at.
const KEYS_MAX: usize = 100;
/// RSA keys that are shorter can be broken, bits.
const RSA_BITS_MIN: usize = 2048;

/// A key that verifies signatures of one algorithm.
#[derive(Debug)]
pub(super) struct Key {
    algorithm: Algorithm,
    key: DecodingKey,
}

/// Keys by their names. A name is compared and nothing else: it is no path and no address.
#[derive(Debug, Default)]
pub(super) struct KeySet(HashMap<String, Arc<Key>>);

/// A key as it is written. What is private in it, if anything, is not read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Written {
    kty: String,
    kid: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    n: String,
    e: String,
    crv: String,
    x: String,
    y: String,
}

impl KeySet {
    /// The keys of a set that can verify access tokens; others are left out, whatever is wrong with them. `None` where
    /// it is no key set.
    pub(super) fn parse(set: &Map<String, Value>) -> Option<Self> {
        let mut keys = HashMap::new();
        for value in set.get("keys")?.as_array()?.iter().take(KEYS_MAX) {
            let Some((name, key)) = Written::deserialize(value).ok().and_then(Written::key) else { continue };
            // Of two keys with one name, the first: a set that names two has no meaning for the second.
            keys.entry(name).or_insert_with(|| Arc::new(key));
        }
        Some(Self(keys))
    }

    pub(super) fn get(&self, kid: &str) -> Option<&Arc<Key>> {
        self.0.get(kid)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Key {
    /// Whether `signature` (base64url) is this key's over `signed`, made with the algorithm that the key is for.
    pub(super) fn verifies(&self, algorithm: &str, signed: &str, signature: &str) -> bool {
        algorithm == name(self.algorithm)
            && crypto::verify(signature, signed.as_bytes(), &self.key, self.algorithm).is_ok_and(|good| good)
    }
}

impl Written {
    fn key(self) -> Option<(String, Key)> {
        let for_signatures = self.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && self.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        if !for_signatures || self.kid.is_empty() {
            return None;
        }
        let algorithm = match (self.kty.as_str(), self.alg.as_deref()) {
            ("RSA", None | Some("RS256")) => Algorithm::RS256,
            ("RSA", Some("PS256")) => Algorithm::PS256,
            ("EC", None | Some("ES256")) if self.crv == "P-256" => Algorithm::ES256,
            _ => return None,
        };
        let key = match algorithm {
            Algorithm::ES256 => DecodingKey::from_ec_components(&self.x, &self.y),
            _ if bits(&self.n)? < RSA_BITS_MIN => return None,
            _ => DecodingKey::from_rsa_components(&self.n, &self.e),
        };
        Some((self.kid, Key { algorithm, key: key.ok()? }))
    }
}

/// How the header of a token writes an algorithm that we verify.
fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::RS256 => "RS256",
        Algorithm::PS256 => "PS256",
        Algorithm::ES256 => "ES256",
        // No key has another one.
        _ => "",
    }
}

/// The length of a number in base64url, bits.
fn bits(number: &str) -> Option<usize> {
    let bytes = URL_SAFE_NO_PAD.decode(number).ok()?;
    let start = bytes.iter().position(|byte| *byte != 0)?;
    let first = bytes.get(start)?;
    Some((bytes.len() - start) * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use serde_json::json;

    fn parse(keys: Value) -> Option<KeySet> {
        KeySet::parse(json!({"keys": keys}).as_object().unwrap())
    }

    /// The sample's RSA key with `more` laid over it.
    fn rsa(more: Value) -> Value {
        let mut key = samples::keys()["keys"][0].clone();
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    }

    #[test]
    fn each_key_verifies_its_own_algorithm_alone() {
        let set = KeySet::parse(samples::keys().as_object().unwrap()).unwrap();
        assert_eq!(set.len(), 3);
        for (token, kid) in samples::TOKENS.into_iter().zip(["rs", "ps", "es"]) {
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let algorithm = format!("{}256", kid.to_uppercase());
            let key = set.get(kid).unwrap();
            assert!(key.verifies(&algorithm, signed, signature), "{kid}");
            assert!(!key.verifies(&algorithm, &format!("{signed}x"), signature), "{kid}");
            assert!(!key.verifies(&algorithm, signed, &signature[..signature.len() - 4]), "{kid}");
            for other in ["none", "HS256", "RS256", "PS256", "ES256", "rs256", ""]
                .into_iter()
                .filter(|other| *other != algorithm)
            {
                assert!(!key.verifies(other, signed, signature), "{kid} {other}");
            }
            for other in ["rs", "ps", "es"].into_iter().filter(|other| *other != kid) {
                assert!(!set.get(other).unwrap().verifies(&algorithm, signed, signature), "{kid} by {other}");
            }
        }
    }

    #[test]
    fn security_25_keys_that_can_not_be_trusted_are_left_out() {
        let short = URL_SAFE_NO_PAD.encode([0xff; 255]);
        let rows = [
            json!({"use": "enc"}),
            json!({"key_ops": ["encrypt"]}),
            json!({"alg": "RSA-OAEP"}),
            json!({"alg": "HS256"}),
            json!({"alg": "none"}),
            json!({"alg": "RS512"}),
            json!({"alg": "ES256"}),
            json!({"kty": "oct", "k": "AAAA"}),
            json!({"kty": "EC"}),
            json!({"n": short}),
            json!({"n": format!("AAAA{short}")}),
            json!({"n": ""}),
            json!({"n": "!"}),
            json!({"n": 7}),
            json!({"kid": ""}),
            json!({"kid": 7}),
        ];
        for more in rows {
            assert_eq!(parse(json!([rsa(more.clone())])).unwrap().len(), 0, "{more}");
        }
        assert_eq!(parse(json!([{"kty": "EC", "crv": "P-384", "kid": "k", "x": "AA", "y": "AA"}])).unwrap().len(), 0);
    }

    #[test]
    fn one_bad_key_spoils_no_other() {
        let set =
            parse(json!([7, null, {"kty": "RSA"}, rsa(json!({"kid": "a"})), rsa(json!({"kid": "a", "alg": "PS256"}))]));
        let set = set.unwrap();
        assert_eq!((set.len(), set.get("a").unwrap().algorithm), (1, Algorithm::RS256));
        assert_eq!(parse(json!([])).unwrap().len(), 0);
        assert!(parse(json!({"a": 1})).is_none() && KeySet::parse(&Map::new()).is_none());
        let many: Vec<_> = (0..KEYS_MAX + 10).map(|index| rsa(json!({"kid": index.to_string()}))).collect();
        assert_eq!(parse(json!(many)).unwrap().len(), KEYS_MAX);
    }
}
