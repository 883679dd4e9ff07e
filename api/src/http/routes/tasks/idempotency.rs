//! The `Idempotency-Key` header, as draft-ietf-httpapi-idempotency-key-header has it: a structured field's string
//! (`"…"`, RFC 9651, 3.3.3). The same text without its quotes is the same key.
//!
//! A key is its tenant's, and is remembered for 24 hours at least. The same request again answers what the first one
//! answered, also while that is under way; another request under the key is refused.

use crate::http::Problem;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The longest key, in characters.
const KEY_CHARS_MAX: usize = 255;

/// The key of a request.
pub(in crate::http) fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut all = headers.get_all(KEY).iter();
    let Some(value) = all.next() else { return Ok(None) };
    let read = value.to_str().ok().filter(|_| all.next().is_none()).and_then(read);
    match read {
        Some(key) if (1..=KEY_CHARS_MAX).contains(&key.len()) => Ok(Some(key)),
        _ => Err(Problem::malformed(format!(
            "one Idempotency-Key of 1 to {KEY_CHARS_MAX} ASCII characters is needed, as in \"8e03978e\""
        ))),
    }
}

/// Says that an answer is an earlier one's.
pub(in crate::http) fn mark_replayed<B>(response: &mut Response<B>) {
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
}

fn read(text: &str) -> Option<String> {
    let text = text.trim_matches([' ', '\t']);
    let Some(quoted) = text.strip_prefix('"') else {
        let bare = !text.contains('"') && text.bytes().all(|byte| byte.is_ascii_graphic());
        return bare.then(|| text.to_owned());
    };
    let mut key = String::with_capacity(quoted.len());
    let mut rest = quoted.chars();
    loop {
        match rest.next()? {
            '"' => break,
            '\\' => key.push(rest.next().filter(|escaped| ['"', '\\'].contains(escaped))?),
            plain @ ' '..='~' => key.push(plain),
            _ => return None,
        }
    }
    // Parameters that nobody defined are ignored, as structured fields have it.
    let after = rest.as_str();
    (after.is_empty() || after.starts_with(';')).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_structured_fields_string_or_the_same_without_quotes() {
        let (long, longest) = ("x".repeat(256), "x".repeat(255));
        let rows: [(&[&str], Option<&str>); 18] = [
            (&["a"], Some("a")),
            (&["\"a\""], Some("a")),
            (&[" \"8e03978e-40d5-43dd-bc93-6894a57f9324\" "], Some("8e03978e-40d5-43dd-bc93-6894a57f9324")),
            (&[r#""a \"b\" \\""#], Some(r#"a "b" \"#)),
            (&["\"a\"; p=1"], Some("a")),
            (&["\"a b\""], Some("a b")),
            (&[&longest], Some(&longest)),
            (&[""], None),
            (&["\"\""], None),
            (&["a b"], None),
            (&["\"a"], None),
            (&["a\""], None),
            (&["\"a\"b"], None),
            (&[r#""a\n""#], None),
            (&["é"], None),
            (&["a", "a"], None),
            (&["\"a\", \"b\""], None),
            (&[&long], None),
        ];
        for (values, expected) in rows {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(KEY, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            match (key(&headers), expected) {
                (Ok(found), Some(_)) => assert_eq!(found.as_deref(), expected, "{values:?}"),
                (Err(problem), None) => assert_eq!(problem.status(), 400, "{values:?}"),
                (found, _) => panic!("{values:?}: {found:?}"),
            }
        }
        assert_eq!(key(&HeaderMap::new()).unwrap(), None);
    }
}
