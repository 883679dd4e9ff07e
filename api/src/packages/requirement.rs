//! Requirements as PEP 508 writes them: `scipy[extra] >= 1.11, < 2; python_version < "3.13"`.
//!
//! Versions and their specifiers are pep440_rs's. Names, extras and markers are read here: pep508_rs keeps every marker
//! it ever saw for the life of the process, and one that an author wrote to harm us can grow without bound.

use super::fields::quoted;
use super::runtime::REQUIREMENT_CHARS_MAX;
use pep440_rs::{Version, VersionSpecifier, VersionSpecifiers};
use std::str::FromStr;

/// How deep brackets nest in a marker.
const MARKER_DEPTH_MAX: usize = 16;

/// One requirement.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Requirement {
    /// Normalised.
    pub(super) name: String,
    pub(super) extras: Vec<String>,
    pub(super) versions: VersionSpecifiers,
    marker: Option<String>,
    /// As it was written.
    pub(super) text: String,
}

/// Where code will run, for markers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Environment<'a> {
    /// Python's version with three numbers.
    pub(super) python: &'a str,
    /// The extras that were asked for, normalised.
    pub(super) extras: &'a [String],
}

/// The one spelling of a distribution's or an extra's name (PEP 503): `Foo_.Bar` is `foo-bar`.
pub(super) fn normalised(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

impl Requirement {
    /// # Errors
    /// What is wrong, and what to write.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let shown = quoted(text);
        if text.chars().nth(REQUIREMENT_CHARS_MAX).is_some() {
            return Err(format!("a requirement has {REQUIREMENT_CHARS_MAX} characters at most"));
        }
        let (what, marker) = match text.split_once(';') {
            Some((what, marker)) => (what.trim(), Some(marker.trim().to_owned())),
            None => (text.trim(), None),
        };
        let end =
            what.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))).unwrap_or(what.len());
        let (name, rest) = what.split_at(end);
        let bounded = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.ends_with(|c: char| c.is_ascii_alphanumeric())
        };
        if !bounded(name) {
            return Err(format!("{shown} is not a requirement: write a name and versions, as scipy>=1.11"));
        }
        let mut rest = rest.trim_start();
        let mut extras = Vec::new();
        if let Some(inner) = rest.strip_prefix('[') {
            let (listed, after) = inner.split_once(']').ok_or_else(|| format!("a bracket ] is missing in {shown}"))?;
            extras =
                listed.split(',').map(|extra| normalised(extra.trim())).filter(|extra| !extra.is_empty()).collect();
            rest = after.trim_start();
        }
        if rest.starts_with('@') {
            return Err(format!(
                "{shown} is fetched from an address, and a sandbox has no network: put the wheel into the folder wheels and write {name}"
            ));
        }
        let rest = rest.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(rest);
        let versions = VersionSpecifiers::from_str(rest)
            .map_err(|_| format!("{} says no versions: write them as {name}>=1.11,<2", quoted(rest)))?;
        let requirement = Self { name: normalised(name), extras, versions, marker, text: text.trim().to_owned() };
        requirement.holds(Environment { python: "3.0.0", extras: &[] })?;
        Ok(requirement)
    }

    /// Whether the requirement counts in `environment`.
    pub(super) fn holds(&self, environment: Environment<'_>) -> Result<bool, String> {
        let Some(marker) = &self.marker else { return Ok(true) };
        let mut reading = Marker { rest: marker, environment };
        let holds = reading.any(0);
        match holds.filter(|_| reading.rest.trim().is_empty()) {
            Some(holds) => Ok(holds),
            None => Err(format!("{} is not a condition, as python_version < \"3.13\" is", quoted(marker))),
        }
    }
}

/// A marker that is evaluated while it is read. `None` stands for what is no marker.
struct Marker<'a> {
    rest: &'a str,
    environment: Environment<'a>,
}

enum Operand<'a> {
    Variable(&'a str),
    Text(&'a str),
}

impl<'a> Marker<'a> {
    fn any(&mut self, depth: usize) -> Option<bool> {
        let mut holds = self.all(depth)?;
        while self.word("or") {
            holds |= self.all(depth)?;
        }
        Some(holds)
    }

    fn all(&mut self, depth: usize) -> Option<bool> {
        let mut holds = self.one(depth)?;
        while self.word("and") {
            holds &= self.one(depth)?;
        }
        Some(holds)
    }

    fn one(&mut self, depth: usize) -> Option<bool> {
        self.rest = self.rest.trim_start();
        if let Some(inner) = self.rest.strip_prefix('(').filter(|_| depth < MARKER_DEPTH_MAX) {
            self.rest = inner;
            let holds = self.any(depth + 1)?;
            self.rest = self.rest.trim_start().strip_prefix(')')?;
            return Some(holds);
        }
        let left = self.operand()?;
        let operator = self.operator()?;
        let right = self.operand()?;
        self.compare(&left, operator, &right)
    }

    /// Whether the next word is `word`, which is then read.
    fn word(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start();
        let after =
            rest.strip_prefix(word).filter(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_'));
        self.rest = after.unwrap_or(rest);
        after.is_some()
    }

    fn operand(&mut self) -> Option<Operand<'a>> {
        let rest = self.rest.trim_start();
        for quote in ['"', '\''] {
            if let Some(inner) = rest.strip_prefix(quote) {
                let (text, after) = inner.split_once(quote)?;
                self.rest = after;
                return Some(Operand::Text(text));
            }
        }
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        self.rest = after;
        self.value(name).or_else(|| (name == "extra").then_some(""))?;
        Some(Operand::Variable(name))
    }

    fn operator(&mut self) -> Option<&'static str> {
        if self.word("not") {
            return self.word("in").then_some("not in");
        }
        if self.word("in") {
            return Some("in");
        }
        let rest = self.rest.trim_start();
        let found = ["===", "<=", ">=", "==", "!=", "~=", "<", ">"].into_iter().find(|sign| rest.starts_with(sign))?;
        self.rest = rest.strip_prefix(found)?;
        Some(found)
    }

    /// The variables of PEP 508, as CPython on WASI has them.
    fn value(&self, name: &str) -> Option<&'a str> {
        let python = self.environment.python;
        Some(match name {
            "python_version" => python.rsplit_once('.').map_or(python, |(minor, _)| minor),
            "python_full_version" | "implementation_version" => python,
            "implementation_name" => "cpython",
            "platform_python_implementation" => "CPython",
            "os_name" => "posix",
            "sys_platform" => "wasi",
            "platform_machine" => "wasm32",
            "platform_system" | "platform_release" | "platform_version" => "",
            _ => return None,
        })
    }

    fn compare(&self, left: &Operand<'a>, operator: &str, right: &Operand<'a>) -> Option<bool> {
        if let (Operand::Variable("extra"), Operand::Text(name)) | (Operand::Text(name), Operand::Variable("extra")) =
            (left, right)
        {
            let asked = self.environment.extras.contains(&normalised(name));
            return match operator {
                "==" => Some(asked),
                "!=" => Some(!asked),
                _ => None,
            };
        }
        let text = |operand: &Operand<'a>| match operand {
            Operand::Variable(name) => self.value(name),
            Operand::Text(text) => Some(*text),
        };
        let (left, right) = (text(left)?, text(right)?);
        match operator {
            "in" => return Some(right.contains(left)),
            "not in" => return Some(!right.contains(left)),
            _ => {}
        }
        let specifier = VersionSpecifier::from_str(&format!("{operator}{right}"));
        if let (Ok(specifier), Ok(version)) = (specifier, Version::from_str(left)) {
            return Some(specifier.contains(&version));
        }
        Some(match operator {
            "==" | "===" => left == right,
            "!=" => left != right,
            "<" => left < right,
            "<=" => left <= right,
            ">" => left > right,
            ">=" => left >= right,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_read() {
        let rows = [
            ("scipy", "scipy", "", 0),
            ("SciPy >= 1.11, <2", "scipy", ">=1.11, <2", 0),
            ("Foo_.bar[Big_Extra, b](>=1.0)", "foo-bar", ">=1.0", 2),
            ("attrs~=23.1 ; python_version < '4'", "attrs", "~=23.1", 0),
            ("x==1.*", "x", "==1.*", 0),
        ];
        for (text, name, versions, extras) in rows {
            let requirement = Requirement::parse(text).unwrap();
            let shown = requirement.versions.to_string();
            assert_eq!((requirement.name.as_str(), shown.as_str(), requirement.extras.len()), (name, versions, extras));
        }
        for (text, words) in [
            ("", "is not a requirement"),
            ("-r other.txt", "is not a requirement"),
            ("scipy >=", "says no versions"),
            ("scipy 1.2", "says no versions"),
            ("scipy==latest", "says no versions"),
            ("a[b", "bracket"),
            ("a @ https://example.org/a.whl", "has no network"),
            ("a; python_version", "not a condition"),
            ("a; python_version < 3", "not a condition"),
            ("a; nothing == 'x'", "not a condition"),
            ("a; os_name == 'posix' os_name == 'nt'", "not a condition"),
        ] {
            let message = Requirement::parse(text).unwrap_err();
            assert!(message.contains(words), "{text}: {message}");
        }
        assert!(Requirement::parse(&"a".repeat(1 << 20)).is_err());
        assert!(Requirement::parse(&format!("a;{}'1'=='1'{}", "(".repeat(200), ")".repeat(200))).is_err());
    }

    #[test]
    fn markers_are_decided_for_python_on_wasi() {
        let extras = ["plot".to_owned()];
        let environment = Environment { python: "3.15.0", extras: &extras };
        let rows = [
            ("python_version >= '3.9'", true),
            ("python_version < '3.9'", false),
            ("'3.9' < python_version", true),
            ("python_full_version == '3.15.*'", true),
            ("sys_platform == 'win32'", false),
            ("sys_platform != 'win32' and os_name == 'posix'", true),
            ("sys_platform == 'win32' or (os_name == 'posix' and python_version ~= '3.10')", true),
            ("platform_machine in 'x86_64 wasm32'", true),
            ("platform_machine not in 'x86_64'", true),
            ("extra == 'plot'", true),
            ("extra == 'Plot'", true),
            ("extra == 'test'", false),
            ("python_version < '3.9' and extra == 'plot' or implementation_name == 'cpython'", true),
        ];
        for (marker, holds) in rows {
            let requirement = Requirement::parse(&format!("a; {marker}")).unwrap();
            assert_eq!(requirement.holds(environment), Ok(holds), "{marker}");
        }
    }
}
