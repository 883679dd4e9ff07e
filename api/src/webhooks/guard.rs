//! Which URLs webhooks may be sent to: how the URL is written, and where its host leads now.
//!
//! One parser reads the URL here and where the request is made, so both see the same host. A name is looked up once
//! for each connection, all its addresses are judged, and those are connected to: a name that leads elsewhere a moment
//! later changes nothing. Knows no delivery.

use super::{
    address::AllowList,
    lookup::{Lookup, LookupError},
};
use mecapy_model::TenantId;
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::time::timeout;
use url::{Host, Url};

/// The longest URL, bytes.
pub(super) const URL_BYTES_MAX: usize = 2048;
/// How long a name may take to be looked up.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(3);

/// Ports that the Fetch standard keeps browsers from, because other protocols listen there, in ascending order.
const PORTS_BLOCKED: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060,
    5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// Judges URLs and addresses. Cheap to clone.
#[derive(Clone)]
pub struct Guard(Arc<Rules>);

struct Rules {
    allow: AllowList,
    allow_http: bool,
    lookup: Lookup,
}

/// A URL whose form is right. Where its host leads is judged whenever it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked(Url);

/// Why a webhook can't be sent to a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the URL can't be read")]
    Malformed,
    #[error("the URL is longer than {URL_BYTES_MAX} bytes")]
    TooLong,
    #[error("the URL does not begin with https://")]
    Scheme,
    #[error("the URL holds a user name or a password")]
    Credentials,
    #[error("the URL has a fragment")]
    Fragment,
    #[error("the URL's port belongs to another protocol")]
    Port,
    /// One answer for a name that doesn't exist and for one that leads inside, so that nobody can try out the names of
    /// this network.
    #[error("the URL's host has no public address")]
    Address,
    /// Nothing is known of the URL's host yet: the only one of these that passes by itself.
    #[error("too many host names are being looked up just now")]
    Busy,
}

impl Checked {
    /// The URL as it is called: normalised.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

impl Guard {
    /// A guard that lets webhooks out to public addresses and to `allow`, over https and, with `allow_http`, over http.
    pub fn new(allow: AllowList, allow_http: bool) -> Self {
        Self::with_lookup(allow, allow_http, super::lookup::system())
    }

    pub(super) fn with_lookup(allow: AllowList, allow_http: bool, lookup: Lookup) -> Self {
        Self(Arc::new(Rules { allow, allow_http, lookup }))
    }

    /// A guard that finds no place to look a name up.
    #[cfg(test)]
    pub(crate) fn busy() -> Self {
        Self::with_lookup(AllowList::default(), false, Arc::new(|_, _| Box::pin(async { Err(LookupError::Busy) })))
    }

    /// Everything that can be known when a tenant registers a URL: its form, and where its host leads now.
    pub async fn admit(&self, tenant: TenantId, text: &str) -> Result<Checked, Refused> {
        let checked = self.check_url(text)?;
        if let Some(Host::Domain(name)) = checked.0.host() {
            self.resolve(tenant, name).await?;
        }
        Ok(checked)
    }

    /// The form of a URL, and its address where it names one. Looks nothing up.
    pub fn check_url(&self, text: &str) -> Result<Checked, Refused> {
        if text.len() > URL_BYTES_MAX {
            return Err(Refused::TooLong);
        }
        // The parser would drop some of them silently.
        if text.chars().any(|character| character.is_control() || character.is_whitespace()) {
            return Err(Refused::Malformed);
        }
        let url = Url::parse(text).map_err(|_| Refused::Malformed)?;
        match url.scheme() {
            "https" => {}
            "http" if self.0.allow_http => {}
            _ => return Err(Refused::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Credentials);
        }
        if url.fragment().is_some() {
            return Err(Refused::Fragment);
        }
        let port = url.port_or_known_default().ok_or(Refused::Port)?;
        if PORTS_BLOCKED.binary_search(&port).is_ok() {
            return Err(Refused::Port);
        }
        match url.host().ok_or(Refused::Malformed)? {
            Host::Domain(_) => {}
            Host::Ipv4(address) => self.judge(&[address.into()])?,
            Host::Ipv6(address) => self.judge(&[address.into()])?,
        }
        // Percent-encoding may have made it longer.
        if url.as_str().len() > URL_BYTES_MAX { Err(Refused::TooLong) } else { Ok(Checked(url)) }
    }

    /// The addresses of a name that a tenant's webhooks are sent to, all of which may be called.
    ///
    /// # Errors
    /// One address that may not be called refuses the name: which of them is tried is not ours to say.
    pub async fn resolve(&self, tenant: TenantId, name: &str) -> Result<Vec<IpAddr>, Refused> {
        let looked_up = timeout(LOOKUP_TIMEOUT, (self.0.lookup)(tenant, name.to_owned())).await;
        let addresses = match looked_up {
            Ok(Ok(addresses)) if !addresses.is_empty() => addresses,
            Ok(Err(LookupError::Busy)) => return Err(Refused::Busy),
            _ => return Err(Refused::Address),
        };
        self.judge(&addresses).inspect_err(|_| {
            tracing::info!(webhook.host = name, webhook.addresses = ?addresses, "webhook.guard: not public, not allowed");
        })?;
        Ok(addresses)
    }

    fn judge(&self, addresses: &[IpAddr]) -> Result<(), Refused> {
        let allowed = addresses.iter().all(|address| self.0.allow.admits(*address));
        if allowed { Ok(()) } else { Err(Refused::Address) }
    }
}
