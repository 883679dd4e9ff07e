//! An image by its digest: the one way in which a container may name what it runs.

use std::str::FromStr;

/// `sha256:<64 hex digits>`, or a repository's name with `@` and that: what a tag could not move.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageDigest(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} does not name an image by digest: use sha256:<64 hex digits>, or name@sha256:<64 hex digits>")]
pub struct NoDigest(String);

impl ImageDigest {
    const NAME_BYTES_MAX: usize = 255;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What puts the image on an engine's machine, as a part of a sentence. A digest alone is the id of an image that was
    /// made here: no registry knows it.
    pub fn to_fetch(&self) -> String {
        if self.0.contains('@') {
            format!("`docker pull {self}` fetches it")
        } else {
            "`docker load --input ARCHIVE` brings it, from the archive that it was made as".to_owned()
        }
    }
}

impl FromStr for ImageDigest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let (name, digest) = text.split_once('@').map_or((None, text), |(name, digest)| (Some(name), digest));
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        let is_digest = hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        // The name becomes part of a request's path: the characters of image references, and no way out of it.
        let is_name = |name: &str| {
            (1..=Self::NAME_BYTES_MAX).contains(&name.len())
                && name.split('/').all(|part| part.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()))
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/:".contains(&byte))
        };
        if is_digest && name.is_none_or(is_name) { Ok(Self(text.to_owned())) } else { Err(NoDigest(text.to_owned())) }
    }
}

impl std::fmt::Display for ImageDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_tag_can_move_names_an_image() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        for good in [digest.clone(), format!("registry:5000/simvia/code_aster@{digest}")] {
            assert_eq!(good.parse::<ImageDigest>().unwrap().as_str(), good);
        }
        for bad in [
            "ccx:latest".to_owned(),
            "sha256:12".to_owned(),
            digest.to_uppercase(),
            format!("{digest}?x"),
            format!("../../containers@{digest}"),
            format!("@{digest}"),
            format!("a b@{digest}"),
            format!("--privileged@{digest}"),
        ] {
            assert!(bad.parse::<ImageDigest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_image_of_a_registry_is_pulled_and_an_id_is_loaded() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let fetch = |text: &str| text.parse::<ImageDigest>().unwrap().to_fetch();
        let named = format!("simvia/code_aster@{digest}");
        assert_eq!(fetch(&named), format!("`docker pull {named}` fetches it"));
        assert!(fetch(&digest).starts_with("`docker load "));
    }
}
