//! The HTTP servers of the benchmarks, on tokio: built once on wakeful, and once, by `tokio-on-mio`, on mio.

mod bare;
mod by_hyper;

fn main() -> std::io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("hyper") => by_hyper::serve(),
        _ => bare::serve(),
    }
}
