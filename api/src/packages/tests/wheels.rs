//! Wheels in a package: which are taken, which are not, and why.

use super::*;

/// A wheel with a module of its name; `metadata` follows the name and the version in METADATA.
fn wheel(name: &str, tag: &str, metadata: &str, more: &[(&str, &[u8])]) -> Vec<u8> {
    let folder = format!("{name}-1.0.dist-info");
    let about = format!("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n");
    let metadata =
        format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{metadata}\n\nRequires-Dist: in-the-body\n");
    let (module, about_name, metadata_name) =
        (format!("{name}/__init__.py"), format!("{folder}/WHEEL"), format!("{folder}/METADATA"));
    let mut files: Vec<(&str, &[u8])> = vec![
        (module.as_str(), b"x = 1\n"),
        (about_name.as_str(), about.as_bytes()),
        (metadata_name.as_str(), metadata.as_bytes()),
    ];
    files.extend_from_slice(more);
    zip_of(&files)
}

fn pure(name: &str, metadata: &str) -> Vec<u8> {
    wheel(name, "py3-none-any", metadata, &[])
}

fn with(requirements: &str, wheels: &[(&str, Vec<u8>)]) -> Result<Package, Vec<Fault>> {
    let manifest = MANIFEST.replace("kind: python", &format!("kind: python\n  requirements: {requirements}"));
    let mut files: Vec<(&str, &[u8])> = vec![("mecapy.yml", manifest.as_bytes()), ("beams.py", SOURCE.as_bytes())];
    files.extend(wheels.iter().map(|(name, content)| (*name, content.as_slice())));
    open(&files)
}

#[test]
fn pure_python_is_taken_and_can_be_imported() {
    let manifest = MANIFEST
        .replace("kind: python", "kind: python\n  requirements: [\"Foo_Bar>=1,<2\", \"numpy\", \"python-dateutil\"]");
    let source = format!("import foo_bar\nimport numpy\n{SOURCE}");
    let content =
        wheel("foo_bar", "py3-none-any", "Requires-Python: >=3.8", &[("foo_bar/data.txt", b"x"), ("top.py", b"")]);
    let package = open(&[
        ("mecapy.yml", manifest.as_bytes()),
        ("beams.py", source.as_bytes()),
        ("wheels/foo_bar-1.0-py2.py3-none-any.whl", &content),
    ]);
    let package = package.unwrap_or_else(|faults| panic!("{:#?}", shown(&faults)));
    let wheel = &package.wheels[0];
    assert_eq!((wheel.name.as_str(), wheel.version.to_string().as_str()), ("foo-bar", "1.0"));
    assert_eq!(wheel.modules.iter().map(String::as_str).collect::<Vec<_>>(), ["foo_bar", "top"]);
    assert_eq!(wheel.files.get("foo_bar/data.txt"), Some(b"x".as_slice()));
    for tag in ["py3-none-any", "py310-none-any", "py315-none-any", "1a-py3-none-any"] {
        let file = format!("wheels/foo-1.0-{tag}.whl");
        assert_faults(with("[]", &[(file.as_str(), pure("foo", ""))]), &[], tag);
    }
}

#[test]
fn native_code_is_named_with_its_package_and_file() {
    let native = "…which a sandbox can't load";
    for (file, content, words) in [
        (
            "wheels/foo-1.0-cp315-cp315-manylinux_2_17_x86_64.whl",
            pure("foo", ""),
            "foo needs native code (wheels/foo-1.0-cp315-cp315-manylinux_2_17_x86_64.whl is built for cp315-cp315-manylinux_2_17_x86_64)",
        ),
        (
            "wheels/foo-1.0-py3-none-win_amd64.whl",
            pure("foo", ""),
            "foo needs native code (wheels/foo-1.0-py3-none-win_amd64.whl is built for",
        ),
        // The file's name says one thing, and what is in it another.
        (
            "wheels/foo-1.0-py3-none-any.whl",
            wheel("foo", "cp312-cp312-linux_x86_64", "", &[]),
            "foo needs native code (wheels/foo-1.0-py3-none-any.whl is built for cp312-cp312-linux_x86_64)",
        ),
        (
            "wheels/foo-1.0-py3-none-any.whl",
            wheel("foo", "py3-none-any", "", &[("foo/_fast.so", b"x")]),
            "foo needs native code (wheels/foo-1.0-py3-none-any.whl holds foo/_fast.so)",
        ),
        (
            "wheels/foo-1.0-py3-none-any.whl",
            wheel("foo", "py3-none-any", "", &[("foo.libs/libx.so.1.2", b"x")]),
            "holds foo.libs/libx.so.1.2",
        ),
        (
            "wheels/foo-1.0-py3-none-any.whl",
            wheel("foo", "py3-none-any", "", &[("foo/_fast.cp312-win.pyd", b"x")]),
            "holds foo/_fast.cp312-win.pyd",
        ),
        (
            "wheels/foo-1.0-py3-none-any.whl",
            wheel("foo", "py3-none-any", "", &[("foo/data.bin", b"\x7fELF..")]),
            "holds foo/data.bin",
        ),
    ] {
        let pointer = format!("{} native_code ", json_pointer(file));
        let result = with("[foo]", &[(file, content)]);
        let found = shown(&result.unwrap_err());
        assert!(
            found[0].starts_with(&pointer) && found[0].contains(words) && found[0].contains(&native[3..]),
            "{found:?}"
        );
        // The requirement that the wheel would have met is missing then, and says so.
        assert!(found.len() == 2 && found[1].starts_with("/runtime/requirements/0 requirement_missing"), "{found:?}");
    }
}

fn json_pointer(file: &str) -> String {
    format!("/files/{}", file.replace('/', "~1"))
}

#[test]
fn what_is_no_wheel_is_refused() {
    let good = || pure("foo", "");
    let without = |member: &str| zip_of(&[("foo/__init__.py", b""), (member, b"Root-Is-Purelib: true\nName: foo\n")]);
    for (file, content, expected) in [
        ("wheels/foo.whl", good(), "invalid_wheel …too few parts"),
        ("wheels/foo-1.0-py3-none.whl", good(), "invalid_wheel …too few parts"),
        ("wheels/foo-1.0-1-2-py3-none-any.whl", good(), "invalid_wheel …too many parts"),
        ("wheels/foo-one-py3-none-any.whl", good(), "invalid_wheel …its version is none"),
        ("wheels/foo-1.0.tar.gz", good(), "invalid_wheel …doesn't end with .whl"),
        ("wheels/bar-1.0-py3-none-any.whl", good(), "invalid_wheel …METADATA names foo, and the file's name bar"),
        ("wheels/foo-1.0-py2-none-any.whl", good(), "python_version foo is not for this Python"),
        ("wheels/foo-1.0-py316-none-any.whl", good(), "python_version …3.15"),
        ("wheels/foo-1.0-cp312-none-any.whl", good(), "python_version"),
        (
            "wheels/foo-1.0-py3-none-any.whl",
            pure("foo", "Requires-Python: <3.15"),
            "python_version foo needs Python <3.15",
        ),
        ("wheels/foo-1.0-py3-none-any.whl", b"x".to_vec(), "not_a_zip wheels/foo-1.0-py3-none-any.whl:"),
        ("wheels/foo-1.0-py3-none-any.whl", zip_of(&[("../x", b"")]), "invalid_file_name"),
        ("wheels/foo-1.0-py3-none-any.whl", without("foo-1.0.dist-info/WHEEL"), "invalid_wheel …no METADATA"),
        ("wheels/foo-1.0-py3-none-any.whl", without("foo-1.0.dist-info/METADATA"), "invalid_wheel …no WHEEL"),
        ("wheels/foo-1.0-py3-none-any.whl", pure("foo", "Requires-Dist: a b"), "invalid_wheel …a>=1.11"),
        ("wheels/foo-1.0-py3-none-any.whl", zip_of(&[("zeros", &vec![0; 12 << 20])]), "archive_bomb"),
    ] {
        let expected = format!("{} {expected}", json_pointer(file));
        assert_faults(with("[]", &[(file, content)]), &[&expected], file);
    }
    let twice = [("wheels/foo-1.0-py3-none-any.whl", good()), ("wheels/Foo-1.1-py3-none-any.whl", good())];
    assert_faults(with("[]", &twice), &["/files/wheels~1foo-1.0-py3-none-any.whl duplicate_wheel"], "twice");
}

#[test]
fn requirements_are_met_by_the_image_or_by_wheels() {
    let file = "wheels/foo-1.0-py3-none-any.whl";
    let own = |text: &str| format!("[{}]", serde_json::to_string(text).unwrap());
    let foo = || vec![(file, pure("foo", ""))];
    for (requirement, wheels, expected) in [
        ("numpy>=2", vec![], None),
        ("NumPy", vec![], None),
        ("foo", foo(), None),
        ("foo; python_version < '3'", vec![], None),
        (
            "numpy>=3",
            vec![],
            Some(
                "/runtime/requirements/0 requirement_version the package needs numpy>=3, and the platform's Python has numpy 2.5.2, which can't be replaced",
            ),
        ),
        (
            "foo>=2",
            foo(),
            Some(
                "/runtime/requirements/0 requirement_version the package needs foo>=2, and wheels/foo-1.0-py3-none-any.whl is version 1.0",
            ),
        ),
        ("nunpy", vec![], Some("/runtime/requirements/0 requirement_missing …did you mean numpy?")),
        (
            "tensorflow",
            vec![],
            Some("/runtime/requirements/0 requirement_missing …put its pure-Python wheel into the folder wheels"),
        ),
        ("foo @ https://example.org/x.whl", foo(), Some("/runtime/requirements/0 invalid_requirement …no network")),
    ] {
        let expected: Vec<&str> = expected.into_iter().collect();
        assert_faults(with(&own(requirement), &wheels), &expected, requirement);
    }
}

#[test]
fn what_wheels_require_is_followed_with_its_conditions_and_extras() {
    let file = "wheels/foo-1.0-py3-none-any.whl";
    let pointer = "/files/wheels~1foo-1.0-py3-none-any.whl";
    let bar = || ("wheels/bar-1.0-py3-none-any.whl", pure("bar", "Requires-Dist: foo[plot]"));
    let missing = |name: &str| format!("{pointer} requirement_missing foo needs {name}");
    for (metadata, requirement, expected) in [
        ("Requires-Dist: baz", "foo", Some("baz")),
        ("Requires-Dist: baz; sys_platform == 'win32'", "foo", None),
        ("Requires-Dist: baz; extra == 'plot'", "foo", None),
        ("Requires-Dist: baz ; extra == 'plot'", "foo[Plot]", Some("baz")),
        ("Requires-Dist: numpy>=2\nRequires-Dist: bar", "foo", None),
        ("Requires-Dist: foo[plot]; extra == 'all'\nRequires-Dist: baz; extra == 'plot'", "foo[all]", Some("baz")),
    ] {
        let mut wheels = vec![(file, pure("foo", metadata))];
        if metadata.contains("bar") {
            wheels.push(bar());
        }
        let expected: Vec<String> = expected.map(&missing).into_iter().collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        assert_faults(with(&format!("[\"{requirement}\"]"), &wheels), &expected, metadata);
    }
    // A wheel asks for itself with other extras, in a circle.
    let circle = "Requires-Dist: foo[b]; extra == 'a'\nRequires-Dist: foo[a]; extra == 'b'\nRequires-Dist: foo[a,b]; extra == 'b'";
    assert_faults(with("[\"foo[a]\"]", &[(file, pure("foo", circle))]), &[], circle);
    let unused = with("[]", &[("wheels/numpy-1.0-py3-none-any.whl", pure("numpy", "Requires-Dist: baz"))]).unwrap();
    assert_eq!(unused.warnings[0].code, "wheel_unused");
}

#[test]
fn requirements_of_a_file_have_its_lines() {
    let manifest = MANIFEST.replace("kind: python", "kind: python\n  requirements: true");
    let text = "# what we need\nnumpy>=2  # arrays\n\nscypi\n-r more.txt\n";
    let result = open(&[
        ("mecapy.yml", manifest.as_bytes()),
        ("beams.py", SOURCE.as_bytes()),
        ("requirements.txt", text.as_bytes()),
    ]);
    let expected = [
        "/files/requirements.txt invalid_requirement@5 \"-r more.txt\"",
        "/files/requirements.txt requirement_missing",
    ];
    assert_faults(result, &expected, text);
}
