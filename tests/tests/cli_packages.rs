//! Packages and functions from the command line: checked, published, found, called, and taken back.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Server, run_binary};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};
use tempfile::TempDir;

const COMPLETED: i32 = 0;
const MISUSE: i32 = 2;
const REFUSED: i32 = 3;

const MANIFEST: &str = "\
version: \"1\"
package: {name: rods, version: 1.0.0, description: Round rods, visibility: internal}
runtime: {kind: python}
functions:
  rod:
    handler: rods:rod
    description: Mean stress in a round rod
    inputs:
      F: {type: Force, unit: N, description: Axial force}
      d: {type: Length, unit: mm, default: 12, validity: d >= 3}
      note: {type: String, required: false}
    outputs:
      stress: {type: Stress, unit: MPa}
    testcases:
      - {name: M12, inputs: {F: 50000}, expected_outputs: {stress: 442.0970641441537}}
";
const SOURCE: &str = "def rod(F, d, note=None):\n    return {'stress': F / (3.141592653589793 * d**2 / 4)}\n";

/// A server, and the folder of a package.
struct Author {
    server: Server,
    folder: TempDir,
}

impl Author {
    async fn new() -> Result<Self> {
        let author = Self { server: Server::start().await?, folder: tempfile::tempdir()? };
        author.write(MANIFEST, SOURCE)?;
        Ok(author)
    }

    fn write(&self, manifest: &str, source: &str) -> Result<()> {
        fs::write(self.path("mecapy.yml"), manifest)?;
        Ok(fs::write(self.path("rods.py"), source)?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the binary; stdout and stderr. `PACKAGE` is the package's folder.
    async fn run(&self, arguments: &[&str], exit: i32) -> Result<(String, String)> {
        let package = self.folder.path().to_str().context("the temporary folder is not UTF-8")?;
        let arguments: Vec<_> =
            arguments.iter().map(|argument| if *argument == "PACKAGE" { package } else { argument }).collect();
        let variables = [
            ("MECAPY_API_URL".to_owned(), self.server.base_url()),
            ("MECAPY_TOKEN".to_owned(), self.server.key().to_owned()),
            ("NO_COLOR".to_owned(), "1".to_owned()),
        ];
        let (code, out, said) = run_binary(&arguments, &variables).await?;
        ensure!(code == exit, "{arguments:?}: {code} instead of {exit}:\n{out}{said}");
        Ok((out, said))
    }

    async fn json(&self, arguments: &[&str], exit: i32) -> Result<Value> {
        let (out, _) = self.run(&[&["--json"][..], arguments].concat(), exit).await?;
        serde_json::from_str(&out).with_context(|| out)
    }
}

#[tokio::test]
async fn a_package_is_checked_published_found_and_called() -> Result<()> {
    let author = Author::new().await?;
    let (would_be, said) = author.run(&["publish", "PACKAGE", "--check"], COMPLETED).await?;
    ensure!(would_be.starts_with("default/rods@1.0.0#rod"), "{would_be}");
    ensure!(said.contains("nothing was kept") && said.contains("1 passed, 0 failed"), "{said}");
    author.run(&["packages", "show", "default/rods"], REFUSED).await?;

    let published = author.json(&["publish", "PACKAGE"], COMPLETED).await?;
    ensure!(published.pointer("/reference") == Some(&json!("default/rods@1.0.0")), "{published}");
    ensure!(published.pointer("/tests/passed") == Some(&json!(1)), "{published}");
    let digest = published.pointer("/digest").and_then(Value::as_str).context("no digest")?;
    let (_, again) = author.run(&["publish", "PACKAGE"], REFUSED).await?;
    ensure!(again.contains(digest), "{again}");

    let (found, _) = author.run(&["functions", "list", "rods"], COMPLETED).await?;
    ensure!(found.contains("default/rods@1.0.0#rod  Mean stress in a round rod"), "{found}");
    let (listed, _) = author.run(&["packages", "list"], COMPLETED).await?;
    ensure!(listed.contains("default/rods") && listed.contains("internal"), "{listed}");
    let (shown, _) = author.run(&["functions", "show", "default/rods#rod"], COMPLETED).await?;
    for words in ["Force", "needed", "Axial force", "valid where d >= 3", "Stress  MPa", "-i F=12N"] {
        ensure!(shown.contains(words), "{words:?} is missing in\n{shown}");
    }
    let (version, _) = author.run(&["packages", "show", "default/rods@1.0.0"], COMPLETED).await?;
    ensure!(version.contains(digest) && version.contains("#rod"), "{version}");

    let inputs = ["-i", "F=50kN", "-i", "d=0.012m", "-i", "note=\"12mm\""];
    for reference in ["default/rods#rod", "default/rods@1.0.0#rod"] {
        let called = author.json(&[&["preview", reference][..], &inputs].concat(), COMPLETED).await?;
        let waited = author.json(&[&["submit", reference, "--wait"][..], &inputs].concat(), COMPLETED).await?;
        for report in [called, waited] {
            let stress = report.pointer("/result/stress").and_then(Value::as_f64).context("no stress")?;
            ensure!((stress - 442.097_064_144_153_7).abs() < 1e-9, "{report}");
        }
    }
    author.run(&["preview", "default/rods#rod", "-i", "F=50mm"], REFUSED).await?;
    author.run(&["preview", "default/rods@1.0#rod"], MISUSE).await?;
    author.run(&["run", "default/rods#rod"], MISUSE).await?;
    Ok(())
}

#[tokio::test]
async fn faults_are_shown_in_the_files_that_have_them() -> Result<()> {
    let author = Author::new().await?;
    let rows = [
        // Found here, before anything is sent.
        (MANIFEST.replace("unit: mm", "unit: mmm"), SOURCE, " --> mecapy.yml:10"),
        // Found there.
        (MANIFEST.replace("rods:rod", "rods:rot"), SOURCE, " --> mecapy.yml:"),
        (MANIFEST.replace("442.0970641441537", "442.1"), SOURCE, "error[test_failed]"),
        (MANIFEST.to_owned(), "def rod(:\n", "error["),
    ];
    for (manifest, source, words) in &rows {
        author.write(manifest, source)?;
        let (_, said) = author.run(&["publish", "PACKAGE"], REFUSED).await?;
        ensure!(said.contains(words), "{words:?} is missing in\n{said}");
    }
    let nothing = author.json(&["packages", "list"], COMPLETED).await?;
    ensure!(nothing.pointer("/packages") == Some(&json!([])), "{nothing}");
    Ok(())
}

#[tokio::test]
async fn a_version_is_taken_back_and_given_again() -> Result<()> {
    let author = Author::new().await?;
    author.run(&["publish", "PACKAGE"], COMPLETED).await?;
    author.write(&MANIFEST.replace("1.0.0", "1.1.0"), SOURCE)?;
    author.run(&["publish", "PACKAGE"], COMPLETED).await?;
    let newest = |shown: &Value| shown.pointer("/latest_version").cloned();
    author.run(&["packages", "yank", "default/rods"], MISUSE).await?;
    author.run(&["packages", "yank", "default/rods@1.1.0", "--reason", "wrong table"], COMPLETED).await?;
    let shown = author.json(&["packages", "show", "default/rods"], COMPLETED).await?;
    ensure!(newest(&shown) == Some(json!("1.0.0")), "{shown}");
    let (people, _) = author.run(&["packages", "show", "default/rods"], COMPLETED).await?;
    ensure!(people.contains("wrong table") && people.contains("latest 1.0.0"), "{people}");
    // Who names it still gets it.
    author.run(&["preview", "default/rods@1.1.0#rod", "-i", "F=1"], COMPLETED).await?;
    author.run(&["packages", "unyank", "default/rods@1.1.0"], COMPLETED).await?;
    let shown = author.json(&["packages", "show", "default/rods"], COMPLETED).await?;
    ensure!(newest(&shown) == Some(json!("1.1.0")), "{shown}");
    Ok(())
}
