//! From the text of a sweep to one that is sound, or to all that is wrong with it.

use super::axis::{Axis, Values};
use super::range::{NoSteps, Range};
use super::sample::Distribution;
use super::{AXES_MAX, ITEMS_MAX, Mode, SWEEP_SEED_MAX, Sweep};
use crate::Fault;
use crate::ports::json::{Faults, Members, Path, Shape, quoted, text_of};
use serde_json::value::RawValue;
use std::collections::HashSet;

/// The kinds of axes, for messages.
const AXES: &str =
    "an array of values, {\"from\", \"to\", \"count\"}, {\"from\", \"to\", \"step\"} or {\"random\": {…}}";

/// An axis, and how many values it would have were there no bound.
struct Found {
    axis: Axis,
    count: u128,
}

/// The members of one object that nobody has taken yet.
struct Object<'a, 'p> {
    path: Path<'p>,
    members: Members<'a>,
}

pub(super) fn read(text: &str) -> Result<Sweep, Vec<Fault>> {
    let mut faults = Faults::default();
    let root = Path::Root("");
    let sweep = match serde_json::from_str::<&RawValue>(text) {
        Ok(value) => whole(value, root, &mut faults),
        Err(_) => {
            faults.at(root, "malformed", "a sweep is a JSON object");
            None
        }
    };
    match sweep {
        Some(sweep) if faults.is_empty() => Ok(sweep),
        _ => Err(faults.into_vec()),
    }
}

fn whole(value: &RawValue, root: Path<'_>, faults: &mut Faults) -> Option<Sweep> {
    let mut object = Object::open(value, root, faults)?;
    let mode = object.mode(faults);
    let seed = object.integer("seed", 0, SWEEP_SEED_MAX, faults).unwrap_or(0);
    let samples = object.samples(mode, faults);
    let (sweep_path, inputs_path) = (root.key("sweep"), root.key("inputs"));
    let constants = match object.take("inputs") {
        Some(inputs) => constants(inputs, inputs_path, faults),
        None => Vec::new(),
    };
    let found = match object.take("sweep") {
        Some(sweep) => axes(sweep, sweep_path, mode, faults),
        None => {
            faults.at(sweep_path, "required", "say what varies: {\"d\": [8, 10, 12]}, for example");
            None
        }
    };
    object.finish(faults);
    let found = found?;
    for axis in &found {
        if constants.iter().any(|(key, _)| *key == axis.axis.key) {
            let name = &axis.axis.name;
            let message = format!("{name:?} varies already: leave it out here, or out of \"sweep\"");
            faults.at(inputs_path.key(name), "conflict", message);
        }
    }
    if !faults.is_empty() {
        return None;
    }
    let total = match mode {
        Mode::Grid => grid(&found, sweep_path, faults)?,
        Mode::Zip => zip(&found, sweep_path, faults)?,
        Mode::Random | Mode::Lhs => samples?,
    };
    Some(Sweep { mode, seed, axes: found.into_iter().map(|found| found.axis).collect(), constants, total })
}

/// How many items each value with each makes.
fn grid(found: &[Found], path: Path<'_>, faults: &mut Faults) -> Option<u32> {
    let total = found.iter().fold(1u128, |total, axis| total.saturating_mul(axis.count));
    let bounded = u32::try_from(total).ok().filter(|total| *total <= ITEMS_MAX);
    if bounded.is_none() {
        let counts: Vec<_> = found.iter().map(|axis| axis.count.to_string()).collect();
        let product = if counts.len() > 1 { format!("{} = {total}", counts.join(" × ")) } else { total.to_string() };
        let message = format!(
            "{product} items are too many: {ITEMS_MAX} are allowed in one batch. Take fewer values, or draw \
                     some of all combinations with \"mode\": \"lhs\" and \"samples\""
        );
        faults.at(path, "too_many", message);
    }
    bounded
}

/// How many items there are where all axes go side by side.
fn zip(found: &[Found], path: Path<'_>, faults: &mut Faults) -> Option<u32> {
    let first = found.first()?;
    for axis in found.iter().filter(|axis| axis.count != first.count) {
        let (name, other) = (&axis.axis.name, &first.axis.name);
        let message = format!(
            "{name:?} has {} values where {other:?} has {}: with the mode \"zip\" all have as many",
            axis.count, first.count
        );
        faults.at(path.key(name), "unequal_lengths", message);
    }
    let bounded = u32::try_from(first.count).ok().filter(|total| *total <= ITEMS_MAX);
    if bounded.is_none() {
        let message = format!("{} items are too many: {ITEMS_MAX} are allowed in one batch", first.count);
        faults.at(path.key(&first.axis.name), "too_many", message);
    }
    bounded.filter(|_| faults.is_empty())
}

fn constants(value: &RawValue, path: Path<'_>, faults: &mut Faults) -> Vec<(Box<str>, Box<RawValue>)> {
    let Some(object) = Object::open(value, path, faults) else { return Vec::new() };
    object.members.into_iter().map(|(name, value)| (text_of(&name).into(), value.to_owned())).collect()
}

fn axes(value: &RawValue, path: Path<'_>, mode: Mode, faults: &mut Faults) -> Option<Vec<Found>> {
    let object = Object::open(value, path, faults)?;
    if object.members.is_empty() {
        faults.at(path, "required", "a sweep varies one input at least");
        return None;
    }
    if object.members.len() > AXES_MAX {
        let message = format!("{} inputs vary, {AXES_MAX} may", object.members.len());
        faults.at(path, "too_many", message);
        return None;
    }
    let mut found = Vec::with_capacity(object.members.len());
    for (name, value) in object.members {
        if let Some((values, count)) = values(value, path.key(&name), mode, faults) {
            let axis = Axis { key: text_of(&name).into(), name: name.into(), values };
            found.push(Found { axis, count });
        }
    }
    Some(found)
}

fn values(value: &RawValue, path: Path<'_>, mode: Mode, faults: &mut Faults) -> Option<(Values, u128)> {
    let mut object = match Shape::of(value) {
        Shape::Array(values) if values.is_empty() => {
            faults.at(path, "required", "one value is needed here at least");
            return None;
        }
        Shape::Array(values) => {
            let count = values.len() as u128;
            return Some((Values::List(values.into_iter().map(RawValue::to_owned).collect()), count));
        }
        Shape::Object(members) => Object { path, members },
        other => {
            faults.wrong_type(path, AXES, &other);
            return None;
        }
    };
    if let Some(random) = object.take("random") {
        object.finish(faults);
        if !mode.is_sampled() {
            let message = "random values need the mode \"random\" or \"lhs\", and \"samples\"";
            faults.at(path.key("random"), "conflict", message);
            return None;
        }
        let distribution = distribution(random, path.key("random"), faults)?;
        return Some((Values::Random { distribution, written: value.to_owned() }, 0));
    }
    let (range, count) = range(&mut object, faults)?;
    object.finish(faults);
    Some((Values::Range { range, written: value.to_owned() }, count))
}

fn range(object: &mut Object<'_, '_>, faults: &mut Faults) -> Option<(Range, u128)> {
    let path = object.path;
    let (from, to) = (object.number("from", faults), object.number("to", faults));
    let scale = object.scale(faults);
    let stepped = object.has("step");
    if stepped == object.has("count") {
        let message = format!("\"count\" or \"step\" is needed here, one of the two: an axis is {AXES}");
        faults.at(path, "required", message);
        object.take("step");
        object.take("count");
        return None;
    }
    if stepped {
        let step = object.number("step", faults);
        if scale == Some(Scale::Log) {
            faults.at(path.key("scale"), "conflict", "a logarithmic axis has a \"count\" and no \"step\"");
        }
        let ((from, _), (to, _), (step, _)) = (from?, to?, step?);
        return match Range::steps(from, to, step) {
            Ok(steps) => Some(steps),
            Err(why) => {
                faults.at(path.key("step"), "out_of_range", no_steps(why, from, to, step));
                None
            }
        };
    }
    let count = object.integer("count", 2, u64::MAX, faults);
    let (scale, (_, from), (_, to), count) = (scale?, from?, to?, count?);
    let kept = u32::try_from(count).unwrap_or(u32::MAX);
    if scale == Scale::Linear {
        return Some((Range::Linear { from, to, count: kept }, u128::from(count)));
    }
    for (name, end) in [("from", from), ("to", to)] {
        if end <= 0.0 {
            let message = format!("a logarithmic axis goes between positive ends, and {end} is none");
            faults.at(path.key(name), "out_of_range", message);
        }
    }
    (from > 0.0 && to > 0.0).then_some((Range::Log { from, to, count: kept }, u128::from(count)))
}

fn no_steps(why: NoSteps, from: &str, to: &str, step: &str) -> String {
    let [from, to, step] = [from, to, step].map(quoted);
    match why {
        NoSteps::Zero => "a step of 0 leads nowhere: use a \"count\", or a step toward \"to\"".to_owned(),
        NoSteps::Away => format!("steps of {step} lead from {from} away from {to}: change the sign"),
        NoSteps::TooLong => {
            format!("{from}, {to} and {step} have more than 30 digits between them: use a \"count\"")
        }
    }
}

fn distribution(value: &RawValue, path: Path<'_>, faults: &mut Faults) -> Option<Distribution> {
    let mut object = Object::open(value, path, faults)?;
    let name = object.word("distribution", &["uniform", "normal", "lognormal"], faults)?;
    let ends = if name == 0 { ["low", "high"] } else { ["mean", "std"] };
    let (first, second) = (object.number(ends[0], faults), object.number(ends[1], faults));
    object.finish(faults);
    let ((_, first), (_, second)) = (first?, second?);
    let sound = match name {
        0 if first >= second => Err((ends[1], format!("{second} is not above \"low\", {first}"))),
        0 => Ok(Distribution::Uniform { low: first, high: second }),
        _ if second <= 0.0 => Err((ends[1], format!("a standard deviation is above 0, not {second}"))),
        1 => Ok(Distribution::Normal { mean: first, std: second }),
        _ if first <= 0.0 => Err((ends[0], format!("the mean of a lognormal distribution is above 0, not {first}"))),
        _ => Ok(Distribution::Lognormal { mean: first, std: second }),
    };
    sound.map_err(|(name, message)| faults.at(path.key(name), "out_of_range", message)).ok()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Linear,
    Log,
}

impl<'a, 'p> Object<'a, 'p> {
    /// The members of an object, each once.
    fn open(value: &'a RawValue, path: Path<'p>, faults: &mut Faults) -> Option<Self> {
        let members = match Shape::of(value) {
            Shape::Object(members) => members,
            other => {
                faults.wrong_type(path, "an object", &other);
                return None;
            }
        };
        let mut seen = HashSet::with_capacity(members.len());
        for (name, _) in members.iter().filter(|(name, _)| !seen.insert(name.as_ref())) {
            faults.at(path.key(name), "duplicate_key", format!("{:?} appears twice", quoted(name)));
        }
        Some(Self { path, members })
    }

    /// Whether there is a member `name`; one that is null is as good as absent, and is gone afterwards.
    fn has(&mut self, name: &str) -> bool {
        let there = self.members.iter().any(|(key, value)| key == name && value.get() != "null");
        if !there {
            self.take(name);
        }
        there
    }

    /// The member `name`; `None` where it is absent or null.
    fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.members.iter().position(|(key, _)| key == name)?;
        let (_, value) = self.members.swap_remove(at);
        (value.get() != "null").then_some(value)
    }

    /// A fault for each member that nobody took.
    fn finish(self, faults: &mut Faults) {
        for (name, _) in &self.members {
            faults.at(self.path.key(name), "unknown_field", format!("there is no field {:?} here", quoted(name)));
        }
    }

    /// A number as it was written and as a double.
    fn number(&mut self, name: &str, faults: &mut Faults) -> Option<(&'a str, f64)> {
        let Some(value) = self.take(name) else {
            faults.at(self.path.key(name), "required", format!("a number {name:?} is needed here"));
            return None;
        };
        match Shape::of(value) {
            Shape::Number(text) => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Some((text, number)),
                _ => {
                    faults.at(self.path.key(name), "out_of_range", format!("{} is no double", quoted(text)));
                    None
                }
            },
            other => {
                faults.wrong_type(self.path.key(name), "a number", &other);
                None
            }
        }
    }

    fn integer(&mut self, name: &str, min: u64, max: u64, faults: &mut Faults) -> Option<u64> {
        let value = self.take(name)?;
        match Shape::of(value) {
            Shape::Number(text) => {
                let number = text.parse().ok().filter(|number| (min..=max).contains(number));
                if number.is_none() {
                    let wanted =
                        if max == u64::MAX { format!("from {min} on") } else { format!("between {min} and {max}") };
                    let message = format!("a whole number {wanted} is needed here, not {}", quoted(text));
                    faults.at(self.path.key(name), "out_of_range", message);
                }
                number
            }
            other => {
                faults.wrong_type(self.path.key(name), "a whole number", &other);
                None
            }
        }
    }

    /// Which of `words` stands at `name`; a fault where it is none of them, or absent.
    fn word(&mut self, name: &str, words: &[&str], faults: &mut Faults) -> Option<usize> {
        let Some(value) = self.take(name) else {
            faults.at(self.path.key(name), "required", format!("use one of {}", words.join(", ")));
            return None;
        };
        match Shape::of(value) {
            Shape::String(text) => {
                let found = words.iter().position(|word| *word == text);
                if found.is_none() {
                    let message = format!("{:?} is not known: use one of {}", quoted(&text), words.join(", "));
                    faults.at(self.path.key(name), "unknown_value", message);
                }
                found
            }
            other => {
                faults.wrong_type(self.path.key(name), "a string", &other);
                None
            }
        }
    }

    fn mode(&mut self, faults: &mut Faults) -> Mode {
        if !self.has("mode") {
            return Mode::default();
        }
        let found = self.word("mode", &Mode::ALL.map(Mode::as_str), faults);
        found.and_then(|place| Mode::ALL.get(place).copied()).unwrap_or_default()
    }

    fn scale(&mut self, faults: &mut Faults) -> Option<Scale> {
        if !self.has("scale") {
            return Some(Scale::Linear);
        }
        match self.word("scale", &["linear", "log"], faults) {
            Some(0) => Some(Scale::Linear),
            Some(_) => Some(Scale::Log),
            None => None,
        }
    }

    fn samples(&mut self, mode: Mode, faults: &mut Faults) -> Option<u32> {
        if !mode.is_sampled() {
            if self.take("samples").is_some() {
                let message = format!("the mode {:?} takes every value: leave it out", mode.as_str());
                faults.at(self.path.key("samples"), "conflict", message);
            }
            return None;
        }
        if !self.has("samples") {
            let message = format!("the mode {:?} needs the number of items, 1 to {ITEMS_MAX}", mode.as_str());
            faults.at(self.path.key("samples"), "required", message);
            return None;
        }
        let samples = self.integer("samples", 1, u64::from(ITEMS_MAX), faults);
        samples.and_then(|samples| u32::try_from(samples).ok())
    }
}
