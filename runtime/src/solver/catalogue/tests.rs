//! Catalogues as operators write them, right and wrong.

use super::*;

const IMAGE: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn good() -> String {
    format!(
        r#"[[solver]]
name = "calculix"
title = "CalculiX CrunchiX"
adapter = "calculix"
licence = "GPL-2.0-or-later"
default_version = "2.20"

[[solver.version]]
version = "2.20"
image = "{IMAGE}"
command = ["/usr/bin/ccx"]
env = {{ OMP_PROC_BIND = "true" }}
memory_bytes_default = 4294967296
note = "Debian 12's build"

[[solver.version]]
version = "2.21-beta.1"
image = "example/ccx@{IMAGE}"
command = ["/opt/ccx", "-i"]
"#
    )
}

fn parse(text: &str) -> Result<Catalogue, String> {
    Catalogue::parse(text, Path::new("solvers.toml")).map_err(|error| error.to_string())
}

#[test]
fn a_catalogue_is_read_whole() {
    let catalogue = parse(&good()).unwrap();
    assert_eq!(catalogue.names(), ["calculix@2.20", "calculix@2.21-beta.1"]);
    let solver = catalogue.solver("calculix").unwrap();
    assert_eq!((solver.adapter, solver.default_version.as_str()), (AdapterKind::CalculiX, "2.20"));
    let version = catalogue.version("calculix", "2.20").unwrap();
    assert_eq!(version.env.get("OMP_PROC_BIND").map(String::as_str), Some("true"));
    assert_eq!((version.memory_bytes_default, version.note.as_deref()), (Some(4 << 30), Some("Debian 12's build")));
    let other = catalogue.version("calculix", "2.21-beta.1").unwrap();
    assert_eq!((other.image.as_str(), other.command.len()), (format!("example/ccx@{IMAGE}").as_str(), 2));
    assert_eq!(catalogue.version("calculix", "9"), None);
    assert_eq!(catalogue.solver("code_aster"), None);
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_what_to_do() {
    let tag = format!("image = \"{IMAGE}\"");
    let rows = [
        ("name = \"calculix\"", "name = \"CalculiX\"", 2, "lower-case letter"),
        ("name = \"calculix\"", "name = \"--privileged\"", 2, "lower-case letter"),
        ("name = \"calculix\"", "nom = \"calculix\"", 2, "unknown field `nom`"),
        ("title = \"CalculiX CrunchiX\"", "title = \"\"", 3, "1 to 500"),
        ("adapter = \"calculix\"", "adapter = \"abaqus\"", 4, "code_aster, calculix or plain"),
        ("default_version = \"2.20\"", "default_version = \"2.2\"", 6, "of: 2.20, 2.21-beta.1"),
        ("version = \"2.20\"\nimage", "version = \"-v\"\nimage", 9, "letter or digit"),
        (&tag, "image = \"ccx:latest\"", 10, "by its digest"),
        (&tag, "image = \"--network=host@sha256:00\"", 10, "by its digest"),
        ("command = [\"/usr/bin/ccx\"]", "command = []", 11, "list of 1 to 64"),
        ("command = [\"/usr/bin/ccx\"]", "command = \"ccx\"", 11, "expected a sequence"),
        ("OMP_PROC_BIND = \"true\"", "\"A=B\" = \"true\"", 12, "variables are"),
        ("4294967296", "1", 13, "bytes are possible"),
        ("4294967296", "-1", 13, "u64"),
        ("version = \"2.21-beta.1\"", "version = \"2.20\"", 17, "two versions"),
        ("name = \"calculix\"", "name = \"rust\"", 2, "a language's name"),
        ("[[solver]]", "[[solver", 1, ""),
    ];
    for (from, to, line, needed) in rows {
        let text = good().replacen(from, to, 1);
        assert_ne!(text, good(), "{from} is there");
        let error = parse(&text).unwrap_err();
        assert!(error.starts_with(&format!("solvers.toml:{line}: ")), "{to}: {error}");
        assert!(error.contains(needed), "{to}: {error}");
    }
    let twice = parse(&[good(), good()].concat()).unwrap_err();
    assert!(twice.starts_with("solvers.toml:21: there are two solvers"), "{twice}");
    assert!(parse("").unwrap_err().contains("[[solver]]"));
    let missing = Catalogue::load(Path::new("/nonexistent/solvers.toml")).unwrap_err();
    assert_eq!(missing.to_string(), "can't read the catalogue of solvers /nonexistent/solvers.toml");
}

fn compiler() -> String {
    format!(
        r#"[[compiler]]
language = "rust"
version = "1.85"
title = "Rust 1.85"
licence = "MIT"
image = "{IMAGE}"
command = ["/usr/bin/rustc", "-O"]
"#
    )
}

#[test]
fn compilers_stand_beside_solvers_one_for_each_language() {
    for text in [compiler(), [good(), compiler()].concat()] {
        let catalogue = parse(&text).unwrap();
        let rust = catalogue.compiler(SourceLanguage::Rust).unwrap();
        assert_eq!((rust.name().as_str(), rust.command.len(), &rust.note), ("rust@1.85", 2, &None));
        assert_eq!(catalogue.compiler(SourceLanguage::C), None);
        assert_eq!(catalogue.images().last(), Some(("rust@1.85".to_owned(), IMAGE)));
    }
    let rows = [
        ("language = \"rust\"", "language = \"fortran\"", 2, "use c or rust"),
        ("version = \"1.85\"", "version = \"-v\"", 3, "letter or digit"),
        ("title = \"Rust 1.85\"\n", "", 1, "missing field `title`"),
        (IMAGE, "rust:latest", 6, "by its digest"),
        ("command = [\"/usr/bin/rustc\", \"-O\"]", "command = []", 7, "list of 1 to 64"),
        ("command", "entrypoint", 7, "unknown field"),
    ];
    for (from, to, line, needed) in rows {
        let error = parse(&compiler().replacen(from, to, 1)).unwrap_err();
        assert!(error.starts_with(&format!("solvers.toml:{line}: ")) && error.contains(needed), "{to}: {error}");
    }
    let twice = parse(&[compiler(), compiler()].concat()).unwrap_err();
    assert!(twice.starts_with("solvers.toml:9: there are two compilers for rust"), "{twice}");
}

/// Security line 24: what could be taken for an option of an engine is no name and no version.
#[test]
fn names_and_versions_have_a_shape() {
    for name in ["code_aster", "calculix", "a", "z9_", &"a".repeat(32)] {
        assert!(is_solver_name(name), "{name}");
    }
    for name in ["", "9a", "_a", "-v", "--privileged", "A", "a b", "a/b", "a:b", "a\n", "a\0", "é", &"a".repeat(33)] {
        assert!(!is_solver_name(name), "{name:?}");
    }
    for version in ["17.4.0", "2.20", "latest", "1_a-B", &"1".repeat(32)] {
        assert!(is_solver_version(version), "{version}");
    }
    let hostile =
        ["", "-v", "--device=/dev/sda", ".", "..", "1/2", "1:2", "1@2", "1 2", "1\n", "1\0", "é", &"1".repeat(33)];
    for version in hostile {
        assert!(!is_solver_version(version), "{version:?}");
    }
}
