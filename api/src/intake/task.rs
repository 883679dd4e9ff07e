//! A task's request.

use super::{
    ATTEMPTS_MAX, BACKOFF_FACTOR_MAX, BACKOFF_MS_MAX, PRIORITY_DEFAULT, PRIORITY_MAX, RUN_AT_DAYS_MAX, Rejected,
    computation::{self, Computation},
    function::Called,
    labels, limits,
    lookup::Intake,
    solver::{self, Solving},
};
use crate::json::{Faults, Fields, Path, Value};
use mecapy_model::{CacheMode, Executor, Fault, Lane, Limits, Retry, StudyId, Task, Ties, Warning};
use mecapy_store::NewTask;
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

const CACHE: [(&str, CacheMode); 3] =
    [("use", CacheMode::Use), ("refresh", CacheMode::Refresh), ("off", CacheMode::Off)];
/// The fault of naming a study that isn't there.
pub(super) const UNKNOWN_STUDY: &str = "unknown_study";
const LANES: [(&str, Lane); 3] = [
    (Lane::HighPriority.as_str(), Lane::HighPriority),
    (Lane::Default.as_str(), Lane::Default),
    (Lane::LongRunning.as_str(), Lane::LongRunning),
];

/// A task as it was asked for.
#[derive(Debug)]
struct Asked<'a> {
    name: Option<String>,
    computation: Computation<'a>,
    lane: Lane,
    priority: u8,
    limits: Option<Limits>,
    /// What the request itself is worth warning of.
    warnings: Vec<Warning>,
    retry: Retry,
    labels: BTreeMap<String, String>,
    run_at: Option<OffsetDateTime>,
    webhook_url: Option<String>,
    study: Option<StudyId>,
    cache: CacheMode,
}

/// A task that may be queued.
#[derive(Debug)]
pub struct AcceptedTask {
    pub task: NewTask,
    /// Which of its files stand in `code`, for pointers to them.
    pub files_of_code: BTreeSet<String>,
}

impl Intake<'_> {
    /// Accepts the task that `text`, checked JSON, asks for.
    ///
    /// Uploads are left to [`Store::submit`](mecapy_store::Store::submit) where nothing else is wrong: it looks for an
    /// earlier request with the same idempotency key first, whose uploads may be gone.
    ///
    /// # Errors
    /// All faults of the request together.
    pub async fn task(&self, text: &str) -> Result<AcceptedTask, Rejected> {
        let mut faults = Faults::default();
        let solvers = self.solvers.map(AsRef::as_ref);
        let Some(asked) = read(text, self.now(), Solving::With(solvers), &mut faults) else {
            return Err(Rejected::Invalid(faults.into_vec()));
        };
        let readable = faults.is_empty();
        let Asked { computation, .. } = &asked;
        let called = match &computation.function {
            Some(reference) => self.call(reference, computation.inputs, &computation.files, &mut faults).await?,
            None => None,
        };
        let analysis = match &asked.computation.code {
            Some(code) => self.check_code(code, &mut faults).await?,
            None => None,
        };
        if readable && !faults.is_empty() {
            self.check_files(&asked.computation.files, &asked.computation.files_of_code, &mut faults).await?;
        }
        let webhook_url = match &asked.webhook_url {
            Some(url) => self.check_webhook(url, readable, &mut faults).await?,
            None => None,
        };
        if let Some(study) = asked.study {
            self.check_study_exists(study, &mut faults).await?;
        }
        let mut warnings = asked.warnings;
        warnings.extend(analysis.iter().flat_map(|analysis| analysis.warnings.iter().cloned()));
        let (code, inputs) = match called {
            Some(Called { code, inputs, warnings: flags, .. }) => {
                warnings.extend(flags);
                (Some(code), Some(inputs))
            }
            None => (asked.computation.code, RawValue::from_string(asked.computation.inputs.to_owned()).ok()),
        };
        let (Some(code), Some(limits), Some(inputs)) = (code, asked.limits, inputs) else {
            return Err(Rejected::Invalid(faults.into_vec()));
        };
        let mut task = NewTask {
            tenant: self.tenant,
            name: asked.name,
            lane: asked.lane,
            priority: asked.priority,
            code,
            inputs,
            files: asked.computation.files,
            limits,
            retry: asked.retry,
            seed: asked.computation.seed.unwrap_or_else(|| self.new_seed()),
            non_finite: asked.computation.non_finite,
            kernels: asked.computation.kernels,
            labels: asked.labels,
            run_at: asked.run_at,
            retry_of: None,
            webhook_url,
            warnings,
            ties: Ties { study: asked.study, ..Ties::default() },
        };
        if faults.is_empty() {
            self.check_study(&task, &mut faults).await?;
        }
        if !faults.is_empty() {
            return Err(Rejected::Invalid(faults.into_vec()));
        }
        task.code = self.with_module(task.code, &mut task.warnings).await?;
        self.tie_result(&mut task, asked.cache, asked.computation.seed).await?;
        Ok(AcceptedTask { task, files_of_code: asked.computation.files_of_code })
    }

    /// What is wrong with `text`, checked JSON, as the request of a task whose inputs are not known yet: what a node of
    /// a workflow says of its task. Pointers are those of a task's request.
    ///
    /// # Errors
    /// The platform can't tell just now.
    pub async fn faults_of_node(&self, text: &str) -> Result<Vec<Fault>, Rejected> {
        let mut faults = Faults::default();
        let solvers = self.solvers.map(AsRef::as_ref);
        let Some(Asked { computation, .. }) = read(text, self.now(), Solving::With(solvers), &mut faults) else {
            return Ok(faults.into_vec());
        };
        if let Some(code) = &computation.code {
            self.check_code(code, &mut faults).await?;
        }
        if let Some(reference) = &computation.function {
            self.check_function(reference, &mut faults).await?;
        }
        self.check_files(&computation.files, &computation.files_of_code, &mut faults).await?;
        Ok(faults.into_vec())
    }

    /// The same request as `task`'s once more; what happened to the first is left behind.
    ///
    /// # Errors
    /// The module that the task refers to and that is gone since; uploads are left to the store as for a new task.
    pub async fn again(&self, task: Task) -> Result<NewTask, Rejected> {
        let mut faults = Faults::default();
        let analysis = self.check_code(&task.code, &mut faults).await?;
        let asked = task.warnings.into_iter().filter(|warning| warning.code == limits::CPUS_WARNING);
        let mut warnings: Vec<_> = asked.collect();
        warnings.extend(analysis.iter().flat_map(|analysis| analysis.warnings.iter().cloned()));
        if !faults.is_empty() {
            return Err(Rejected::Invalid(faults.into_vec()));
        }
        let code = self.with_module(task.code, &mut warnings).await?;
        Ok(NewTask {
            tenant: task.tenant,
            name: task.name,
            lane: task.lane,
            priority: task.priority,
            code,
            inputs: task.inputs,
            files: task.files,
            limits: task.limits,
            retry: task.retry,
            seed: task.seed,
            non_finite: task.non_finite,
            kernels: task.kernels,
            labels: task.labels,
            run_at: None,
            retry_of: Some(task.id),
            webhook_url: task.webhook_url,
            warnings,
            ties: Ties { study: task.ties.study, ..Ties::default() },
        })
    }
}

fn read<'a>(text: &'a str, now: OffsetDateTime, solving: Solving<'_>, faults: &mut Faults) -> Option<Asked<'a>> {
    let mut fields = Fields::open(Value::of(text), Path::Root, faults)?;
    let name = labels::name(&mut fields, faults);
    let computation = computation::read(&mut fields, solving, faults);
    let lane = fields.one_of("lane", &LANES, faults);
    let priority = fields.integer("priority", 0..=PRIORITY_MAX, faults);
    let limits = limits::read(&mut fields, faults);
    let lane = lane.unwrap_or_else(|| Lane::for_timeout(limits.timeout_ms));
    let (limits, warnings) = match computation.executor {
        Executor::Sandbox => {
            let warnings = limits::warnings(&limits, lane, computation.kernels);
            (limits::resolve(&limits, lane, faults), warnings)
        }
        Executor::Container => {
            let memory_bytes = computation.container_memory_bytes;
            (limits::resolve_container(&limits, lane, memory_bytes, faults), Vec::new())
        }
    };
    let labels = labels::labels(&mut fields, faults);
    if computation.executor == Executor::Container {
        solver::refuse_options(name.as_deref(), &labels, faults);
    }
    let asked = Asked {
        name,
        computation,
        lane,
        priority: priority.and_then(|priority| u8::try_from(priority).ok()).unwrap_or(PRIORITY_DEFAULT),
        limits,
        warnings,
        retry: retry(&mut fields, faults),
        labels,
        run_at: run_at(&mut fields, now, faults),
        webhook_url: webhook_url(&mut fields, faults),
        study: study(&mut fields, faults),
        cache: fields.one_of("cache", &CACHE, faults).unwrap_or_default(),
    };
    fields.finish(faults);
    Some(asked)
}

/// The id in the field `study`.
pub(super) fn study(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> Option<StudyId> {
    let text = fields.string("study", faults)?;
    let id = text.parse().ok();
    if id.is_none() {
        faults.at(fields.path().key("study"), UNKNOWN_STUDY, "the id of a study is needed here");
    }
    id
}

fn retry(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> Retry {
    let default = Retry::default();
    let retry = fields.object("retry", faults, |fields, faults| {
        let max_attempts = fields.integer("max_attempts", 1..=ATTEMPTS_MAX, faults);
        Retry {
            max_attempts: max_attempts.and_then(|n| u32::try_from(n).ok()).unwrap_or(default.max_attempts),
            backoff_ms: fields.integer("backoff_ms", 0..=BACKOFF_MS_MAX, faults).unwrap_or(default.backoff_ms),
            backoff_factor: fields
                .number("backoff_factor", 1.0..=BACKOFF_FACTOR_MAX, faults)
                .unwrap_or(default.backoff_factor),
        }
    });
    retry.unwrap_or(default)
}

fn webhook_url(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> Option<String> {
    let url = fields.object("webhook", faults, |fields, faults| {
        let value = fields.require("url", faults)?;
        let text = value.string();
        if text.is_none() {
            faults.wrong_kind(fields.path().key("url"), "a string", value);
        }
        text.map(Cow::into_owned)
    });
    url.flatten()
}

fn run_at(fields: &mut Fields<'_, '_>, now: OffsetDateTime, faults: &mut Faults) -> Option<OffsetDateTime> {
    let text = fields.string("run_at", faults)?;
    let path = fields.path();
    let Ok(at) = OffsetDateTime::parse(&text, &Rfc3339) else {
        faults.at(path.key("run_at"), "invalid", "a time is needed here, as in \"2026-12-01T06:00:00Z\"");
        return None;
    };
    if at > now + time::Duration::days(RUN_AT_DAYS_MAX) {
        faults.at(
            path.key("run_at"),
            "out_of_range",
            format!("a task can be planned {RUN_AT_DAYS_MAX} days ahead at most"),
        );
        return None;
    }
    if at < OffsetDateTime::UNIX_EPOCH {
        faults.at(path.key("run_at"), "out_of_range", "a time before 1970 is no time to run at");
        return None;
    }
    Some(at.to_offset(UtcOffset::UTC))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mecapy_model::Kernels;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-06-01 00:00 UTC);

    fn asked(text: &str) -> Result<Asked<'_>, Vec<(String, String)>> {
        let mut faults = Faults::default();
        let asked = read(text, NOW, Solving::With(None), &mut faults);
        let faults: Vec<_> = faults.into_vec().into_iter().map(|fault| (fault.pointer, fault.code)).collect();
        if faults.is_empty() { Ok(asked.unwrap()) } else { Err(faults) }
    }

    fn with(fields: &str) -> String {
        format!(r#"{{"code":{{"language":"python","source":""}},{fields}}}"#)
    }

    #[test]
    fn the_whole_of_the_contracts_task_is_read() {
        let text = with(
            r#""name": "M12 joint", "inputs": {"d": 12}, "files": {"mesh.med": "01890a5d-ac96-774b-bcce-b302099a8057"},
               "lane": "default", "priority": 7, "limits": {"timeout_ms": 60000, "memory_bytes": 536870912, "fuel": 60000000000, "cpus": 2},
               "retry": {"max_attempts": 3, "backoff_ms": 1000, "backoff_factor": 2.0}, "labels": {"project": "A320"},
               "webhook": {"url": "https://hooks.example/a"}, "study": "01890a5d-ac96-774b-bcce-b302099a8057", "cache": "refresh", "seed": 42, "non_finite": "null",
               "kernels": "wasm", "run_at": "2026-12-01T07:00:00+01:00""#,
        );
        let task = asked(&text).unwrap();
        assert_eq!((task.name.as_deref(), task.priority, task.retry.max_attempts), (Some("M12 joint"), 7, 3));
        assert_eq!(task.run_at, Some(datetime!(2026-12-01 06:00 UTC)));
        assert_eq!((task.computation.inputs, task.computation.seed), (r#"{"d": 12}"#, Some(42)));
        assert_eq!(task.computation.kernels, Kernels::Wasm);
        assert_eq!(task.labels.get("project").map(String::as_str), Some("A320"));
        assert_eq!(task.webhook_url.as_deref(), Some("https://hooks.example/a"));
        assert!(task.study.is_some() && task.cache == CacheMode::Refresh);
        assert_eq!(task.limits.map(|limits| limits.fuel), Some(60_000_000_000));
        assert_eq!(task.warnings.iter().map(|warning| warning.code.as_str()).collect::<Vec<_>>(), ["cpus"]);
    }

    #[test]
    fn the_lane_follows_from_the_timeout_unless_it_is_named() {
        let rows = [
            (r#""limits":{"timeout_ms":1000}"#, Lane::Default),
            (r#""limits":{"timeout_ms":300001}"#, Lane::LongRunning),
            (r#""lane":"high_priority""#, Lane::HighPriority),
            (r#""seed":1"#, Lane::Default),
        ];
        for (fields, lane) in rows {
            assert_eq!(asked(&with(fields)).unwrap().lane, lane, "{fields}");
        }
    }

    #[test]
    fn every_fault_is_pointed_at() {
        let long = format!(r#""name":"{}""#, "x".repeat(201));
        let many: Vec<_> = (0..33).map(|n| format!("\"l{n}\":\"\"")).collect();
        let many = format!(r#""labels":{{{}}}"#, many.join(","));
        let rows = [
            (r#""study":"x""#, "/study", "unknown_study"),
            (r#""study":7"#, "/study", "wrong_type"),
            (r#""cache":"always""#, "/cache", "unknown_value"),
            (r#""kernels":"gpu""#, "/kernels", "unknown_value"),
            (r#""kernels":true"#, "/kernels", "wrong_type"),
            (r#""webhook":{"url":1}"#, "/webhook/url", "wrong_type"),
            (r#""webhook":{}"#, "/webhook/url", "required"),
            (r#""webhook":{"url":"https://x/","events":[]}"#, "/webhook/events", "unknown_field"),
            (r#""webhook":"https://x/""#, "/webhook", "wrong_type"),
            (r#""tenant_id":"x""#, "/tenant_id", "unknown_field"),
            (r#""state":"completed""#, "/state", "unknown_field"),
            (r#""fence":1"#, "/fence", "unknown_field"),
            (r#""lane":"fast""#, "/lane", "unknown_value"),
            (r#""lane":"high_priority","limits":{"timeout_ms":5001}"#, "/limits/timeout_ms", "out_of_range"),
            (r#""limits":{"cpus":65}"#, "/limits/cpus", "out_of_range"),
            (r#""priority":10"#, "/priority", "out_of_range"),
            (r#""seed":9007199254740992"#, "/seed", "out_of_range"),
            (r#""retry":{"max_attempts":0}"#, "/retry/max_attempts", "out_of_range"),
            (r#""retry":{"backoff_factor":0.5}"#, "/retry/backoff_factor", "out_of_range"),
            (r#""retry":{"times":2}"#, "/retry/times", "unknown_field"),
            (r#""labels":{"":"x"}"#, "/labels/", "invalid"),
            (r#""labels":{"a":1}"#, "/labels/a", "wrong_type"),
            (r#""run_at":"tomorrow""#, "/run_at", "invalid"),
            (r#""run_at":"2036-01-01T00:00:00Z""#, "/run_at", "out_of_range"),
            (&long, "/name", "too_long"),
            (&many, "/labels", "too_many"),
        ];
        for (fields, pointer, code) in rows {
            assert_eq!(asked(&with(fields)).unwrap_err(), [(pointer.to_owned(), code.to_owned())], "{fields}");
        }
        assert_eq!(asked("[]").unwrap_err(), [(String::new(), "wrong_type".to_owned())]);
    }
}
