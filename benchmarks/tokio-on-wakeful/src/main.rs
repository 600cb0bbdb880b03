//! The HTTP server of the benchmarks, on tokio, on wakeful.

#[path = "../../src/http_tokio.rs"]
mod http_tokio;

fn main() -> std::io::Result<()> {
    http_tokio::serve()
}
