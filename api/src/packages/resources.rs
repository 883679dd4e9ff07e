//! What a function may use: a tier's cores, memory and time, or numbers of its own.

use super::fields::{Fields, Report, one_of};
use super::node::{Content, Node};
use serde::{Deserialize, Serialize};

/// Upper bounds for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Cores.
    pub cpus: u32,
    /// Memory, MiB.
    pub memory_mib: u32,
    /// Wall time, seconds.
    pub timeout_s: u32,
}

/// The tiers by name.
const TIERS: [(&str, Resources); 5] = [
    ("nano", Resources { cpus: 1, memory_mib: 512, timeout_s: 60 }),
    ("micro", Resources { cpus: 1, memory_mib: 1_024, timeout_s: 120 }),
    ("small", Resources::SMALL),
    ("medium", Resources { cpus: 2, memory_mib: 4_096, timeout_s: 600 }),
    ("large", Resources { cpus: 4, memory_mib: 8_192, timeout_s: 1_800 }),
];

impl Resources {
    /// What a function has that asks for nothing.
    pub const SMALL: Resources = Resources { cpus: 2, memory_mib: 2_048, timeout_s: 300 };
}

/// Reads the field `resources`: a tier's name, `{tier}`, or any of `{cpu, memory_mb, timeout}`, which replace the
/// tier's numbers.
pub(super) fn read_resources(fields: &mut Fields<'_, '_>, report: &mut Report) -> Option<Resources> {
    let node = fields.take("resources")?;
    let place = fields.place();
    if !matches!(node.content, Content::Map(_)) {
        return fields.parse("resources", node, report, |text| one_of(text, &TIERS));
    }
    let path = place.path.key("resources");
    let mut fields = Fields::open(node, super::fields::Place { path, line: node.line }, report)?;
    let tier = fields.word("tier", &TIERS, report).unwrap_or(Resources::SMALL);
    let resources = Resources {
        cpus: whole("cpu", 64, &mut fields, report).unwrap_or(tier.cpus),
        memory_mib: whole("memory_mb", 1 << 20, &mut fields, report).unwrap_or(tier.memory_mib),
        timeout_s: whole("timeout", 86_400, &mut fields, report).unwrap_or(tier.timeout_s),
    };
    fields.finish(report);
    Some(resources)
}

/// A whole number from 1 to `max`.
fn whole(name: &'static str, max: u32, fields: &mut Fields<'_, '_>, report: &mut Report) -> Option<u32> {
    let node: &Node = fields.take(name)?;
    fields.parse(name, node, report, |text| {
        let number = text.parse().ok().filter(|number| (1..=max).contains(number));
        number.ok_or_else(|| format!("a whole number from 1 to {max} is needed here"))
    })
}
