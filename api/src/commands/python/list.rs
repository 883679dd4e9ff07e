//! `mecapy python list`: the images, with what they have imported and whether they are built.

use crate::{
    commands::{
        exit::Exit,
        terminal::{Format, Terminal, aligned, bytes},
    },
    config::{PlaceFlags, Places},
};
use anyhow::Result;
use mecapy_python::{ImageInfo, Recipe};
use mecapy_runtime::Engine;

/// List the interpreter images
#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    places: PlaceFlags,
}

const DIGEST_CHARS_SHOWN: usize = 12;
const HEADER: [&str; 6] = ["IMAGE", "STATE", "MEMORY", "CONFORMANCE", "DIGEST", "IMPORTED"];

pub(super) fn list(arguments: ListArguments, terminal: &Terminal) -> Result<Exit> {
    let Places { cache_dir, nan_payloads, .. } = arguments.places.load()?;
    let engine = Engine::new(nan_payloads)?;
    let images = mecapy_python::list(&engine, &cache_dir, &Recipe::bundled()?)?;
    match terminal.format {
        Format::Json => terminal.print_json(&images),
        Format::Human => table(&images, terminal).iter().for_each(|line| terminal.print(line)),
    }
    Ok(Exit::Completed)
}

fn table(images: &[ImageInfo], terminal: &Terminal) -> Vec<String> {
    aligned(HEADER, &images.iter().map(row).collect::<Vec<_>>(), terminal.out)
}

fn row(image: &ImageInfo) -> [String; 6] {
    let (state, memory, conformance) = match &image.built {
        Some(built) => ("built", bytes(built.memory_bytes), format!("{} passed", built.conformance_passed)),
        None => ("not built", "-".to_owned(), "-".to_owned()),
    };
    let digest = image.digest.chars().take(DIGEST_CHARS_SHOWN).collect();
    let imported = if image.serves.is_empty() { image.about.clone() } else { image.serves.join(" ") };
    [image.name.clone(), state.to_owned(), memory, conformance, digest, imported]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_is_not_built_is_listed_all_the_same() {
        let image = ImageInfo {
            name: "sci".into(),
            about: "numpy and scipy".into(),
            serves: vec!["numpy".into(), "scipy".into()],
            digest: "0123456789abcdef01234567".into(),
            memory_bytes: 0,
            built: None,
        };
        let lines = table(&[image], &Terminal::new(Format::Json));
        assert_eq!(
            lines,
            [
                "IMAGE  STATE      MEMORY  CONFORMANCE  DIGEST        IMPORTED",
                "sci    not built  -       -            0123456789ab  numpy scipy",
            ]
        );
    }
}
