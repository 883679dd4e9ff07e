//! What the interpreter can import, what it can't and why, and which name was probably meant.

use super::syntax::sentence;
use std::collections::{BTreeMap, BTreeSet};

/// Modules by name; handed in, so that the interpreter's recipe stays the one source of truth.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    available: BTreeSet<String>,
    unavailable: BTreeMap<String, String>,
    /// Whether there is a package around a source, which it may import from relatively.
    in_package: bool,
}

/// Packages worth naming when a module is missing, in the order in which engineers look for them.
const SHOWN: [&str; 10] =
    ["numpy", "scipy", "pandas", "matplotlib", "sympy", "sklearn", "statsmodels", "networkx", "openpyxl", "PIL"];

/// What people write → what is imported. Package index names, old names, and the usual abbreviations.
const MEANT: [(&str, &str); 33] = [
    ("attr_s", "attrs"),
    ("beautifulsoup", "bs4"),
    ("beautifulsoup4", "bs4"),
    ("configParser", "configparser"),
    ("ConfigParser", "configparser"),
    ("cPickle", "pickle"),
    ("cStringIO", "io"),
    ("dateutils", "dateutil"),
    ("Image", "PIL"),
    ("jinja", "jinja2"),
    ("Jinja2", "jinja2"),
    ("mpl", "matplotlib"),
    ("Numpy", "numpy"),
    ("np", "numpy"),
    ("Pandas", "pandas"),
    ("pd", "pandas"),
    ("pillow", "PIL"),
    ("Pillow", "PIL"),
    ("pil", "PIL"),
    ("plt", "matplotlib.pyplot"),
    ("pyplot", "matplotlib.pyplot"),
    ("python_dateutil", "dateutil"),
    ("pyyaml", "yaml"),
    ("PyYAML", "yaml"),
    ("Queue", "queue"),
    ("scikit_learn", "sklearn"),
    ("scikitlearn", "sklearn"),
    ("Scipy", "scipy"),
    ("SciPy", "scipy"),
    ("sns", "seaborn"),
    ("sp", "scipy"),
    ("StringIO", "io"),
    ("Sympy", "sympy"),
];

/// Modules that newer versions of Python dropped → what to use.
const REMOVED: [(&str, &str); 9] = [
    ("asynchat", "asyncio"),
    ("asyncore", "asyncio"),
    ("cgi", "urllib.parse"),
    ("crypt", "hashlib"),
    ("distutils", "sysconfig"),
    ("imghdr", "PIL"),
    ("imp", "importlib"),
    ("pipes", "shlex"),
    ("pkg_resources", "importlib.metadata"),
];

impl Catalogue {
    /// `available`: top-level names that can be imported. `unavailable`: module (dots allowed) → what to do instead;
    /// it wins over `available`.
    pub fn new(
        available: impl IntoIterator<Item = String>,
        unavailable: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        Self {
            available: available.into_iter().collect(),
            unavailable: unavailable.into_iter().collect(),
            in_package: false,
        }
    }

    /// The same for a source in a package, which brings `modules` along.
    pub fn of_package(&self, modules: impl IntoIterator<Item = String>) -> Self {
        let mut catalogue = Self { in_package: true, ..self.clone() };
        // An empty catalogue lets all pass, and must stay so.
        if !catalogue.available.is_empty() {
            catalogue.available.extend(modules);
        }
        catalogue
    }

    /// Whether a top-level name is known to be importable.
    pub fn names(&self, module: &str) -> bool {
        self.available.contains(module)
    }

    pub(super) fn is_in_package(&self) -> bool {
        self.in_package
    }

    /// The longest unavailable prefix of a dotted path, and what to say of it.
    pub(super) fn unavailable(&self, path: &str) -> Option<(&str, String)> {
        let mut prefix = path;
        loop {
            if let Some((module, advice)) = self.unavailable.get_key_value(prefix) {
                return Some((module, format!("{module} can't be used in a sandbox. {}", sentence(advice))));
            }
            prefix = prefix.rsplit_once('.')?.0;
        }
    }

    /// Whether a top-level name can be imported. An empty catalogue knows nothing and lets all pass.
    pub(super) fn has(&self, module: &str) -> bool {
        self.available.is_empty() || self.available.contains(module) || matches!(module, "__future__" | "__main__")
    }

    /// What to say of a module that is not there, `module` being its top-level name.
    pub(super) fn missing(&self, module: &str) -> String {
        if let Some((_, instead)) = REMOVED.iter().find(|(name, _)| *name == module) {
            return format!("Python no longer has the module {module}: use {instead}.");
        }
        if let Some(meant) = self.meant(module) {
            return format!("There is no module {module}: did you mean {meant}?");
        }
        let shown: Vec<&str> = SHOWN.into_iter().filter(|name| self.available.contains(*name)).collect();
        let beside = if shown.is_empty() { String::new() } else { format!(" and {}", shown.join(", ")) };
        format!(
            "There is no module {module} here, and none can be installed. There are Python's standard library{beside}."
        )
    }

    /// What `name` was probably meant to be, among what can be imported.
    pub(super) fn meant(&self, name: &str) -> Option<&str> {
        let known = MEANT.iter().find(|(written, _)| *written == name).map(|(_, meant)| *meant);
        let importable = |path: &str| self.available.contains(path.split('.').next().unwrap_or(path));
        if let Some(meant) = known.filter(|meant| importable(meant)) {
            return Some(meant);
        }
        nearest(name, self.available.iter().map(String::as_str).filter(|candidate| !candidate.starts_with('_')))
    }
}

/// The longest name that is compared, characters.
const COMPARED_CHARACTERS_MAX: usize = 32;

/// The candidate that is a typing error or two away, none where that would be guessing.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    if !(3..=COMPARED_CHARACTERS_MAX).contains(&length) {
        return None;
    }
    let errors_max = if length < 5 { 1 } else { 2 };
    let close = candidates.filter(|candidate| candidate.len().abs_diff(name.len()) <= errors_max);
    let scored = close.map(|candidate| (typing_errors(name, candidate), candidate));
    scored.filter(|(errors, _)| *errors <= errors_max).min().map(|(_, candidate)| candidate)
}

/// Insertions, deletions, substitutions and swaps of neighbours between two names; letter case is no error.
fn typing_errors(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let substituted = at(&last, j) + usize::from(x != y);
            let mut cost = substituted.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(&y) && b.get(j - 1) == Some(&x);
            if swapped {
                cost = cost.min(at(&before, j - 1) + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut last, row);
    }
    at(&last, b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_counted() {
        for (a, b, errors) in [
            ("numpy", "numpy", 0),
            ("nunpy", "numpy", 1),
            ("nmupy", "numpy", 1),
            ("Numpy", "numpy", 0),
            ("scipi", "scipy", 1),
            ("abc", "xyz", 3),
        ] {
            assert_eq!(typing_errors(a, b), errors, "{a} {b}");
        }
        assert_eq!(nearest("re2", ["os"].into_iter()), None);
    }
}
