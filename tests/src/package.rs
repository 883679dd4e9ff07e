//! Packages of functions, as a tool of an author would zip them, and their publishing.

use crate::{Answer, Company, Server};
use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    fs,
    io::{Cursor, Write},
    path::Path,
};
use zip::{ZipWriter, write::SimpleFileOptions};

/// A zip archive of these files, in this order.
pub fn zip_of(files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    archive_with(files, |_| Ok(()))
}

/// The same with what only `more` knows how to write: links and other things that a package must not hold.
pub fn archive_with(
    files: &[(&str, &[u8])],
    more: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>) -> Result<()>,
) -> Result<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, SimpleFileOptions::default())?;
        writer.write_all(content)?;
    }
    more(&mut writer)?;
    Ok(writer.finish()?.into_inner())
}

/// A zip archive of all files in a folder, by their paths below it.
pub fn zip_of_folder(folder: &Path) -> Result<Vec<u8>> {
    let mut files = Vec::new();
    collect(folder, "", &mut files)?;
    files.sort();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    zip_of(&files)
}

fn collect(folder: &Path, before: &str, files: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{before}{}", entry.file_name().to_string_lossy());
        match entry.file_type()?.is_dir() {
            true => collect(&entry.path(), &format!("{name}/"), files)?,
            false => files.push((name, fs::read(entry.path())?)),
        }
    }
    Ok(())
}

/// The archive with one text put in the place of another of the same length, wherever it stands.
pub fn patched(archive: &[u8], from: &[u8], to: &[u8]) -> Result<Vec<u8>> {
    ensure!(from.len() == to.len() && !from.is_empty(), "{from:?} and {to:?} differ in length");
    let (mut out, mut at, mut found) = (Vec::with_capacity(archive.len()), 0, 0);
    while let Some(rest) = archive.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(from) {
            out.extend_from_slice(to);
            at += from.len();
            found += 1;
        } else {
            out.extend(rest.first());
            at += 1;
        }
    }
    ensure!(found > 0, "there is no {from:?} in the archive");
    Ok(out)
}

/// The manifest of a Python package `name@version` that the whole tenant sees. `functions` is the YAML below `functions:`,
/// indented by two.
pub fn manifest(package: &str, functions: &str) -> String {
    let (name, version) = package.split_once('@').unwrap_or((package, "1.0.0"));
    format!(
        "version: \"1\"\npackage:\n  name: {name}\n  version: {version}\n  visibility: internal\nruntime:\n  kind: python\n\
         functions:\n{functions}"
    )
}

/// The body of a preview or task that calls a published function.
pub fn call(function: &str, inputs: Value) -> Value {
    json!({"code": {"function": function}, "inputs": inputs})
}

impl Server {
    /// Publishes a zip. `query` is empty, or begins with `?`.
    pub async fn publish(&self, zip: Vec<u8>, query: &str) -> Result<Answer> {
        let request = self.request(Method::POST, &format!("/v1/packages{query}"));
        self.send(request.header("content-type", "application/zip").body(zip)).await
    }

    /// Publishes a Python package of the module `calc`, which must be fine.
    pub async fn publish_calc(&self, package: &str, functions: &str, source: &str) -> Result<Answer> {
        let manifest = manifest(package, functions);
        let zip = zip_of(&[("mecapy.yml", manifest.as_bytes()), ("calc.py", source.as_bytes())])?;
        self.publish(zip, "").await?.expect(201)
    }

    /// The answers of a preview and of a task with the same body: both must be fine to accept.
    pub async fn both(&self, body: &Value) -> Result<[Answer; 2]> {
        let preview = self.preview(body).await?.expect(200)?;
        let id = self.submit(body).await?;
        Ok([preview, self.result(&id).await?])
    }
}

impl Company {
    /// Publishes a zip as the holder of the key.
    pub async fn publish(&self, server: &Server, zip: Vec<u8>, query: &str) -> Result<Answer> {
        let request = server.anonymous(Method::POST, &format!("/v1/packages{query}")).bearer_auth(&self.key);
        server.send(request.header("content-type", "application/zip").body(zip)).await
    }

    /// Another key of the tenant, with a role of its own; `id` is the key's then.
    pub async fn colleague(&self, server: &Server, name: &str, role: &str) -> Result<Company> {
        let new = json!({"name": name, "role": role});
        let made = self.post(server, "/v1/api-keys", &new).await?.expect(201)?;
        Ok(Company { id: made.str_at("/id")?, key: made.str_at("/key")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_patched_wherever_the_text_stands() {
        let archive = zip_of(&[("a1.py", b"x"), ("a2.py", b"y")]).unwrap();
        let twice = patched(&archive, b"a2.py", b"a1.py").unwrap();
        assert_eq!((twice.len(), twice.windows(5).filter(|window| *window == b"a1.py").count()), (archive.len(), 4));
        assert!(patched(&archive, b"zz", b"yy").is_err() && patched(&archive, b"a", b"").is_err());
    }
}
