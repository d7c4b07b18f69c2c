//! tmp
use std::io::Write;
fn main() {
    let args: Vec<_> = std::env::args().skip(2).filter(|a| !a.starts_with("--") && a != "csv").map(Into::into).collect();
    let (sources, errors) = lastack::input::expand(&args);
    for e in &errors { eprintln!("{e}"); }
    let t = std::time::Instant::now();
    let threads = std::env::var("T").ok().and_then(|t| t.parse().ok()).unwrap_or(0);
    let r = lastack::ingest::read(&sources, threads, &|_| {}).unwrap();
    for e in &r.errors { eprintln!("{e}"); }
    eprintln!("read {:?}", t.elapsed());
    let ev = lastack::evidence::Evidence::new(r.inputs, r.parts);
    eprintln!("evidence {:?} {} connections", t.elapsed(), ev.connection_count());
    for i in &ev.inputs { if let lastack::ingest::Kind::Capture(c) = &i.kind { eprintln!("{:?} {:?}", c.frames, c.truncated); } }
    if std::env::args().nth(1).as_deref() == Some("count") { return; }
    let mut out = lastack::report::csv::header();
    for row in lastack::report::connections::rows(&ev) { lastack::report::csv::row(&row, &mut out); }
    std::io::stdout().write_all(out.as_bytes()).unwrap();
}
