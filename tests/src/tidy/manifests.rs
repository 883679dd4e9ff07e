//! The workspace's Cargo manifests: who depends on whom.

use crate::repository_root;
use anyhow::{Context, Result};
use std::{collections::BTreeSet, fs};
use toml::Table;

/// One member crate.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Folder from the top.
    pub folder: String,
    pub name: String,
    /// Every dependency's package name: normal, build, development and per-target ones.
    pub dependencies: BTreeSet<String>,
    /// Whether the workspace's lints apply.
    pub inherits_lints: bool,
}

/// The manifests of all members, in the workspace's order.
pub fn manifests() -> Result<Vec<Manifest>> {
    let workspace = read("Cargo.toml")?;
    let members = workspace.get("workspace").and_then(|table| table.get("members")).and_then(|list| list.as_array());
    let members = members.context("the workspace names no members")?;
    members.iter().map(|member| manifest(member.as_str().unwrap_or_default())).collect()
}

fn manifest(folder: &str) -> Result<Manifest> {
    let table = read(&format!("{folder}/Cargo.toml"))?;
    let package = table.get("package").and_then(|package| package.get("name")).and_then(|name| name.as_str());
    let name = package.with_context(|| format!("{folder} has no package name"))?.to_owned();
    let mut dependencies = BTreeSet::new();
    add_dependencies(&table, &mut dependencies);
    for target in
        table.get("target").and_then(|targets| targets.as_table()).into_iter().flat_map(|table| table.values())
    {
        if let Some(target) = target.as_table() {
            add_dependencies(target, &mut dependencies);
        }
    }
    let lints = table.get("lints").and_then(|lints| lints.get("workspace")).and_then(|value| value.as_bool());
    Ok(Manifest { folder: folder.to_owned(), name, dependencies, inherits_lints: lints == Some(true) })
}

fn add_dependencies(table: &Table, into: &mut BTreeSet<String>) {
    for kind in ["dependencies", "build-dependencies", "dev-dependencies"] {
        for (key, value) in table.get(kind).and_then(|list| list.as_table()).into_iter().flatten() {
            let renamed = value.get("package").and_then(|name| name.as_str());
            into.insert(renamed.unwrap_or(key).to_owned());
        }
    }
}

fn read(path: &str) -> Result<Table> {
    let text = fs::read_to_string(repository_root().join(path)).with_context(|| path.to_owned())?;
    text.parse().with_context(|| path.to_owned())
}
