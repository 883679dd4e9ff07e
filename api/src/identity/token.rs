//! A signed token in compact form, taken apart: three parts, strict JSON, and a header that asks for nothing unusual.
//! Pure; what stands in it is not yet believed.

use crate::json;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// The longest token that is looked at, bytes.
pub const TOKEN_BYTES_MAX: usize = 16 << 10;
/// The longest name of a key, bytes.
const KID_BYTES_MAX: usize = 256;
/// Headers that would change what the signature means, where its key comes from, or what the token is.
const HEADERS_REFUSED: [&str; 10] = ["crit", "jku", "jwk", "x5u", "x5c", "b64", "zip", "enc", "epk", "cty"];

/// Why a token is refused: for the log, never for the caller.
pub(super) type Reason = &'static str;

/// A token whose signature nobody has checked.
#[derive(Debug)]
pub(super) struct Unverified<'a> {
    /// As the token says, which decides nothing: the key does.
    pub(super) algorithm: String,
    pub(super) kid: String,
    pub(super) claims: Map<String, Value>,
    /// What was signed.
    pub(super) signed: &'a str,
    /// In base64url.
    pub(super) signature: &'a str,
}

impl<'a> Unverified<'a> {
    /// Refuses what is no access token by its form alone.
    pub(super) fn parse(token: &'a str) -> Result<Self, Reason> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err("it is too long");
        }
        let (signed, signature) = token.rsplit_once('.').ok_or("it has no three parts")?;
        let (header, claims) = signed.split_once('.').ok_or("it has no three parts")?;
        if claims.contains('.') || signature.is_empty() {
            return Err("it has no three parts");
        }
        let header = object(header)?;
        if HEADERS_REFUSED.iter().any(|name| header.contains_key(*name)) {
            return Err("its header asks for something unusual");
        }
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        match (header.get("typ"), text("typ").map(str::to_ascii_lowercase).as_deref()) {
            (None, _) | (_, Some("jwt" | "at+jwt" | "application/at+jwt")) => (),
            _ => return Err("its header says that it is no access token"),
        }
        let algorithm = text("alg").ok_or("its header names no algorithm")?.to_owned();
        let kid = text("kid").filter(|kid| !kid.is_empty() && kid.len() <= KID_BYTES_MAX);
        let kid = kid.ok_or("its header names no key, or by a name that is too long")?.to_owned();
        Ok(Self { algorithm, kid, claims: object(claims)?, signed, signature })
    }
}

/// The JSON object in a part. Duplicate keys are refused: readers differ about which one counts.
fn object(part: &str) -> Result<Map<String, Value>, Reason> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| "a part is not base64url")?;
    let text = json::check(&bytes).map_err(|_| "a part is not strict JSON")?;
    serde_json::from_str(text).map_err(|_| "a part is not a JSON object")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_plain_token_is_taken_apart() {
        let text = token(r#"{"alg":"RS256","kid":"k","typ":"JWT","x5t":"thumb"}"#, r#"{"sub":"s"}"#);
        let parsed = Unverified::parse(&text).unwrap();
        assert_eq!((parsed.algorithm.as_str(), parsed.kid.as_str(), parsed.signature), ("RS256", "k", "c2ln"));
        assert_eq!((parsed.claims["sub"].as_str(), format!("{}.c2ln", parsed.signed)), (Some("s"), text.clone()));
        for typ in ["", r#","typ":"at+jwt""#, r#","typ":"application/at+JWT""#, r#","typ":"jwt""#] {
            let header = format!(r#"{{"alg":"RS256","kid":"k"{typ}}}"#);
            assert!(Unverified::parse(&token(&header, "{}")).is_ok(), "{header}");
        }
    }

    #[test]
    fn security_25_an_unusual_header_is_refused() {
        let refused = [
            "{}",
            r#"{"alg":"RS256"}"#,
            r#"{"kid":"k"}"#,
            r#"{"alg":"RS256","kid":""}"#,
            r#"{"alg":"RS256","kid":7}"#,
            r#"{"alg":["RS256"],"kid":"k"}"#,
            r#"{"alg":"RS256","kid":"k","alg":"none"}"#,
            r#"{"alg":"RS256","kid":"k","\u0061lg":"none"}"#,
            r#"{"alg":"RS256","kid":"k","crit":[]}"#,
            r#"{"alg":"RS256","kid":"k","jku":"https://evil.example/keys"}"#,
            r#"{"alg":"RS256","kid":"k","jwk":{"kty":"RSA"}}"#,
            r#"{"alg":"RS256","kid":"k","x5u":"https://evil.example/certificate"}"#,
            r#"{"alg":"RS256","kid":"k","x5c":["MII"]}"#,
            r#"{"alg":"RS256","kid":"k","b64":false}"#,
            r#"{"alg":"RSA-OAEP","enc":"A256GCM","kid":"k"}"#,
            r#"{"alg":"RS256","kid":"k","cty":"JWT"}"#,
            r#"{"alg":"RS256","kid":"k","typ":"logout+jwt"}"#,
            r#"{"alg":"RS256","kid":"k","typ":null}"#,
            r#"["RS256"]"#,
            "",
            "{",
        ];
        for header in refused {
            assert!(Unverified::parse(&token(header, "{}")).is_err(), "{header}");
        }
        let long = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(KID_BYTES_MAX + 1));
        assert!(Unverified::parse(&token(&long, "{}")).is_err());
    }

    #[test]
    fn security_25_another_form_is_refused() {
        let good = token(r#"{"alg":"RS256","kid":"k"}"#, "{}");
        assert!(Unverified::parse(&good).is_ok());
        let (unsigned, _) = good.rsplit_once('.').unwrap();
        let rows = [
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            "a.b".to_owned(),
            unsigned.to_owned(),
            format!("{unsigned}."),
            format!("{good}.a.b"),
            format!(".{good}"),
            good.replacen('.', "=.", 1),
            good.replacen('.', "+.", 1),
            token(r#"{"alg":"RS256","kid":"k"}"#, r#"{"sub":"a","sub":"b"}"#),
            token(r#"{"alg":"RS256","kid":"k"}"#, r#"{"exp":1e999}"#),
            token(r#"{"alg":"RS256","kid":"k"}"#, "\u{feff}{}"),
            token(r#"{"alg":"RS256","kid":"k"}"#, &"[".repeat(8000)),
            format!("{good}{}", "A".repeat(1 << 20)),
        ];
        for text in rows {
            assert!(Unverified::parse(&text).is_err(), "{}", text.chars().take(80).collect::<String>());
        }
    }
}
