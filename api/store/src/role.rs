//! What the holder of a credential is: the four roles of the contract. Pure.

use serde::{Deserialize, Serialize};

/// What the holder of a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, tenants and keys included.
    Admin,
    /// Computes, and publishes functions for its tenant.
    Author,
    /// Computes, and reads what its tenant computed.
    Engineer,
    /// Reads.
    Viewer,
}

impl Role {
    /// The most powerful first.
    pub const ALL: [Role; 4] = [Role::Admin, Role::Author, Role::Engineer, Role::Viewer];

    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Author => "author",
            Role::Engineer => "engineer",
            Role::Viewer => "viewer",
        }
    }

    pub const fn may_write(self) -> bool {
        matches!(self, Role::Admin | Role::Author | Role::Engineer)
    }

    pub const fn may_publish(self) -> bool {
        matches!(self, Role::Admin | Role::Author)
    }

    pub const fn may_administer(self) -> bool {
        matches!(self, Role::Admin)
    }
}

impl std::str::FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Role::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| format!("unknown role {text:?}: use admin, author, engineer or viewer"))
    }
}
