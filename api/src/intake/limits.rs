//! The `limits` object and the lane it runs in.

use crate::json::{Faults, Fields, Kind, Value};
use mecapy_model::{Kernels, Lane, Limits, LimitsError, LimitsRequest, Warning};

/// What a warning about cores is called.
pub(super) const CPUS_WARNING: &str = "cpus";

/// Reads the field `limits`.
pub(super) fn read(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> LimitsRequest {
    let limits = fields.object("limits", faults, |fields, faults| LimitsRequest {
        timeout_ms: whole(fields, "timeout_ms", faults),
        memory_bytes: whole(fields, "memory_bytes", faults),
        fuel: whole(fields, "fuel", faults),
        cpus: whole(fields, "cpus", faults).map(|cpus| u32::try_from(cpus).unwrap_or(u32::MAX)),
    });
    limits.unwrap_or_default()
}

/// The limits in force for a sandbox in `lane`; a fault for each that is out of its range.
pub(super) fn resolve(request: &LimitsRequest, lane: Lane, faults: &mut Faults) -> Option<Limits> {
    resolve_by(request, |request| request.resolve(lane), faults)
}

/// The same for a container, which gets `memory_bytes` where the request names no memory. None runs in `high_priority`,
/// and nothing counts fuel there.
pub(super) fn resolve_container(
    request: &LimitsRequest,
    lane: Lane,
    memory_bytes: u64,
    faults: &mut Faults,
) -> Option<Limits> {
    let root = crate::json::Path::Root;
    if request.fuel.is_some() {
        let message = "fuel is counted in sandboxes alone: limit a solver by timeout_ms, memory_bytes and cpus";
        faults.at(root.key("limits").key("fuel"), "not_applicable", message);
    }
    if lane == Lane::HighPriority {
        faults.at(root.key("lane"), "not_applicable", "a solver runs in the lanes default and long_running");
        return None;
    }
    resolve_by(request, |request| request.resolve_container(lane, memory_bytes), faults)
}

fn resolve_by(
    request: &LimitsRequest,
    resolve: impl Fn(&LimitsRequest) -> Result<Limits, LimitsError>,
    faults: &mut Faults,
) -> Option<Limits> {
    let none = LimitsRequest::default();
    let one_by_one = [
        LimitsRequest { timeout_ms: request.timeout_ms, ..none },
        LimitsRequest { memory_bytes: request.memory_bytes, ..none },
        LimitsRequest { fuel: request.fuel, ..none },
        LimitsRequest { cpus: request.cpus, ..none },
    ];
    for error in one_by_one.iter().filter_map(|only| resolve(only).err()) {
        let root = crate::json::Path::Root;
        let limits = root.key("limits");
        faults.at(limits.key(error.field), "out_of_range", error.to_string());
    }
    resolve(request).ok()
}

/// What is worth saying of limits that can be met but not used.
pub(super) fn warnings(request: &LimitsRequest, lane: Lane, kernels: Kernels) -> Vec<Warning> {
    let why = match (lane, kernels) {
        _ if request.cpus.is_none_or(|cpus| cpus <= 1) => return Vec::new(),
        (Lane::HighPriority, _) => "a preview computes on one core",
        (_, Kernels::Wasm) => "a sandbox computes on one core, but for native kernels",
        (_, Kernels::Native) => return Vec::new(),
    };
    vec![Warning {
        code: CPUS_WARNING.to_owned(),
        message: format!("{why}: more of them are allowed and not used"),
        line: None,
        pointer: Some("/limits/cpus".to_owned()),
    }]
}

/// A whole number; one that is too small or too large to hold stands for the end of its range.
fn whole(fields: &mut Fields<'_, '_>, name: &'static str, faults: &mut Faults) -> Option<u64> {
    let value = fields.take(name)?;
    let path = fields.path();
    match (value.kind(), saturated(value)) {
        (Kind::Number, Some(number)) => Some(number),
        (Kind::Number, None) => {
            faults.at(path.key(name), "wrong_type", "a whole number is needed here, without a fraction");
            None
        }
        _ => {
            faults.wrong_kind(path.key(name), "a whole number", value);
            None
        }
    }
}

fn saturated(value: Value<'_>) -> Option<u64> {
    let text = value.text();
    match (text.parse::<u64>(), text.strip_prefix('-')) {
        (Ok(number), _) => Some(number),
        (Err(_), _) if text.contains(['.', 'e', 'E']) => None,
        (Err(_), Some(_)) => Some(0),
        (Err(_), None) => Some(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Path;

    fn faults_of(text: &str) -> Vec<(String, String)> {
        let mut faults = Faults::default();
        let mut fields = Fields::open(Value::of(text), Path::Root, &mut faults).unwrap();
        let limits = read(&mut fields, &mut faults);
        if faults.is_empty() {
            resolve(&limits, Lane::HighPriority, &mut faults);
        }
        fields.finish(&mut faults);
        faults.into_vec().into_iter().map(|fault| (fault.pointer, fault.code)).collect()
    }

    #[test]
    fn all_limits_out_of_range_are_named_together() {
        let text = r#"{"limits":{"timeout_ms":-1,"memory_bytes":99999999999999999999,"fuel":0,"cpus":65}}"#;
        let pointers: Vec<_> = faults_of(text).into_iter().map(|(pointer, _)| pointer).collect();
        assert_eq!(pointers, ["/limits/timeout_ms", "/limits/memory_bytes", "/limits/fuel", "/limits/cpus"]);
    }

    #[test]
    fn cores_that_nothing_uses_are_warned_of() {
        for (cpus, several) in [(None, false), (Some(1), false), (Some(2), true), (Some(64), true)] {
            let request = LimitsRequest { cpus, ..LimitsRequest::default() };
            let is_warned = |lane, kernels| warnings(&request, lane, kernels).iter().any(|it| it.code == CPUS_WARNING);
            assert_eq!(is_warned(Lane::HighPriority, Kernels::Native), several, "{cpus:?}");
            assert_eq!(is_warned(Lane::Default, Kernels::Wasm), several, "{cpus:?}");
            assert!(!is_warned(Lane::LongRunning, Kernels::Native), "{cpus:?}");
            assert!(resolve(&request, Lane::Default, &mut Faults::default()).is_some(), "{cpus:?}");
        }
    }

    #[test]
    fn what_is_no_whole_number_is_a_wrong_type() {
        for (text, code) in [
            (r#"{"limits":{"timeout_ms":1.5}}"#, "wrong_type"),
            (r#"{"limits":{"timeout_ms":1e999}}"#, "wrong_type"),
            (r#"{"limits":{"timeout_ms":"5"}}"#, "wrong_type"),
            (r#"{"limits":{"timeout_s":5}}"#, "unknown_field"),
        ] {
            assert_eq!(faults_of(text).first().map(|(_, code)| code.as_str()), Some(code), "{text}");
        }
        assert_eq!(faults_of(r#"{"limits":null}"#), []);
    }
}
