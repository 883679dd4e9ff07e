//! What a function takes and gives, as the manifest declares it. What a type or a unit means is not decided here.

use super::fields::{Fields, Place, Report, quoted};
use super::node::{Content, Node};
use super::reference::is_identifier;
use serde::{Deserialize, Serialize};

/// The longest type, unit or expression, in characters.
const EXPRESSION_CHARS_MAX: usize = 2_000;
/// The longest description, in characters.
const DESCRIPTION_CHARS_MAX: usize = 4_000;
/// The most ports on one side of a function.
const PORTS_MAX: usize = 200;

/// An input or an output of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// As in the manifest, `list[Length]`; an inline structure as `{d: Length, p: Length}`.
    #[serde(rename = "type")]
    pub ty: String,
    pub unit: Option<String>,
    pub description: String,
    /// Where the manifest doesn't say so: whether there is no default.
    pub required: bool,
    /// As JSON text.
    pub default: Option<String>,
    pub validity: Option<Validity>,
}

/// What must hold of the values, and what to do where it doesn't.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    /// As `0.5 <= slenderness <= 200`.
    pub expression: String,
    pub on_violation: OnViolation,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnViolation {
    #[default]
    Refuse,
    /// The result is given, with a warning.
    Flag,
}

/// Ports by name, in the manifest's order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ports(Vec<(String, Port)>);

/// The ports of a function. Nothing is known of a side that the manifest doesn't declare.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    inputs: Option<Ports>,
    outputs: Option<Ports>,
    validity: Option<Validity>,
}

impl Signature {
    pub fn inputs(&self) -> Option<&Ports> {
        self.inputs.as_ref()
    }

    pub fn outputs(&self) -> Option<&Ports> {
        self.outputs.as_ref()
    }

    /// What must hold of all values together.
    pub fn validity(&self) -> Option<&Validity> {
        self.validity.as_ref()
    }
}

impl Ports {
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.0.iter().map(|(name, _)| name)
    }

    pub fn get(&self, name: &str) -> Option<&Port> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, port)| port)
    }
}

/// Whether the port takes a file.
pub(super) fn is_file(port: &Port) -> bool {
    port.ty == "File" || port.ty.starts_with("File[")
}

/// Whether a function may be called without a value for the port.
pub(super) fn may_be_missing(port: &Port) -> bool {
    !port.required && port.default.is_none()
}

/// What the manifest says of one port.
struct Declared {
    ty: String,
    unit: Option<String>,
    description: String,
    required: Option<bool>,
    /// As JSON text.
    default: Option<String>,
    validity: Option<Validity>,
}

/// Makes a port of what was declared, or says which field is wrong and why.
fn port(declared: Declared) -> Result<Port, (&'static str, String)> {
    let Declared { ty, unit, description, required, default, validity } = declared;
    if ty.is_empty() {
        return Err(("type", "a type is needed, as Length or list[Force]".to_owned()));
    }
    if required == Some(true) && default.is_some() {
        return Err(("default", "a port that is required can't have a default: leave out one of both".to_owned()));
    }
    let required = required.unwrap_or(default.is_none());
    Ok(Port { ty, unit, description, required, default, validity })
}

/// Reads the fields `inputs`, `outputs` and `validity` of a function.
pub(super) fn read_signature(function: &mut Fields<'_, '_>, report: &mut Report) -> Signature {
    let inputs = read_ports("inputs", function, report);
    let outputs = read_ports("outputs", function, report);
    let validity = read_validity(function, report);
    Signature { inputs, outputs, validity }
}

/// Reads the ports in the field `side` (`inputs` or `outputs`) of a function; nothing where it is absent.
fn read_ports(side: &'static str, function: &mut Fields<'_, '_>, report: &mut Report) -> Option<Ports> {
    let node = function.take(side)?;
    let mut ports = Vec::new();
    function.each(side, node, report, |member, place, report| {
        if !is_identifier(&member.key) {
            let name = quoted(&member.key);
            let message = format!(
                "{name} can't be the name of a port: 1 to 64 letters (a-z, A-Z), digits and _ are allowed, with a letter or _ first"
            );
            return report.fault(place, "invalid_name", message);
        }
        if let Some(port) = read_port(&member.value, place, report) {
            ports.push((member.key.clone(), port));
        }
    });
    if ports.len() > PORTS_MAX {
        let message = format!("there are {} {side}; {PORTS_MAX} are allowed", ports.len());
        function.fault(side, node.line, report, ("too_many", &message));
    }
    Some(Ports(ports))
}

fn read_port(node: &Node, place: Place<'_>, report: &mut Report) -> Option<Port> {
    let mut fields = Fields::open(node, place, report)?;
    let ty = fields.require("type", report).and_then(|ty| read_type(ty, &fields, report));
    let unit = fields.text("unit", EXPRESSION_CHARS_MAX, report);
    let description = fields.text("description", DESCRIPTION_CHARS_MAX, report);
    let required = fields.flag("required", report);
    let default = fields.take("default").map(Node::to_json);
    let validity = read_validity(&mut fields, report);
    let unit = (!unit.is_empty()).then_some(unit);
    let made = port(Declared { ty: ty?, unit, description, required, default, validity });
    let made = made.map_err(|(field, message)| fields.fault(field, node.line, report, ("invalid_value", &message)));
    fields.finish(report);
    made.ok()
}

/// A type as text; a mapping is an inline structure.
fn read_type(node: &Node, port: &Fields<'_, '_>, report: &mut Report) -> Option<String> {
    let path = port.place().path;
    let place = Place { path: path.key("type"), line: node.line };
    if let (Content::Text(text), true) =
        (&node.content, node.text().is_some_and(|text| text.len() <= EXPRESSION_CHARS_MAX))
    {
        return Some(text.trim().to_owned());
    }
    let mut text = String::new();
    match write_type(node, &mut text) {
        Ok(()) if text.len() <= EXPRESSION_CHARS_MAX => Some(text),
        Ok(()) => {
            report.fault(place, "too_long", format!("a type has {EXPRESSION_CHARS_MAX} characters at most"));
            None
        }
        Err(wrong) => {
            report.wrong_kind(Place { line: wrong.line, ..place }, "a type, or a mapping of names to types,", wrong);
            None
        }
    }
}

/// Recurses as deep as the document, which its reader bounds. Gives back what is no type.
fn write_type<'n>(node: &'n Node, out: &mut String) -> Result<(), &'n Node> {
    match &node.content {
        Content::Text(text) => out.push_str(text.trim()),
        Content::Map(members) if !members.is_empty() => {
            for (index, member) in members.iter().enumerate() {
                out.push_str(if index == 0 { "{" } else { ", " });
                out.push_str(&member.key);
                out.push_str(": ");
                write_type(&member.value, out)?;
            }
            out.push('}');
        }
        _ => return Err(node),
    }
    Ok(())
}

/// Reads the field `validity`: an expression as text, or `{expression, on_violation: refuse | flag}`.
fn read_validity(fields: &mut Fields<'_, '_>, report: &mut Report) -> Option<Validity> {
    let node = fields.take("validity")?;
    let path = fields.place().path;
    let place = Place { path: path.key("validity"), line: node.line };
    if let Content::Map(_) = node.content {
        let mut fields = Fields::open(node, place, report)?;
        let expression = fields.require("expression", report)?;
        let expression = fields.parse("expression", expression, report, read_expression);
        let words = [("refuse", OnViolation::Refuse), ("flag", OnViolation::Flag)];
        let on_violation = fields.word("on_violation", &words, report).unwrap_or_default();
        fields.finish(report);
        return Some(Validity { expression: expression?, on_violation });
    }
    let expression = fields.parse("validity", node, report, read_expression)?;
    Some(Validity { expression, on_violation: OnViolation::default() })
}

fn read_expression(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("an expression is needed, as 0.5 <= slenderness <= 200".to_owned()),
        expression if expression.chars().nth(EXPRESSION_CHARS_MAX).is_some() => {
            Err(format!("an expression has {EXPRESSION_CHARS_MAX} characters at most"))
        }
        expression => Ok(expression.to_owned()),
    }
}
