//! Who can find and call what an author publishes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who can find and call a package's functions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Its maintainers, and the administrators of its tenant.
    #[default]
    Private,
    /// Everybody in its tenant.
    Internal,
    /// Everybody.
    Public,
}

impl Visibility {
    /// The narrowest first.
    pub const ALL: [Visibility; 3] = [Visibility::Private, Visibility::Internal, Visibility::Public];

    pub const fn as_str(self) -> &'static str {
        match self {
            Visibility::Private => "private",
            Visibility::Internal => "internal",
            Visibility::Public => "public",
        }
    }
}

impl std::fmt::Display for Visibility {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Visibility {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Visibility::ALL.into_iter().find(|visibility| visibility.as_str() == text);
        found.ok_or_else(|| format!("unknown visibility {text:?}: use private, internal or public"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visibility_has_one_name_everywhere() {
        for visibility in Visibility::ALL {
            assert_eq!(visibility.as_str().parse(), Ok(visibility));
            assert_eq!(serde_json::to_string(&visibility).unwrap(), format!("\"{visibility}\""));
        }
        assert!("Public".parse::<Visibility>().unwrap_err().contains("internal"));
    }
}
