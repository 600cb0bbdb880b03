//! The HTTP servers of the benchmarks, on tokio, on wakeful.

#[path = "../../src/http_hyper.rs"]
mod http_hyper;
#[path = "../../src/http_tokio.rs"]
mod http_tokio;

fn main() -> std::io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("hyper") => http_hyper::serve(),
        _ => http_tokio::serve(),
    }
}
