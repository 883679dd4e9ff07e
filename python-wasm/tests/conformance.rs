//! Every conformance row on every image, by the sandbox as it is compiled now.
//!
//! A cached image passed the rows when it was made, on a host that may since have changed: a fault of the host would
//! not be seen by `mecapy python build`, which finds the image current.

#![allow(clippy::panic)] // A test may fail.

mod opened;

use mecapy_python::check_image;

#[test]
fn every_row_passes_on_every_image() {
    let (engine, recipe, interpreter) = opened::open();
    let images = interpreter.images();
    let names: Vec<&str> = images.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(names, ["core", "sci", "full"]);
    for info in &images {
        let image = interpreter.image(&info.name).unwrap();
        let rows = check_image(&engine, &recipe, &image, &mut |_| ()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(Some(rows), info.built.as_ref().map(|built| built.conformance_passed), "image {}", info.name);
    }
}
