//! Scratch.
use mecapy_model::*;
use mecapy_python::*;
use mecapy_runtime::*;
use std::{sync::{Arc, mpsc}, time::Instant};
fn main() {
    let engine = Engine::new(NanPayloads::Native).unwrap();
    let recipe = Recipe::bundled().unwrap();
    let cache = std::path::PathBuf::from(std::env::args().nth(1).unwrap());
    let code = std::env::args().nth(2).unwrap_or("result = 1 + 1".into());
    let n: usize = std::env::args().nth(3).map_or(1000, |n| n.parse().unwrap());
    let image = std::env::args().nth(4).unwrap_or("sci".into());
    let t = Instant::now();
    build(&engine, &cache, &recipe, &BuildOptions::default(), &mut |event| println!("{:?} {event:?}", t.elapsed())).unwrap();
    let t = Instant::now();
    let interpreter = Interpreter::open(&engine, &cache, &recipe).unwrap();
    println!("open {:?}", t.elapsed());
    let image = interpreter.image(&image).unwrap();
    println!("image {:?} {} MiB", t.elapsed(), image.memory.bytes() >> 20);
    let sandboxes = Sandboxes::new(&engine, &SandboxesConfig::for_machine(2, 24 << 30)).unwrap();
    let mut times = vec![];
    let (mut st, mut ex) = (vec![], vec![]);
    for k in 0..n {
        let (tx, rx) = mpsc::channel();
        let t = Instant::now();
        sandboxes.submit(Job {
            program: Program::Python { image: image.clone(), source: Arc::from(code.as_str()), entry: None },
            attempt: Attempt { inputs: Arc::from("{}"), files: vec![], limits: LimitsRequest::default().resolve(Lane::HighPriority).unwrap(), seed: k as u64, non_finite: NonFinite::Reject, wall_clock: time::OffsetDateTime::UNIX_EPOCH },
            lane: Lane::HighPriority, tenant: TenantId::from_parts(1, &[0; 10]), cancel: Cancel::new(), observer: None,
            done: Box::new(move |o| drop(tx.send(o))),
        }).unwrap();
        let o = rx.recv().unwrap();
        times.push(t.elapsed());
        st.push(o.usage.startup_ms); ex.push(o.usage.execute_ms);
        if k == 0 || k == n - 1 { println!("{o:?}"); }
    }
    times.sort(); st.sort_by(f64::total_cmp); ex.sort_by(f64::total_cmp);
    println!("p50 {:?} p99 {:?} startup {} execute {}", times[n / 2], times[n * 99 / 100], st[n/2], ex[n/2]);
}
