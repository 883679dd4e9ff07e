//! What a caller may do: scopes, which a role implies and a credential may narrow. Pure; knows no request.

use crate::Role;

/// One kind of thing that a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// See what the tenant has.
    Read,
    /// Run, send, change and delete what the tenant has.
    Compute,
    /// Publish functions that others run.
    Publish,
    /// Keys, tenants and the audit log.
    Admin,
}

/// A set of scopes. Empty unless something is put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scope {
    pub const ALL: [Scope; 4] = [Scope::Read, Scope::Compute, Scope::Publish, Scope::Admin];

    /// How the contract writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Compute => "compute",
            Scope::Publish => "publish",
            Scope::Admin => "admin",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl std::str::FromStr for Scope {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Scope::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| format!("unknown scope {text:?}: use read, compute, publish or admin"))
    }
}

impl Scopes {
    /// Everything that `role` may do.
    pub const fn of(role: Role) -> Self {
        let mut bits = Scope::Read.bit();
        if role.may_write() {
            bits |= Scope::Compute.bit();
        }
        if role.may_publish() {
            bits |= Scope::Publish.bit();
        }
        if role.may_administer() {
            bits |= Scope::Admin.bit();
        }
        Self(bits)
    }

    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// What is in both: a credential may be narrower than its role, and never wider.
    #[must_use]
    pub const fn narrowed_to(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(scopes: Scopes) -> Vec<&'static str> {
        scopes.iter().map(Scope::as_str).collect()
    }

    #[test]
    fn a_role_implies_scopes() {
        let rows = [
            (Role::Admin, vec!["read", "compute", "publish", "admin"]),
            (Role::Author, vec!["read", "compute", "publish"]),
            (Role::Engineer, vec!["read", "compute"]),
            (Role::Viewer, vec!["read"]),
        ];
        for (role, scopes) in rows {
            assert_eq!(written(Scopes::of(role)), scopes, "{}", role.as_str());
        }
        assert_eq!(written(Scopes::default()), Vec::<&str>::new());
    }

    #[test]
    fn narrowing_never_widens() {
        let asked: Scopes = [Scope::Read, Scope::Admin].into_iter().collect();
        assert_eq!(written(Scopes::of(Role::Engineer).narrowed_to(asked)), ["read"]);
        assert_eq!(written(Scopes::of(Role::Admin).narrowed_to(asked)), ["read", "admin"]);
        assert_eq!(written(Scopes::of(Role::Admin).narrowed_to(Scopes::default())), Vec::<&str>::new());
    }

    #[test]
    fn scopes_are_read_as_they_are_written() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        assert!("Read".parse::<Scope>().is_err() && "".parse::<Scope>().is_err());
    }
}
