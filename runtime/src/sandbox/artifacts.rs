//! What a guest left under `/work/out` becomes artifacts, where it may.

use super::{Ceilings, grants::OUT};
use crate::tree::Tree;
use mecapy_model::{Artifact, ArtifactName, ErrorKind, Outcome, TaskError};

/// Collects the files. One that can't be an artifact fails an attempt that had completed: a result whose files are
/// missing is no result.
pub(super) fn collect(tree: &Tree, ceilings: &Ceilings, outcome: &mut Outcome) {
    match files(tree, ceilings) {
        Ok(artifacts) => outcome.artifacts = artifacts,
        Err(message) if outcome.result.is_ok() => {
            outcome.result = Err(TaskError::new(ErrorKind::InvalidArtifact, message));
        }
        // The first failure is the one to tell.
        Err(_) => {}
    }
}

fn files(tree: &Tree, ceilings: &Ceilings) -> Result<Vec<Artifact>, String> {
    let mut artifacts = Vec::new();
    let mut bytes_left = ceilings.artifact_bytes_max;
    let Ok(files) = tree.files_under(OUT) else { return Ok(artifacts) };
    for file in files {
        let (name, bytes) = file.map_err(|planted| format!("in {OUT}, {planted}: write ordinary files there"))?;
        if artifacts.len() == ceilings.artifacts_max {
            return Err(format!("{OUT} holds more than {} files: put them into one archive", ceilings.artifacts_max));
        }
        let cap_mib = ceilings.artifact_bytes_max >> 20;
        bytes_left = bytes_left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| format!("the files in {OUT} have more than {cap_mib} MiB together"))?;
        let name = ArtifactName::parse(&name).map_err(|error| error.to_string())?;
        artifacts.push(Artifact::new(name, bytes.to_vec()));
    }
    Ok(artifacts)
}
