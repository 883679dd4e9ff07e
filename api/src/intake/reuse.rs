//! The key under which a result is kept: equal for computations that give the same, and for no others.

use super::{Rejected, SEED_MAX, lookup::Intake};
use crate::json::{Kind, Value};
use mecapy_model::{CacheMode, Code, Digest, Kernels, NonFinite, Reuse, Source, TaskId, Ties};
use mecapy_runtime::{KernelInstructions, compiler::content_key};
use mecapy_store::{NewTask, StoreError};
use sha2::{Digest as _, Sha256};

/// Of which form a key is: another form gives other keys.
const FORM: &str = "mecapy result 1";

/// The key of a computation, and the seed that it runs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Keyed {
    key: Digest,
    seed: u64,
}

impl Intake<'_> {
    /// Ties the task to the key of its result, where its request asks for that; `seed` is the one that it named.
    pub(super) async fn tie_result(
        &self,
        task: &mut NewTask,
        mode: CacheMode,
        seed: Option<u64>,
    ) -> Result<(), Rejected> {
        let reuse = match mode {
            CacheMode::Off => return Ok(()),
            CacheMode::Use => Reuse::Miss,
            CacheMode::Refresh => Reuse::Refresh,
        };
        if let Some(Keyed { key, seed }) = self.result_key(task, seed).await? {
            task.seed = seed;
            task.ties = Ties { cache_key: Some(key), reuse, ..task.ties };
        }
        Ok(())
    }

    /// The task whose result may stand for this one, where its request asks for that and there is one.
    ///
    /// # Errors
    /// The store fails.
    pub async fn kept_result(&self, task: &NewTask) -> Result<Option<TaskId>, StoreError> {
        match (task.ties.reuse, task.ties.cache_key) {
            (Reuse::Miss, Some(key)) => self.store.cached(self.tenant, key).await,
            _ => Ok(None),
        }
    }

    /// The key of `task`. It covers what decides a result: the code with its version and digest, the inputs as the guest
    /// gets them, the contents of the files, the interpreter, the compiler or the solver's image, the seed, what is done
    /// with numbers that aren't finite, and what computes linear algebra. Of a source, its module is left out: whether it is
    /// known yet changes nothing. Limits are left out: they decide whether there is a result, not which. Where the request
    /// named no seed, one follows from the rest, so that the same request has the same key.
    ///
    /// `None`: a file is not there, or it is no computation of its own: items of a batch, or a compile.
    async fn result_key(&self, task: &NewTask, seed: Option<u64>) -> Result<Option<Keyed>, Rejected> {
        let mut parts = Parts::new();
        if !self.add_code(&task.code, &mut parts)? {
            return Ok(None);
        }
        parts.add("inputs");
        // What was checked is JSON, and is not nested deeper than requests may be.
        add_json(Value::of(task.inputs.get()), &mut parts);
        for (name, upload) in &task.files {
            let upload = self.store.upload(self.tenant, *upload).await?;
            let Some(sha256) = upload.and_then(|upload| upload.sha256) else { return Ok(None) };
            parts.add("file").add(name).add_bytes(&sha256.0);
        }
        parts.add(match task.non_finite {
            NonFinite::Reject => "reject",
            NonFinite::Null => "null",
        });
        add_kernels(task.kernels, self.kernels, &mut parts);
        Ok(Some(keyed(parts, seed)))
    }

    fn add_code(&self, code: &Code, parts: &mut Parts) -> Result<bool, Rejected> {
        match code {
            Code::Python { source, entry } => {
                parts.add("python").add(self.interpreter()?).add(source).add(entry.as_deref().unwrap_or_default());
                parts.add(if entry.is_some() { "entry" } else { "main" });
            }
            Code::Wasm { module } => {
                parts.add("wasm").add_bytes(&module.0);
            }
            Code::Function { function, package } => {
                parts.add("function").add(self.interpreter()?).add(function).add_bytes(&package.0);
            }
            Code::Solver { solver, version } => {
                let found = self.solvers.and_then(|solvers| solvers.catalogue().version(solver, version));
                let Some(found) = found else { return Ok(false) };
                parts.add("solver").add(solver).add(version).add(&found.image);
                for word in &found.command {
                    parts.add(word);
                }
                for (name, value) in &found.env {
                    parts.add(name).add(value);
                }
            }
            Code::C { .. } | Code::Rust { .. } => {
                let Some(Source { language, text, .. }) = code.source() else { return Ok(false) };
                let Some(toolchain) = self.toolchain(language) else { return Ok(false) };
                parts.add("source").add_bytes(&content_key(toolchain, text).0);
            }
            Code::Items { .. } | Code::Compile { .. } => return Ok(false),
        }
        Ok(true)
    }

    fn interpreter(&self) -> Result<&str, Rejected> {
        let programs = self.programs.ok_or_else(Rejected::not_built)?;
        Ok(programs.interpreter_digest())
    }
}

fn keyed(parts: Parts, seed: Option<u64>) -> Keyed {
    let computation = parts.finish();
    let of_the_rest = || {
        let first = computation.first_chunk::<8>().copied().unwrap_or_default();
        u64::from_le_bytes(first) & SEED_MAX
    };
    let seed = seed.unwrap_or_else(of_the_rest);
    let mut parts = Parts::new();
    parts.add_bytes(&computation).add_bytes(&seed.to_le_bytes());
    Keyed { key: Digest(parts.finish()), seed }
}

/// Adds what computes linear algebra: native results are equal where the instructions are. Those of native kernels that are
/// off stand apart from the guest's own, since other processes may have some.
fn add_kernels(kernels: Kernels, instructions: Option<KernelInstructions>, parts: &mut Parts) {
    parts.add("kernels").add(kernels.as_str());
    if kernels == Kernels::Native {
        parts.add(instructions.map_or("off", KernelInstructions::as_str));
    }
}

/// Adds a JSON value without the space between its parts and with its strings in one spelling. Numbers keep their digits
/// and members their order: a guest sees both.
fn add_json(value: Value<'_>, parts: &mut Parts) {
    match value.kind() {
        Kind::Object => {
            parts.add("{");
            for (name, value) in value.members().unwrap_or_default() {
                parts.add(&name);
                add_json(value, parts);
            }
            parts.add("}");
        }
        Kind::Array => {
            parts.add("[");
            value.items().unwrap_or_default().into_iter().for_each(|item| add_json(item, parts));
            parts.add("]");
        }
        Kind::String => {
            parts.add("\"").add(&value.string().unwrap_or_default());
        }
        Kind::Null | Kind::Bool | Kind::Number => {
            parts.add(value.text());
        }
    }
}

/// Texts one after the other, each with its length before it, so that no two lists of them have the same digest.
struct Parts(Sha256);

impl Parts {
    fn new() -> Self {
        let mut parts = Self(Sha256::new());
        parts.add(FORM);
        parts
    }

    fn add(&mut self, text: &str) -> &mut Self {
        self.add_bytes(text.as_bytes())
    }

    fn add_bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::check;

    fn of(inputs: &str, seed: Option<u64>) -> Keyed {
        let mut parts = Parts::new();
        add_json(Value::of(check(inputs.as_bytes()).unwrap()), &mut parts);
        keyed(parts, seed)
    }

    #[test]
    fn what_a_guest_can_not_tell_apart_has_one_key_and_what_it_can_has_two() {
        let same = [r#"{"d":12,"s":"é"}"#, " { \"d\" : 12 , \"s\" : \"\\u00e9\" } "];
        assert_eq!(of(same[0], None), of(same[1], None));
        let others = [
            r#"{"s":"é","d":12}"#,
            r#"{"d":12.0,"s":"é"}"#,
            r#"{"d":"12","s":"é"}"#,
            r#"{"d":[12],"s":"é"}"#,
            r#"{"d":{"12":1},"s":"é"}"#,
            r#"{"d":12}"#,
            r#"{"d":12,"s":null}"#,
        ];
        let keys: std::collections::BTreeSet<_> =
            others.iter().chain([&same[0]]).map(|text| of(text, None).key).collect();
        assert_eq!(keys.len(), others.len() + 1);
    }

    #[test]
    fn results_of_other_kernels_are_other_results() {
        let all = [Some(KernelInstructions::X86_64V3), Some(KernelInstructions::X86_64), None];
        let key = |kernels, instructions| {
            let mut parts = Parts::new();
            add_kernels(kernels, instructions, &mut parts);
            keyed(parts, Some(7)).key
        };
        let native = all.map(|instructions| key(Kernels::Native, instructions));
        let wasm = all.map(|instructions| key(Kernels::Wasm, instructions));
        let keys: std::collections::BTreeSet<_> = native.iter().chain(&wasm).collect();
        assert_eq!(keys.len(), 4, "those of the guest's own don't depend on the host's instructions");
    }

    #[test]
    fn a_seed_that_nobody_named_follows_from_the_rest() {
        let (first, again) = (of("{}", None), of("{}", None));
        assert_eq!(first, again);
        assert!(first.seed <= SEED_MAX);
        assert_eq!(of("{}", Some(first.seed)), first);
        assert_ne!(of("{}", Some(7)).key, first.key);
        assert_ne!(of("[]", None).seed, first.seed);
    }
}
