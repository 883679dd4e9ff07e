//! `mecapy python list`: the images, with what they have imported and whether they are built, or their native kernels.

use crate::{
    commands::{
        exit::Exit,
        terminal::{Format, Terminal, aligned, bytes},
    },
    config::{PlaceFlags, Places},
};
use anyhow::Result;
use mecapy_python::{ImageInfo, KernelInfo, Recipe};
use mecapy_runtime::Engine;

/// List the interpreter images, or what of their linear algebra runs natively
#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    /// List the native kernels instead: the functions of BLAS and LAPACK that NumPy and SciPy call and that run as
    /// machine code outside the sandbox's WebAssembly, and the size of the operands from which on each does.
    ///
    /// Smaller operands, and unusual ones (overlapping, misaligned, invalid), are left to the interpreter's own BLAS
    /// and LAPACK: what a task computes is the same but for rounding.
    #[arg(long)]
    kernels: bool,
    #[command(flatten)]
    places: PlaceFlags,
}

const DIGEST_CHARS_SHOWN: usize = 12;
const KERNELS_HEADER: [&str; 4] = ["FUNCTION", "NUMBERS", "NATIVE FROM", "COMPUTES"];
const HEADER: [&str; 6] = ["IMAGE", "STATE", "MEMORY", "CONFORMANCE", "DIGEST", "IMPORTED"];

pub(super) fn list(arguments: ListArguments, terminal: &Terminal) -> Result<Exit> {
    if arguments.kernels {
        return Ok(list_kernels(terminal));
    }
    let Places { cache_dir, nan_payloads, .. } = arguments.places.load()?;
    let engine = Engine::new(nan_payloads)?;
    let images = mecapy_python::list(&engine, &cache_dir, &Recipe::bundled()?)?;
    match terminal.format {
        Format::Json => terminal.print_json(&images),
        Format::Human => {
            table(&images, terminal).iter().for_each(|line| terminal.print(line));
            let kernels = mecapy_python::kernels().len();
            terminal
                .note(&format!("{kernels} functions of BLAS and LAPACK run natively: `mecapy python list --kernels`"));
        }
    }
    Ok(Exit::Completed)
}

fn list_kernels(terminal: &Terminal) -> Exit {
    let kernels = mecapy_python::kernels();
    match terminal.format {
        Format::Json => terminal.print_json(&kernels),
        Format::Human => kernels_table(&kernels, terminal).iter().for_each(|line| terminal.print(line)),
    }
    Exit::Completed
}

fn kernels_table(kernels: &[KernelInfo], terminal: &Terminal) -> Vec<String> {
    aligned(KERNELS_HEADER, &kernels.iter().map(kernel_row).collect::<Vec<_>>(), terminal.out)
}

fn kernel_row(kernel: &KernelInfo) -> [String; 4] {
    let from = vec![kernel.least_size().to_string(); kernel.sizes].join("×");
    [kernel.symbol.to_owned(), kernel.numbers.to_owned(), from, kernel.about.to_owned()]
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

    #[test]
    fn a_kernel_is_listed_with_the_size_from_which_on_it_is_native() {
        let kernel = |symbol, numbers, sizes, least_product| KernelInfo {
            symbol,
            about: "something",
            numbers,
            sizes,
            least_product,
        };
        let kernels = [kernel("dgemm_", "float64", 3, 4_096), kernel("zgetrf_", "complex128", 2, 1_000)];
        assert_eq!(
            kernels_table(&kernels, &Terminal::new(Format::Json)),
            [
                "FUNCTION  NUMBERS     NATIVE FROM  COMPUTES",
                "dgemm_    float64     16×16×16     something",
                "zgetrf_   complex128  32×32        something",
            ]
        );
    }
}
