//! What a source's module is kept under.

use super::adapter::arguments;
use crate::solver::Toolchain;
use mecapy_model::Digest;
use sha2::{Digest as _, Sha256};

/// The SHA-256 over a source and all that decides what it is compiled to: language, toolchain with its SDK (by version
/// and image digest), arguments and environment. Each part is preceded by its length, so that no two lists are alike.
pub fn content_key(toolchain: &Toolchain, source: &str) -> Digest {
    let language = toolchain.language;
    let mut parts = vec![language.as_str(), &toolchain.version, &toolchain.image];
    parts.extend(toolchain.command.iter().map(String::as_str));
    parts.extend(arguments(language));
    parts.extend(toolchain.env.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]));
    parts.push(source);
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    Digest(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mecapy_model::SourceLanguage;
    use std::collections::BTreeSet;

    fn toolchain() -> Toolchain {
        Toolchain {
            language: SourceLanguage::Rust,
            version: "1.85".to_owned(),
            title: "Rust".to_owned(),
            licence: "MIT".to_owned(),
            image: format!("sha256:{}", "ab".repeat(32)),
            command: vec!["/usr/bin/rustc".to_owned(), "-O".to_owned()],
            env: [("A".to_owned(), "b".to_owned())].into(),
            note: None,
        }
    }

    #[test]
    fn whatever_decides_the_module_decides_the_key() {
        let base = toolchain();
        let (key, again) = (content_key(&base, "fn main() {}"), content_key(&base.clone(), "fn main() {}"));
        assert_eq!(key, again);
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let variants = [
            Toolchain { language: SourceLanguage::C, ..base.clone() },
            Toolchain { version: "1.86".to_owned(), ..base.clone() },
            Toolchain { image: format!("sha256:{}", "cd".repeat(32)), ..base.clone() },
            Toolchain { command: words(&["/usr/bin/rustc-O"]), ..base.clone() },
            Toolchain { command: words(&["/usr/bin/rustc", "-", "O"]), ..base.clone() },
            Toolchain { env: [("Ab".to_owned(), String::new())].into(), ..base.clone() },
        ];
        let mut keys: BTreeSet<_> = variants.iter().map(|variant| content_key(variant, "fn main() {}")).collect();
        keys.insert(content_key(&base, "fn main() {} "));
        keys.insert(key);
        assert_eq!(keys.len(), variants.len() + 2);
        // What people call it changes nothing.
        let renamed = Toolchain { title: "rustc".to_owned(), note: Some("new".to_owned()), ..base };
        assert_eq!(content_key(&renamed, "fn main() {}"), key);
    }
}
