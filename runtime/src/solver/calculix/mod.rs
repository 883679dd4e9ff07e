//! `CalculiX`, the finite-element solver.
#![allow(dead_code)]
mod dat;
mod deck;
mod frd;
mod keywords;
mod lines;
mod output;
mod picture;
#[cfg(test)]
mod shelf;
mod token;
pub struct CalculiX;

pub fn scratch(path:&str, job:&str){ let f=std::fs::File::open(path).unwrap(); let t=std::time::Instant::now(); let frd=frd::read(Box::new(f)).unwrap(); eprintln!("read {:?} {} nodes",t.elapsed(),frd.mesh.points.len()); let t=std::time::Instant::now(); for d in picture::draw(job,&frd){ eprintln!("{} {} bytes {:?}",d.name,d.png.len(),t.elapsed()); std::fs::write(format!("/tmp/scratch-ccx/out-{job}-{}.png",d.name),&d.png).unwrap(); } }
