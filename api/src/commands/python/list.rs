//! `mecapy python list`: the images, with what they have imported and whether they are built.

use crate::{
    commands::{
        exit::Exit,
        terminal::{Format, Style, Terminal, bytes},
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
    let Places { cache_dir, nan_payloads } = arguments.places.load()?;
    let engine = Engine::new(nan_payloads)?;
    let images = mecapy_python::list(&engine, &cache_dir, &Recipe::bundled()?)?;
    match terminal.format {
        Format::Json => terminal.print_json(&images),
        Format::Human => table(&images, terminal).iter().for_each(|line| terminal.print(line)),
    }
    Ok(Exit::Completed)
}

fn table(images: &[ImageInfo], terminal: &Terminal) -> Vec<String> {
    let rows: Vec<[String; 6]> = images.iter().map(row).collect();
    let header = HEADER.map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&header]).filter_map(|row| row.get(column));
        cells.map(|cell| console::measure_text_width(cell)).max().unwrap_or(0)
    };
    let line = |row: &[String; 6]| {
        let cells = row.iter().enumerate();
        let padded = cells.map(|(column, cell)| console::pad_str(cell, width(column), console::Alignment::Left, None));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![terminal.out.paint(Style::Bold, &line(&header))];
    lines.extend(rows.iter().map(line));
    lines
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
