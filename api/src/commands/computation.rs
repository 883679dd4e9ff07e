//! A computation as the command line describes it: a file or a published function, its inputs and its limits.

use super::{
    inputs::{self, InputFlag, Units},
    refusal::{Misuse, SourceText},
    terminal::parse_bytes,
};
use crate::{intake::SEED_MAX, packages::FunctionReference};
use mecapy_model::{ArtifactName, Code, Kernels, LimitsRequest, NonFinite, SourceLanguage, UploadId};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    str::FromStr,
};

/// The largest source or module that is read, bytes; servers have their own, lower limits.
const PROGRAM_BYTES_MAX: u64 = 256 << 20;
/// How every WebAssembly module begins.
const WASM_MAGIC: &[u8] = b"\0asm";

/// What is computed, shared by `run`, `preview` and `submit`.
#[derive(Debug, clap::Args)]
pub(crate) struct ComputationFlags {
    /// Python source or WASI module; - reads Python from the standard input. On a server also a program in C or Rust (a
    /// file that ends in .c or .rs), which is compiled there, and a published function, as
    /// acme/bolted-joint@1.2.0#preload; without a version the newest
    #[arg(value_name = "FILE|FUNCTION")]
    program: PathBuf,
    /// One input; the value is JSON where it reads as JSON, for a function also a number with its unit, as 12mm, and
    /// else text; may be given several times
    #[arg(long = "input", short = 'i', value_name = "NAME=VALUE")]
    input: Vec<InputFlag>,
    /// All inputs as a JSON object: the text itself, @FILE, or - for the standard input
    #[arg(long, value_name = "JSON|@FILE|-")]
    inputs: Option<String>,
    /// An input file, readable as /work/in/NAME; without NAME= it keeps its own name; may be given several times
    #[arg(long = "file", short = 'f', value_name = "NAME=PATH")]
    files: Vec<FileFlag>,
    /// Python function to call [default: main, where there is one]
    #[arg(long, value_name = "NAME")]
    entry: Option<String>,
    /// Longest run, milliseconds [default: 5000 for a preview, else 300000]
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u64>,
    /// Linear memory, as in 512MiB [default: 512MiB for a preview, else 1GiB]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    memory: Option<u64>,
    /// Instruction budget [default: 20 million for each millisecond of the timeout]
    #[arg(long, value_name = "N")]
    fuel: Option<u64>,
    /// Cores on which native kernels may work at once; not for a preview [default: 1]
    #[arg(long, value_name = "N")]
    cpus: Option<u32>,
    /// Seed of every random source; the same seed gives the same numbers [default: a new one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=SEED_MAX))]
    seed: Option<u64>,
    /// NaN and infinities in the result: reject fails the run, null writes null [default: reject]
    #[arg(long, value_name = "reject|null", value_parser = parse_non_finite)]
    non_finite: Option<NonFinite>,
    /// What computes linear algebra: native is the host, wasm the interpreter or the module itself, slower and the same to
    /// the last bit on every machine [default: native]
    #[arg(long, value_name = "native|wasm")]
    kernels: Option<Kernels>,
}

/// `name=path`, or a path whose last part is the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileFlag {
    pub name: ArtifactName,
    pub path: PathBuf,
}

impl FromStr for FileFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = match text.split_once('=') {
            Some((name, path)) => (name, Path::new(path)),
            None => {
                let path = Path::new(text);
                (path.file_name().and_then(|name| name.to_str()).unwrap_or_default(), path)
            }
        };
        let name = ArtifactName::parse(name).map_err(|error| error.to_string())?;
        Ok(Self { name, path: path.to_owned() })
    }
}

/// What to run, read from its file.
#[derive(Debug)]
pub(crate) enum ProgramFile {
    Python {
        source: SourceText,
        entry: Option<String>,
    },
    Wasm {
        bytes: Vec<u8>,
    },
    /// A program that a server compiles.
    Compiled {
        language: SourceLanguage,
        source: SourceText,
    },
    /// Nothing was read: it is on the server.
    Function(FunctionReference),
}

/// The code as a request names it.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum SentCode {
    Own(Code),
    Published {
        /// `owner/package@1.2.0#name`.
        function: String,
    },
}

/// A computation, read whole; its input files are named but not opened.
#[derive(Debug)]
pub(crate) struct Computation {
    pub program: ProgramFile,
    pub inputs: Box<RawValue>,
    pub files: Vec<FileFlag>,
    pub limits: LimitsRequest,
    pub seed: Option<u64>,
    pub non_finite: Option<NonFinite>,
    pub kernels: Option<Kernels>,
}

/// The part of a request that a preview and a task share.
#[derive(Debug, Serialize)]
pub(crate) struct ComputationBody<'a> {
    pub code: &'a SentCode,
    pub inputs: &'a RawValue,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, UploadId>,
    #[serde(skip_serializing_if = "is_unlimited")]
    pub limits: LimitsRequest,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub non_finite: Option<NonFinite>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernels: Option<Kernels>,
}

impl ComputationFlags {
    /// Reads the program and the inputs.
    pub(crate) fn load(self) -> Result<Computation, Misuse> {
        if self.program == Path::new("-") && self.inputs.as_deref() == Some("-") {
            return Err(Misuse::new("the program and --inputs can't both come from the standard input"));
        }
        let mut names: Vec<&str> = self.files.iter().map(|file| file.name.as_str()).collect();
        names.sort_unstable();
        if let Some([name, _]) = names.array_windows::<2>().find(|[left, right]| left == right) {
            return Err(Misuse::new(format!("--file {name} is given twice")));
        }
        let program = read_program(&self.program, self.entry)?;
        let units = if matches!(program, ProgramFile::Function(_)) { Units::AreRead } else { Units::AreText };
        let inputs = inputs::combine(self.inputs.as_deref(), &self.input, units)?;
        let limits =
            LimitsRequest { timeout_ms: self.timeout_ms, memory_bytes: self.memory, fuel: self.fuel, cpus: self.cpus };
        let Self { files, seed, non_finite, kernels, .. } = self;
        Ok(Computation { program, inputs, files, limits, seed, non_finite, kernels })
    }
}

impl Computation {
    /// The source, for showing faults in it.
    pub(crate) fn source_text(&self) -> Option<&SourceText> {
        match &self.program {
            ProgramFile::Python { source, .. } | ProgramFile::Compiled { source, .. } => Some(source),
            ProgramFile::Wasm { .. } | ProgramFile::Function(_) => None,
        }
    }

    /// The request body for this computation with what was uploaded for it.
    pub(crate) fn body<'a>(&'a self, code: &'a SentCode, files: BTreeMap<String, UploadId>) -> ComputationBody<'a> {
        let Self { limits, seed, non_finite, kernels, .. } = *self;
        ComputationBody { code, inputs: &self.inputs, files, limits, seed, non_finite, kernels }
    }
}

fn read_program(path: &Path, entry: Option<String>) -> Result<ProgramFile, Misuse> {
    if let Some(reference) = path.to_str().filter(|text| text.contains('/') && text.contains('#') && !path.exists()) {
        let reference = reference.parse::<FunctionReference>();
        let reference = reference.map_err(|invalid| {
            Misuse::new(format!("{} is neither a file nor a published function: {invalid}", path.display()))
        })?;
        return match entry {
            None => Ok(ProgramFile::Function(reference)),
            Some(_) => Err(Misuse::new("--entry is for a Python file: a reference names its function after the #")),
        };
    }
    let (name, read) = if path == Path::new("-") {
        ("<stdin>".to_owned(), read_all(io::stdin().lock()))
    } else {
        (path.display().to_string(), fs::File::open(path).and_then(read_all))
    };
    let bytes = read.map_err(|error| Misuse::new(format!("can't read {name}: {error}")))?;
    if bytes.starts_with(WASM_MAGIC) {
        return match entry {
            None => Ok(ProgramFile::Wasm { bytes }),
            Some(_) => Err(Misuse::new("--entry is for Python: a WASI module or component has one start")),
        };
    }
    if path.extension().is_some_and(|extension| extension == "wasm") {
        return Err(Misuse::new(format!("{name} is not a WebAssembly module")));
    }
    let compiled = compiled_language(path);
    match (String::from_utf8(bytes), compiled) {
        (Ok(_), Some(_)) if entry.is_some() => {
            Err(Misuse::new("--entry is for Python: a program has one main function"))
        }
        (Ok(text), Some(language)) => Ok(ProgramFile::Compiled { language, source: SourceText { name, text } }),
        (Ok(text), None) => Ok(ProgramFile::Python { source: SourceText { name, text }, entry }),
        (Err(_), Some(language)) => Err(Misuse::new(format!("{name} is not {} in UTF-8", language.title()))),
        (Err(_), None) => Err(Misuse::new(format!("{name} is neither Python in UTF-8 nor a WebAssembly module"))),
    }
}

/// The language of a source that is compiled, by its file's name: nothing in a text tells it for sure.
fn compiled_language(path: &Path) -> Option<SourceLanguage> {
    match path.extension()?.to_str()? {
        "c" => Some(SourceLanguage::C),
        "rs" => Some(SourceLanguage::Rust),
        _ => None,
    }
}

fn read_all(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(PROGRAM_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > PROGRAM_BYTES_MAX {
        return Err(io::Error::other(format!("more than {PROGRAM_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

fn is_unlimited(limits: &LimitsRequest) -> bool {
    *limits == LimitsRequest::default()
}

fn parse_non_finite(text: &str) -> Result<NonFinite, String> {
    match text {
        "reject" => Ok(NonFinite::Reject),
        "null" => Ok(NonFinite::Null),
        _ => Err("use reject or null".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        computation: ComputationFlags,
    }

    fn load_file(name: &str, bytes: &[u8], arguments: &[&str]) -> Result<Computation, Misuse> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let program = ["mecapy", path.to_str().unwrap()];
        Cli::parse_from(program.iter().chain(arguments)).computation.load()
    }

    #[test]
    fn the_body_is_that_of_the_contract() {
        let computation = load_file(
            "beam.py",
            b"def main(F): return F",
            &["-i", "F=1.50", "--memory", "1GiB", "--cpus", "2", "--seed", "7", "--kernels", "wasm"],
        )
        .unwrap();
        let code = SentCode::Own(Code::Python { source: "x".to_owned(), entry: None });
        let body = serde_json::to_string(&computation.body(&code, BTreeMap::new())).unwrap();
        assert_eq!(
            body,
            r#"{"code":{"language":"python","source":"x"},"inputs":{"F": 1.50},"limits":{"memory_bytes":1073741824,"cpus":2},"seed":7,"kernels":"wasm"}"#
        );
        let unknown = Cli::try_parse_from(["mecapy", "beam.py", "--kernels", "gpu"]).map(|_| ()).unwrap_err();
        assert!(unknown.to_string().contains("use native or wasm"), "{unknown}");
    }

    #[test]
    fn what_a_file_holds_decides_and_not_its_name() {
        assert!(matches!(load_file("a", b"\0asm\x01\0\0\0", &[]).unwrap().program, ProgramFile::Wasm { .. }));
        assert!(matches!(load_file("a.txt", b"x = 1", &[]).unwrap().program, ProgramFile::Python { .. }));
        let refused: [(&str, &[u8], &[&str]); 4] = [
            ("a.wasm", b"x = 1", &[]),
            ("a.py", b"\xff\xfe", &[]),
            ("a.wasm", b"\0asm\x01\0\0\0", &["--entry", "main"]),
            ("a.py", b"", &["-f", "m=/a", "-f", "m=/b"]),
        ];
        for (name, bytes, arguments) in refused {
            assert!(load_file(name, bytes, arguments).is_err(), "{name} {arguments:?} was accepted");
        }
    }

    #[test]
    fn sources_that_are_compiled_are_known_by_their_names() {
        for (name, expected) in [("a.c", SourceLanguage::C), ("b.rs", SourceLanguage::Rust)] {
            let computation = load_file(name, b"int main", &[]).unwrap();
            let text = computation.source_text().map(|source| source.text.as_str());
            assert_eq!(text, Some("int main"));
            let ProgramFile::Compiled { language, .. } = computation.program else { panic!("{name}") };
            assert_eq!(language, expected);
            assert!(load_file(name, b"int main", &["--entry", "main"]).is_err());
            assert!(load_file(name, b"\xff", &[]).is_err());
        }
        assert!(matches!(load_file("a.c", b"\0asm\x01\0\0\0", &[]).unwrap().program, ProgramFile::Wasm { .. }));
    }

    #[test]
    fn a_published_function_is_named_and_takes_units() {
        let load =
            |program: &str, more: &[&str]| Cli::parse_from(["mecapy", program].iter().chain(more)).computation.load();
        let computation = load("acme/rods@1.2.0#rod", &["-i", "d=12mm"]).unwrap();
        assert_eq!(computation.inputs.get(), r#"{"d": {"value": 12, "unit": "mm"}}"#);
        let ProgramFile::Function(reference) = &computation.program else { panic!("{:?}", computation.program) };
        let code = SentCode::Published { function: reference.to_string() };
        assert_eq!(serde_json::to_string(&code).unwrap(), r#"{"function":"acme/rods@1.2.0#rod"}"#);
        for (program, more) in [("acme/rods@1.2#rod", &[][..]), ("a/b#c", &["--entry", "main"]), ("./no#file.py", &[])]
        {
            assert!(load(program, more).is_err(), "{program} was accepted");
        }
        // A file goes first, whatever it is called.
        let file = load_file("a#b.py", b"x = 1", &[]).unwrap();
        assert!(matches!(file.program, ProgramFile::Python { .. }));
    }

    #[test]
    fn input_files_have_safe_names() {
        let flag: FileFlag = "mesh.med=/data/big mesh.med".parse().unwrap();
        assert_eq!((flag.name.as_str(), flag.path.as_path()), ("mesh.med", Path::new("/data/big mesh.med")));
        assert_eq!("/data/mesh.med".parse::<FileFlag>().unwrap().name.as_str(), "mesh.med");
        for text in ["../x=/a", "/etc/x=/a", "", "a\nb=/a"] {
            assert!(text.parse::<FileFlag>().is_err(), "{text:?} was accepted");
        }
    }
}
