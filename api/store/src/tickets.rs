//! Tickets: what a browser may put into the URL of an event stream, where it can't send a header.
//!
//! A ticket stands for the caller who asked for it, for a minute. It is signed and not stored, so every process of the
//! installation can read it; what its holder may do is looked up when it is used.

use crate::signer::{SignatureError, Signer};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;
use mecapy_model::{ApiKeyId, TenantId};
use time::OffsetDateTime;
use uuid::Uuid;

/// What every ticket starts with, so that it is not taken for another credential.
const START: &str = "ticket_";
/// Tenant, holder with its kind, and two times; the tag over them follows.
const CONTENT_BYTES: usize = 16 + 1 + 16 + 8 + 8;
/// How a credential is written that has no end.
const NEVER: i64 = i64::MAX;
const TAG_BYTES: usize = 32;
/// The longest text that is looked at, in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// Who may open a stream, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub tenant: TenantId,
    pub holder: TicketHolder,
    /// It opens nothing from this second on.
    pub expires_at: OffsetDateTime,
    /// What it has opened ends with the holder's own credential; `None`: that has no end.
    pub holder_until: Option<OffsetDateTime>,
}

/// Who asked for a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketHolder {
    ApiKey(ApiKeyId),
    /// A person or machine that the store knows nothing of.
    Identity(Uuid),
}

impl TicketHolder {
    pub fn id(self) -> Uuid {
        match self {
            TicketHolder::ApiKey(key) => key.0,
            TicketHolder::Identity(id) => id,
        }
    }
}

impl Signer {
    /// The ticket as it is given out.
    pub fn ticket(&self, ticket: &Ticket) -> String {
        let mut bytes = Vec::with_capacity(CONTENT_BYTES + TAG_BYTES);
        bytes.extend_from_slice(ticket.tenant.0.as_bytes());
        bytes.push(u8::from(matches!(ticket.holder, TicketHolder::ApiKey(_))));
        bytes.extend_from_slice(ticket.holder.id().as_bytes());
        bytes.extend_from_slice(&ticket.expires_at.unix_timestamp().to_be_bytes());
        let until = ticket.holder_until.map_or(NEVER, OffsetDateTime::unix_timestamp);
        bytes.extend_from_slice(&until.to_be_bytes());
        let mut mac = self.mac("ticket");
        mac.update(&bytes);
        bytes.extend_from_slice(&mac.finalize().into_bytes());
        format!("{START}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// What a ticket says; the tag is compared in constant time.
    pub fn read_ticket(&self, text: &str, now: OffsetDateTime) -> Result<Ticket, SignatureError> {
        let malformed = SignatureError::Malformed;
        let encoded = text.strip_prefix(START).filter(|_| text.len() <= TEXT_BYTES_MAX).ok_or(malformed)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| malformed)?;
        let (content, tag) = bytes.split_first_chunk::<CONTENT_BYTES>().ok_or(malformed)?;
        let mut mac = self.mac("ticket");
        mac.update(content);
        mac.verify_slice(tag).map_err(|_| SignatureError::Forged)?;
        let (tenant, rest) = content.split_first_chunk::<16>().ok_or(malformed)?;
        let (kind, rest) = rest.split_first().ok_or(malformed)?;
        let (holder, rest) = rest.split_first_chunk::<16>().ok_or(malformed)?;
        let (expires, until) = rest.split_first_chunk::<8>().ok_or(malformed)?;
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| malformed);
        let expires_at = at(i64::from_be_bytes(*expires))?;
        let holder_until = match i64::from_be_bytes(until.try_into().map_err(|_| malformed)?) {
            NEVER => None,
            seconds => Some(at(seconds)?),
        };
        if now >= expires_at {
            return Err(SignatureError::Expired);
        }
        let holder = Uuid::from_bytes(*holder);
        let holder = if *kind == 1 { TicketHolder::ApiKey(ApiKeyId(holder)) } else { TicketHolder::Identity(holder) };
        Ok(Ticket { tenant: TenantId(Uuid::from_bytes(*tenant)), holder, expires_at, holder_until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ticket() -> Ticket {
        Ticket {
            tenant: TenantId(Uuid::from_u128(1)),
            holder: TicketHolder::ApiKey(ApiKeyId(Uuid::from_u128(2))),
            expires_at: OffsetDateTime::from_unix_timestamp(2_000).unwrap(),
            holder_until: None,
        }
    }

    #[test]
    fn a_ticket_says_what_was_signed_until_it_expires() {
        let signer = Signer::new(&[7; 32]);
        let (ticket, text) = (ticket(), signer.ticket(&ticket()));
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
        let before = ticket.expires_at - Duration::from_secs(1);
        assert_eq!(signer.read_ticket(&text, before), Ok(ticket.clone()));
        let holder_until = OffsetDateTime::from_unix_timestamp(9_000).ok();
        let other = Ticket { holder: TicketHolder::Identity(ticket.holder.id()), holder_until, ..ticket.clone() };
        assert_eq!(signer.read_ticket(&signer.ticket(&other), before), Ok(other));
        assert_eq!(signer.read_ticket(&text, ticket.expires_at), Err(SignatureError::Expired));
        assert_eq!(Signer::new(&[8; 32]).read_ticket(&text, before), Err(SignatureError::Forged));
    }

    #[test]
    fn a_ticket_with_any_other_letter_is_none() {
        let signer = Signer::new(&[7; 32]);
        let text = signer.ticket(&ticket());
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(bytes).unwrap();
            assert!(signer.read_ticket(&other, OffsetDateTime::UNIX_EPOCH).is_err(), "{other}");
        }
        let long = format!("{START}{}", "A".repeat(10_000));
        for text in ["", START, "ticket_AAAA", &text[..text.len() - 1], &format!("{text}A"), &long] {
            assert!(signer.read_ticket(text, OffsetDateTime::UNIX_EPOCH).is_err(), "{text}");
        }
    }
}
