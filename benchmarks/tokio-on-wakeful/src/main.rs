//! The HTTP servers of the benchmarks, on tokio: built once on wakeful, and once, by `tokio-on-mio`, on mio.

mod bare;
mod by_hyper;

use std::io;

use tokio::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("hyper") => serve(by_hyper::converse),
        _ => serve(bare::converse),
    }
}

/// Serves on one thread until standard input ends, after printing its port.
fn serve<F>(converse: fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        std::thread::spawn(|| {
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            std::process::exit(0);
        });
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(converse(stream));
        }
    })
}
