//! Writes artifacts into a folder of the user's, and nowhere else.

use crate::client::{ArtifactAnswer, Client, InlineArtifact};
use anyhow::{Context, Result};
use base64::Engine as _;
use cap_std::{ambient_authority, fs::Dir};
use indicatif::ProgressBar;
use mecapy_model::ArtifactName;
use serde::Serialize;
use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// Where artifacts go when no folder is named.
pub(crate) const OUT_FOLDER_DEFAULT: &str = "mecapy-out";

/// An artifact, and where it was written, if it was.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SavedArtifact {
    pub name: ArtifactName,
    pub content_type: String,
    pub size_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
}

/// A folder for artifacts, made when the first is written. A link in it that leads elsewhere is not followed.
#[derive(Debug)]
pub(crate) struct OutFolder {
    path: PathBuf,
    dir: Option<Dir>,
}

impl OutFolder {
    pub(crate) fn new(path: Option<&Path>) -> Self {
        Self { path: path.unwrap_or(Path::new(OUT_FOLDER_DEFAULT)).to_owned(), dir: None }
    }

    /// Writes one file, over an earlier one of that name.
    pub(crate) fn save(&mut self, name: &ArtifactName, content_type: &str, bytes: &[u8]) -> Result<SavedArtifact> {
        let shown = self.path.join(name.as_str());
        let mut file = self.create(name)?;
        file.write_all(bytes).with_context(|| format!("can't write {}", shown.display()))?;
        Ok(SavedArtifact {
            name: name.clone(),
            content_type: content_type.to_owned(),
            size_bytes: bytes.len() as u64,
            path: Some(shown),
        })
    }

    /// Writes what a preview's answer carries.
    pub(crate) fn save_inline(&mut self, artifacts: &[InlineArtifact]) -> Result<Vec<SavedArtifact>> {
        let save = |artifact: &InlineArtifact| {
            let bytes = base64::engine::general_purpose::STANDARD.decode(&artifact.base64);
            let bytes = bytes.with_context(|| format!("artifact {} is not base64", artifact.name.as_str()))?;
            self.save(&artifact.name, &artifact.content_type, &bytes)
        };
        artifacts.iter().map(save).collect()
    }

    /// Downloads a stored artifact; the bar counts its bytes.
    pub(crate) async fn download(
        &mut self,
        client: &Client,
        artifact: &ArtifactAnswer,
        bar: &ProgressBar,
    ) -> Result<SavedArtifact> {
        let mut file = self.create(&artifact.name)?;
        bar.set_message(artifact.name.as_str().to_owned());
        let write = |chunk: &[u8]| {
            bar.inc(chunk.len() as u64);
            file.write_all(chunk)
        };
        client.download(artifact, write).await?;
        let path = Some(self.path.join(artifact.name.as_str()));
        Ok(SavedArtifact { path, ..SavedArtifact::of(artifact) })
    }

    fn create(&mut self, name: &ArtifactName) -> Result<cap_std::fs::File> {
        let shown = self.path.join(name.as_str());
        let dir = match &mut self.dir {
            Some(dir) => dir,
            unopened => unopened.insert(open(&self.path)?),
        };
        let create = || {
            if let Some((parents, _)) = name.as_str().rsplit_once('/') {
                dir.create_dir_all(parents)?;
            }
            dir.create(name.as_str())
        };
        create().with_context(|| format!("can't write {}", shown.display()))
    }
}

impl SavedArtifact {
    /// An artifact that stays on the server.
    pub(crate) fn of(artifact: &ArtifactAnswer) -> Self {
        Self {
            name: artifact.name.clone(),
            content_type: artifact.content_type.clone(),
            size_bytes: artifact.size_bytes,
            path: None,
        }
    }
}

fn open(path: &Path) -> Result<Dir> {
    let opened = std::fs::create_dir_all(path).and_then(|()| Dir::open_ambient_dir(path, ambient_authority()));
    opened.with_context(|| format!("can't make the folder {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ArtifactName {
        ArtifactName::parse(text).unwrap()
    }

    #[test]
    fn artifacts_keep_their_folders_and_replace_earlier_ones() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("out");
        let mut out = OutFolder::new(Some(&path));
        assert!(!path.exists());
        out.save(&name("plots/été.png"), "image/png", b"first, longer").unwrap();
        let saved = out.save(&name("plots/été.png"), "image/png", b"second").unwrap();
        assert_eq!(std::fs::read(saved.path.unwrap()).unwrap(), b"second");
        assert_eq!(saved.size_bytes, 6);
    }

    #[test]
    fn security_12_a_link_in_the_folder_leads_nowhere() {
        let top = tempfile::tempdir().unwrap();
        let (path, outside) = (top.path().join("out"), top.path().join("outside.txt"));
        std::fs::create_dir(&path).unwrap();
        std::fs::write(&outside, "canary").unwrap();
        std::os::unix::fs::symlink(&outside, path.join("a.txt")).unwrap();
        std::os::unix::fs::symlink(top.path(), path.join("b")).unwrap();
        let mut out = OutFolder::new(Some(&path));
        assert!(out.save(&name("a.txt"), "text/plain", b"x").is_err());
        assert!(out.save(&name("b/outside.txt"), "text/plain", b"x").is_err());
        assert_eq!(std::fs::read(outside).unwrap(), b"canary");
    }
}
