//! Where the bus is: a Redis URL and a prefix.

use redis::{Client, IntoConnectionInfo, ProtocolVersion};

const PREFIX_DEFAULT: &str = "mecapy:";
const PREFIX_CHARS_MAX: usize = 64;

/// A Redis server, how to log in, and the prefix that tells this bus from others on the same server. Shown without
/// the password.
#[derive(Clone)]
pub struct BusAddress {
    pub(super) client: Client,
    pub(super) channel: String,
    shown: String,
}

/// Why a text is no address of a bus. Never repeats the text, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusAddressError {
    #[error(
        "the address of Redis must look like redis://[user:password@]host[:port][/database][?prefix=name], with rediss:// for TLS"
    )]
    Form,
    #[error("the address of Redis names no host")]
    Host,
    #[error("the database in the address of Redis must be a number from 0")]
    Database,
    #[error("the address of Redis has an option other than prefix")]
    Option,
    #[error("the address of Redis must not have a #fragment; the server's certificate is always verified")]
    Fragment,
    #[error("the prefix in the address of Redis must be 1 to {PREFIX_CHARS_MAX} of A-Z a-z 0-9 : . _ -")]
    Prefix,
    #[error("the address of Redis can't be used: {0}")]
    Unusable(&'static str),
}

impl BusAddress {
    /// Parses `redis://[user:password@]host[:port][/database][?prefix=name]`, or `rediss://` for TLS, verified with
    /// the system's certificates. The channel is `{prefix}hints`, with `mecapy:` as the default prefix. Redis keeps
    /// one set of channels for all databases, so it is the prefix that separates.
    pub fn parse(text: &str) -> Result<Self, BusAddressError> {
        let url = redis::parse_redis_url(text).filter(|url| matches!(url.scheme(), "redis" | "rediss"));
        let mut url = url.ok_or(BusAddressError::Form)?;
        if url.fragment().is_some() {
            return Err(BusAddressError::Fragment);
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(BusAddressError::Host);
        }
        let database = url.path().strip_prefix('/').unwrap_or_default();
        if !database.is_empty() && database.parse::<u32>().is_err() {
            return Err(BusAddressError::Database);
        }
        let mut prefix = PREFIX_DEFAULT.to_owned();
        for (option, value) in url.query_pairs() {
            if option != "prefix" {
                return Err(BusAddressError::Option);
            }
            prefix = value.into_owned();
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || ":._-".contains(c);
        if prefix.is_empty() || prefix.len() > PREFIX_CHARS_MAX || !prefix.chars().all(allowed) {
            return Err(BusAddressError::Prefix);
        }
        url.set_query(None);
        let host = url.host_str().unwrap_or_default();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let shown = format!("{}://{host}{port}{}?prefix={prefix}", url.scheme(), url.path());
        let unusable = |error: redis::RedisError| BusAddressError::Unusable(reason(&error));
        let info = url.into_connection_info().map_err(unusable)?;
        // One RESP3 connection both sends and hears.
        let login = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let client = Client::open(info.set_redis_settings(login).set_tcp_settings(tcp)).map_err(unusable)?;
        Ok(Self { client, channel: format!("{prefix}hints"), shown })
    }
}

/// The library's reasons may repeat parts of the address; its kinds don't.
fn reason(error: &redis::RedisError) -> &'static str {
    match error.kind() {
        redis::ErrorKind::InvalidClientConfig => "a wildcard host, or a user or password that is not UTF-8",
        _ => "the client refuses it",
    }
}

impl std::fmt::Display for BusAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl std::fmt::Debug for BusAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BusAddress({self})")
    }
}

impl std::str::FromStr for BusAddress {
    type Err = BusAddressError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood_and_shown_without_the_password() {
        for (text, shown, channel) in [
            ("redis://localhost", "redis://localhost?prefix=mecapy:", "mecapy:hints"),
            ("redis://[::1]:7000/", "redis://[::1]:7000/?prefix=mecapy:", "mecapy:hints"),
            ("redis://u:s%65cret@h:1/3?prefix=a.b:", "redis://h:1/3?prefix=a.b:", "a.b:hints"),
            ("rediss://:secret@h?prefix=x", "rediss://h?prefix=x", "xhints"),
        ] {
            let address = BusAddress::parse(text).unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(address.channel, channel);
            assert!(!format!("{address:?}{:?}", address.client).contains("secret"));
        }
        let address = BusAddress::parse("rediss://u:s%65cret@h:1/3").unwrap();
        let info = address.client.get_connection_info();
        assert_eq!(info.addr().to_string(), "h:1");
        assert_eq!((info.redis_settings().username(), info.redis_settings().db()), (Some("u"), 3));
        assert_eq!(info.redis_settings().password(), Some("secret"));
    }

    #[test]
    fn what_is_no_address_says_why_and_never_the_password() {
        for (text, error) in [
            ("", BusAddressError::Form),
            ("localhost:6379", BusAddressError::Form),
            ("http://:secret@h", BusAddressError::Form),
            ("redis+unix:///secret", BusAddressError::Form),
            ("redis://:secret@h:99999", BusAddressError::Form),
            ("redis://", BusAddressError::Host),
            ("redis:///1", BusAddressError::Host),
            ("redis://h/one", BusAddressError::Database),
            ("redis://h/-1", BusAddressError::Database),
            ("redis://h/1/2", BusAddressError::Database),
            ("redis://h?password=secret", BusAddressError::Option),
            ("rediss://:secret@h#insecure", BusAddressError::Fragment),
            ("redis://h?prefix=", BusAddressError::Prefix),
            ("redis://h?prefix=a%20b", BusAddressError::Prefix),
            ("redis://h?prefix=*", BusAddressError::Prefix),
        ] {
            assert_eq!(BusAddress::parse(text).unwrap_err(), error, "{text}");
        }
        let wildcard = BusAddress::parse("redis://u:secret@0.0.0.0").unwrap_err();
        assert!(matches!(wildcard, BusAddressError::Unusable(_)));
        assert!(!wildcard.to_string().contains("secret"));
    }
}
