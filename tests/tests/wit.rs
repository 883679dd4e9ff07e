//! The world of tasks as components: `guest-sdk/wit` parses, and says what the other SDKs say.

#![allow(clippy::indexing_slicing)] // Ids of a document index its own arena.

use anyhow::{Context, Result, ensure};
use mecapy_tests::repository_root;
use wit_parser::{FunctionKind, Resolve, Type, TypeDefKind, TypeId, WorldId, WorldItem, WorldKey};

#[test]
fn a_task_exports_run_and_imports_what_the_sdks_offer() -> Result<()> {
    let (resolve, world) = task()?;
    let world = &resolve.worlds[world];
    let package = &resolve.packages[world.package.context("the world is of no package")?];
    ensure!(package.name.to_string() == "mecapy:task@0.1.0", "{}", package.name);

    let name_of = |key: &WorldKey| resolve.name_world_key(key);
    let imports: Vec<_> = world.imports.keys().map(name_of).collect();
    let interfaces = ["types", "progress", "log", "artifact"].map(|name| format!("mecapy:task/{name}@0.1.0"));
    for interface in &interfaces {
        ensure!(imports.contains(interface), "{interface} is not among {imports:?}");
    }
    // The type `error` itself is the only other one.
    ensure!(imports.len() == interfaces.len() + 1, "{imports:?}");

    let exports: Vec<_> = world.exports.iter().collect();
    let [(key, WorldItem::Function(run))] = exports.as_slice() else { anyhow::bail!("exports: {exports:?}") };
    ensure!(name_of(key) == "run" && run.kind == FunctionKind::Freestanding, "{run:?}");
    let parameters: Vec<_> = run.params.iter().map(|parameter| (parameter.name.as_str(), parameter.ty)).collect();
    ensure!(parameters == [("inputs", Type::String)], "{parameters:?}");
    let Some(Type::Id(result)) = run.result else { anyhow::bail!("run gives {:?}", run.result) };
    let TypeDefKind::Result(result) = &resolve.types[result].kind else { anyhow::bail!("run gives no result") };
    ensure!(result.ok == Some(Type::String), "{result:?}");
    let Some(Type::Id(error)) = result.err else { anyhow::bail!("{result:?}") };
    let TypeDefKind::Record(error) = kind_of(&resolve, error) else { anyhow::bail!("the error is no record") };
    let fields: Vec<_> = error.fields.iter().map(|field| field.name.as_str()).collect();
    ensure!(fields == ["kind", "message", "pointer"], "{fields:?}");
    Ok(())
}

#[test]
fn everything_in_the_world_is_documented() -> Result<()> {
    let (resolve, _) = task()?;
    for (_, interface) in &resolve.interfaces {
        let name = interface.name.as_deref().unwrap_or_default();
        ensure!(interface.docs.contents.is_some(), "{name} says nothing");
        for function in interface.functions.values() {
            ensure!(function.docs.contents.is_some(), "{name}.{} says nothing", function.name);
        }
    }
    Ok(())
}

fn task() -> Result<(Resolve, WorldId)> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(repository_root().join("guest-sdk/wit"))?;
    let world = resolve.select_world(&[package], Some("task"))?;
    Ok((resolve, world))
}

/// What a type is, through the names that it is used by.
fn kind_of(resolve: &Resolve, mut id: TypeId) -> &TypeDefKind {
    while let TypeDefKind::Type(Type::Id(of)) = resolve.types[id].kind {
        id = of;
    }
    &resolve.types[id].kind
}
