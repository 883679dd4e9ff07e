//! The house rules as tests over the tree. Pure reading: nothing is built, started or fetched.

use anyhow::{Context, Result, ensure};
use mecapy_tests::tidy::{TreeFile, code_only, identifiers, manifests, python_functions, rust_functions, tree_files};
use std::collections::BTreeSet;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const FILE_BYTES_MAX: u64 = 1 << 20;
/// This file names what the others may not.
const THIS_FILE: &str = "tests/tests/tidy.rs";

/// Folder, and the crates of ours that it may depend on. A new arrow is a change of the architecture.
const ARROWS: [(&str, &[&str]); 8] = [
    ("runtime/linalg", &[]),
    ("runtime/model", &[]),
    ("runtime", &["mecapy-linalg", "mecapy-model"]),
    ("python-wasm", &["mecapy-linalg", "mecapy-runtime", "mecapy-model"]),
    ("api/store", &["mecapy-model"]),
    ("api/workflow", &["mecapy-model"]),
    ("api", &["mecapy-model", "mecapy-runtime", "mecapy-python", "mecapy-store", "mecapy-workflow"]),
    ("tests", &["mecapy-model"]),
];

/// What is heavy, by the beginning of its name, and the folders that may depend on it.
const HEAVY: [(&str, &[&str]); 16] = [
    ("wasmtime", &["runtime", "python-wasm"]),
    ("cranelift", &[]),
    ("arrow-", &["api", "tests"]),
    ("parquet", &["api", "tests"]),
    ("axum", &["api"]),
    ("utoipa-axum", &["api"]),
    ("utoipa-swagger-ui", &["api"]),
    ("tower", &["api"]),
    ("clap", &["api"]),
    ("jsonwebtoken", &["api"]),
    ("sqlx", &["api/store"]),
    ("redis", &["api/store"]),
    ("aws-", &["api/store"]),
    ("bollard", &["runtime"]),
    ("reqwest", &["api", "tests"]),
    ("tokio", &["runtime", "api/store", "api", "tests"]),
];

/// Lines of the security list that concern what exists today; each must be named by a test.
const SECURITY_LINES: [u32; 40] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
    32, 33, 34, 35, 36, 37, 38, 39, 40,
];

/// Places whose files hold tests.
const TEST_PLACES: [&str; 6] = ["runtime", "api", "tests", "python-wasm", "fixtures", "guest-sdk"];

#[test]
fn crates_depend_on_one_another_only_along_the_arrows() -> Result<()> {
    for manifest in manifests()? {
        let (_, allowed) = ARROWS
            .iter()
            .find(|(folder, _)| *folder == manifest.folder)
            .with_context(|| format!("{} is a crate that the arrows do not know", manifest.folder))?;
        for dependency in manifest.dependencies.iter().filter(|name| name.starts_with("mecapy-")) {
            ensure!(allowed.contains(&dependency.as_str()), "{} must not depend on {dependency}", manifest.name);
        }
        ensure!(manifest.inherits_lints, "{} does not inherit the workspace's lints", manifest.name);
    }
    Ok(())
}

#[test]
fn heavy_dependencies_stay_in_the_crates_made_for_them() -> Result<()> {
    for manifest in manifests()? {
        for dependency in &manifest.dependencies {
            for (heavy, folders) in HEAVY.iter().filter(|(heavy, _)| dependency.starts_with(heavy)) {
                let allowed = folders.contains(&manifest.folder.as_str());
                ensure!(allowed, "{} must not depend on {dependency} ({heavy})", manifest.name);
            }
        }
    }
    Ok(())
}

#[test]
fn http_never_names_the_worker_and_the_worker_never_names_axum() -> Result<()> {
    for (folder, unspeakable) in [("api/src/http", "worker"), ("api/src/worker", "axum"), ("api/src/worker", "http")] {
        for (file, text) in sources(&["rs"])?.into_iter().filter(|(file, _)| file.is_under(folder)) {
            let code = code_only(&text);
            let named = identifiers(&code).into_iter().find(|(_, word)| *word == unspeakable);
            ensure!(named.is_none(), "{} names {unspeakable}", file.path);
        }
    }
    Ok(())
}

#[test]
fn the_workflow_engine_knows_no_clock_no_randomness_and_no_async_code() -> Result<()> {
    let unspeakable =
        ["async", "await", "Instant", "SystemTime", "OffsetDateTime", "rand", "getrandom", "fs", "thread"];
    for (file, text) in sources(&["rs"])?.into_iter().filter(|(file, _)| file.is_under("api/workflow/src")) {
        let code = code_only(&text);
        let named = identifiers(&code).into_iter().find(|(_, word)| unspeakable.contains(word));
        ensure!(named.is_none(), "{} names {named:?}", file.path);
    }
    Ok(())
}

#[test]
fn the_environment_is_read_in_config_alone() -> Result<()> {
    let readers = ["var", "vars", "var_os", "vars_os"];
    let mut faults = Vec::new();
    for (file, text) in sources(&["rs"])? {
        let folders = ["api/src/config", "api/store/tests", "runtime/tests", "tests", "fixtures"];
        let exempt = folders.iter().any(|folder| file.is_under(folder));
        // A build script is told by cargo, through the environment, where to write; tests, where the servers are.
        if exempt || file.path.ends_with("build.rs") || file.path == "api/store/src/sql/tests.rs" {
            continue;
        }
        let code = code_only(&text);
        let words = identifiers(&code);
        let mut pairs = words.iter().zip(words.iter().skip(1));
        if pairs.any(|((_, module), (_, call))| *module == "env" && readers.contains(call)) {
            faults.push(format!("{} reads the environment", file.path));
        }
    }
    none(faults)
}

#[test]
fn files_and_functions_stay_short() -> Result<()> {
    let mut faults = Vec::new();
    for (file, text) in sources(&["rs", "py", "c", "h", "sh"])? {
        let lines = text.lines().count();
        if lines >= FILE_LINES_MAX {
            faults.push(format!("{} has {lines} lines", file.path));
        }
        let functions = match file.extension() {
            "rs" => rust_functions(&text),
            "py" => python_functions(&text),
            _ => continue,
        };
        for function in functions.into_iter().filter(|function| function.lines >= FUNCTION_LINES_MAX) {
            faults.push(format!("{}:{} {} has {} lines", file.path, function.line, function.name, function.lines));
        }
    }
    none(faults)
}

#[test]
fn files_are_named_for_what_they_hold() -> Result<()> {
    let nondescript = ["utils", "util", "common", "helpers", "helper", "manager", "misc", "stuff"];
    for file in tree_files()?.iter().filter(|file| ["rs", "py", "c", "h", "sh"].contains(&file.extension())) {
        let parts = file.path.split('/').map(|part| part.split('.').next().unwrap_or_default());
        let bad = parts.into_iter().find(|part| nondescript.contains(part));
        ensure!(bad.is_none(), "{} says nothing of what it holds", file.path);
    }
    Ok(())
}

#[test]
fn every_rust_file_says_what_it_is_for() -> Result<()> {
    let mut faults = Vec::new();
    for (file, text) in sources(&["rs"])? {
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        if !(first.starts_with("//! ") && first.len() > 12) {
            faults.push(format!("{} does not begin with //!", file.path));
        }
    }
    none(faults)
}

#[test]
fn nothing_is_left_for_later() -> Result<()> {
    let left =
        ["TODO", "FIXME", "XXX:", "todo!(", "unimplemented!(", "dbg!(", "#[ignore", "@unittest.skip", "! Placeholder"];
    let mut faults = Vec::new();
    for (file, text) in sources(&["rs", "py", "c", "h", "sh", "toml", "yml", "md", "wat", "wit", "sql"])? {
        faults.extend(left.iter().filter(|mark| text.contains(*mark)).map(|mark| format!("{} has {mark}", file.path)));
    }
    none(faults)
}

#[test]
fn no_machine_and_no_registry_is_named() -> Result<()> {
    let hosts = [
        "deb.|debian.org",
        "files.|pythonhosted",
        "registry.|npmjs",
        "static.|crates.io",
        "index.|crates.io",
        "pypi.|org",
    ];
    let paths =
        ["/work/|main", "/work/|shared", "/work/|steering", "/work/|.library", "/|farm/", "/root/|.cargo", "/tmp/|w/"];
    let names: Vec<_> = hosts.iter().chain(&paths).map(|parts| parts.replace('|', "")).collect();
    let mut faults = Vec::new();
    for file in tree_files()?.into_iter().filter(|file| file.path != "Cargo.lock") {
        let text = file.text()?.unwrap_or_default();
        faults
            .extend(names.iter().filter(|name| text.contains(*name)).map(|name| format!("{} names {name}", file.path)));
    }
    none(faults)
}

#[test]
fn the_tree_holds_sources_and_no_binaries() -> Result<()> {
    let built = ["wasm", "cwasm", "so", "a", "o", "exe", "dll", "pyc", "whl", "zip", "gz", "db", "sqlite"];
    for file in tree_files()? {
        ensure!(file.bytes <= FILE_BYTES_MAX, "{} has {} bytes", file.path, file.bytes);
        ensure!(!built.contains(&file.extension()), "{} is a build product", file.path);
    }
    Ok(())
}

#[test]
fn every_line_of_the_security_list_has_a_test() -> Result<()> {
    let mut named = BTreeSet::new();
    for (file, text) in sources(&["rs", "py", "c", "wat"])? {
        if file.path != THIS_FILE && TEST_PLACES.iter().any(|place| file.is_under(place)) {
            let after = text.split("security_").skip(1);
            named.extend(after.filter_map(|rest| rest.get(..2)?.parse::<u32>().ok()));
        }
    }
    let missing: Vec<_> = SECURITY_LINES.iter().filter(|line| !named.contains(line)).collect();
    ensure!(missing.is_empty(), "no test is named security_NN for the lines {missing:?}");
    Ok(())
}

#[test]
fn documents_link_to_what_exists() -> Result<()> {
    let files = tree_files()?;
    let documents = files.iter().filter(|file| file.extension() == "md");
    for document in documents {
        let text = document.text()?.with_context(|| format!("{} is not UTF-8", document.path))?;
        let folder = document.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
                continue;
            }
            let full = mecapy_tests::repository_root().join(folder).join(path);
            ensure!(full.exists(), "{} links to {target}, which does not exist", document.path);
        }
    }
    for needed in ["README.md", "ARCHITECTURE.md", "SECURITY.md", "LICENSE", "Makefile", ".ci/run"] {
        ensure!(files.iter().any(|file| file.path == needed), "{needed} is missing");
    }
    Ok(())
}

/// Fails with all faults, one a line.
fn none(faults: Vec<String>) -> Result<()> {
    ensure!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    Ok(())
}

/// The text files with one of these extensions, this file aside.
fn sources(extensions: &[&str]) -> Result<Vec<(TreeFile, String)>> {
    let mut found = Vec::new();
    for file in
        tree_files()?.into_iter().filter(|file| extensions.contains(&file.extension()) && file.path != THIS_FILE)
    {
        let text = file.text()?.with_context(|| format!("{} is not UTF-8", file.path))?;
        found.push((file, text));
    }
    Ok(found)
}
