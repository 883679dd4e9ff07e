//! Reading a workflow that is to be saved: its graph by the engine, what its nodes call and run by the intake of tasks.

use super::signatures::Signatures;
use crate::{
    intake::{Intake, Rejected},
    json::{Kind, Value},
};
use mecapy_model::Fault;
use mecapy_workflow::{Definition, NODES_MAX};

/// Fields of a node that are its task's too, and mean the same there.
const OF_THE_TASK: [&str; 8] = ["code", "lane", "priority", "limits", "non_finite", "kernels", "seed", "cache"];
/// More faults than these are not listed.
const FAULTS_MAX: usize = 100;

/// The definition that `text`, checked JSON, holds, as far as the caller of `intake` may use it.
///
/// # Errors
/// Every fault, with its pointer: of the graph, and of the code of each node, below `/nodes/3/code`.
pub async fn read(intake: &Intake<'_>, text: &str) -> Result<Definition, Rejected> {
    let nodes = nodes(text);
    let (signatures, mut faults) = Signatures::for_nodes(intake, &nodes).await?;
    for (index, node) in nodes.iter().enumerate() {
        if faults.len() >= FAULTS_MAX {
            break;
        }
        let Some(request) = request_of(*node) else { continue };
        let found = intake.faults_of_node(&request).await?;
        faults.extend(found.into_iter().map(|fault| below_node(index, fault)));
    }
    let parsed = Definition::parse(text, &|callee| signatures.of(callee));
    match parsed {
        Ok(definition) if faults.is_empty() => Ok(definition),
        Ok(_) => Err(Rejected::Invalid(faults)),
        Err(of_the_graph) => Err(Rejected::Invalid(together(faults, of_the_graph))),
    }
}

/// The text of a definition without the space between its parts, so that the same definition is the same text however it
/// is laid out.
pub fn written_once(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in text.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else {
            in_string = c == '"';
            if matches!(c, ' ' | '\n' | '\r' | '\t') {
                continue;
            }
        }
        written.push(c);
    }
    written
}

/// The nodes of a definition, as many as there may be; none where it has another shape, which the engine says.
pub(super) fn nodes(text: &str) -> Vec<Value<'_>> {
    let nodes = member(Value::of(text), "nodes").and_then(Value::items).unwrap_or_default();
    nodes.into_iter().take(usize::try_from(NODES_MAX).unwrap_or(usize::MAX)).collect()
}

/// A member of an object.
pub(super) fn member<'a>(value: Value<'a>, name: &str) -> Option<Value<'a>> {
    value.members()?.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

pub(super) fn below_node(index: usize, fault: Fault) -> Fault {
    Fault { pointer: format!("/nodes/{index}{}", fault.pointer), ..fault }
}

/// What of a node is a task's request; `None` where it is no task.
fn request_of(node: Value<'_>) -> Option<String> {
    let members = node.members()?;
    members.iter().find(|(name, _)| name == "code")?;
    let own = members.iter().filter(|(name, _)| OF_THE_TASK.contains(&name.as_ref()));
    let mut fields: Vec<String> = own.map(|(name, value)| format!("\"{name}\":{}", value.text())).collect();
    // Files that come along an edge have no id yet.
    let files = members.iter().find(|(name, _)| name == "files").and_then(|(_, files)| files.members());
    let uploads: Vec<String> = files
        .unwrap_or_default()
        .iter()
        .filter(|(_, source)| source.kind() == Kind::String)
        .map(|(name, source)| format!("{}:{}", serde_json::Value::from(name.as_ref()), source.text()))
        .collect();
    if !uploads.is_empty() {
        fields.push(format!("\"files\":{{{}}}", uploads.join(",")));
    }
    Some(format!("{{{}}}", fields.join(",")))
}

/// Both lists, with one fault for each place: where both have one, the first says more.
fn together(mut first: Vec<Fault>, second: Vec<Fault>) -> Vec<Fault> {
    for fault in second {
        if !first.iter().any(|known| known.pointer == fault.pointer) {
            first.push(fault);
        }
    }
    first.truncate(FAULTS_MAX);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_a_request_without_what_comes_along_its_edges() {
        let text = r#"{"name":"x","nodes":[
            {"key":"a","code":{"language":"python","source":"x"},"inputs":{"F":{"from":"inputs.F"}},"cache":"use",
             "files":{"mesh.med":{"from":"m.artifacts/mesh.med"},"a b":"01890a5d-ac96-774b-bcce-b302099a8057"}},
            {"key":"b","approval":{"message":"fine?"}}, 7]}"#;
        let requests: Vec<_> = nodes(text).into_iter().map(request_of).collect();
        let first = concat!(
            r#"{"code":{"language":"python","source":"x"},"cache":"use","#,
            r#""files":{"a b":"01890a5d-ac96-774b-bcce-b302099a8057"}}"#
        );
        assert_eq!(requests, [Some(first.to_owned()), None, None]);
        assert!(nodes("[]").is_empty() && nodes(r#"{"nodes":{}}"#).is_empty());
    }

    #[test]
    fn a_definition_is_written_in_one_way_and_its_texts_are_kept() {
        let text = "{ \"a b\" :\t[ 1 , \"x \\\" y\\\\\" ] ,\n\"c\": \" \" }";
        assert_eq!(written_once(text), "{\"a b\":[1,\"x \\\" y\\\\\"],\"c\":\" \"}");
        assert_eq!(written_once(&written_once(text)), written_once(text));
    }

    #[test]
    fn a_place_has_one_fault() {
        let fault = |pointer: &str, message: &str| Fault::new(pointer, "x", message);
        let both = together(vec![fault("/a", "first")], vec![fault("/a", "second"), fault("/b", "third")]);
        assert_eq!(both.iter().map(|fault| fault.message.as_str()).collect::<Vec<_>>(), ["first", "third"]);
        assert_eq!(below_node(3, fault("/code/source", "")).pointer, "/nodes/3/code/source");
    }
}
