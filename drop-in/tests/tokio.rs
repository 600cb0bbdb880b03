//! tokio's other ways to wait.

use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::{Duration, Instant};

use drop_in::{in_a_minute, knows_no_edge, on_tokio};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::net::{UdpSocket, UnixDatagram, UnixListener, UnixStream};
use tokio::process::Command;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

#[test]
fn a_child_process() {
    on_tokio(|| async {
        let mut child = Command::new("sh")
            .args(["-c", "while read line; do echo \"<$line>\"; done; exit 7"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for word in ["one", "two"] {
            stdin.write_all(format!("{word}\n").as_bytes()).await.unwrap();
            assert_eq!(lines.next_line().await.unwrap(), Some(format!("<{word}>")));
        }
        drop(stdin);
        assert_eq!(lines.next_line().await.unwrap(), None);
        assert_eq!(child.wait().await.unwrap().code(), Some(7));
    });
}

#[test]
fn many_children_exit() {
    on_tokio(|| async {
        let children: Vec<_> = (0..20)
            .map(|number| {
                let mut command = Command::new("sh");
                command.args(["-c", &format!("exit {number}")]).kill_on_drop(true);
                tokio::spawn(async move { command.status().await.unwrap().code() })
            })
            .collect();
        for (number, child) in children.into_iter().enumerate() {
            assert_eq!(child.await.unwrap(), Some(number as i32));
        }
    });
}

#[test]
fn a_signal() {
    on_tokio(|| async {
        let mut signals = signal(SignalKind::user_defined1()).unwrap();
        for _ in 0..3 {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1)
                .unwrap();
            signals.recv().await.unwrap();
        }
    });
}

#[test]
fn unix_streams() {
    on_tokio(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut reader, mut writer) = stream.split();
            tokio::io::copy(&mut reader, &mut writer).await.unwrap()
        });
        let (mut reader, mut writer) = UnixStream::connect(&path).await.unwrap().into_split();
        let sent = vec![7; 3_000_000];
        let expected = sent.clone();
        let sender = tokio::spawn(async move {
            writer.write_all(&sent).await.unwrap();
            writer.shutdown().await.unwrap();
        });
        let mut received = Vec::new();
        reader.read_to_end(&mut received).await.unwrap();
        assert!(received == expected);
        sender.await.unwrap();
        assert_eq!(server.await.unwrap(), 3_000_000);
    });
}

#[test]
fn datagrams() {
    on_tokio(|| async {
        let (left, right) = UnixDatagram::pair().unwrap();
        let bind = || UdpSocket::bind("127.0.0.1:0");
        let (sender, receiver) = (bind().await.unwrap(), bind().await.unwrap());
        let address = receiver.local_addr().unwrap();
        let mut buffer = [0; 16];
        for number in 0..100u8 {
            left.send(&[number; 3]).await.unwrap();
            assert_eq!(right.recv(&mut buffer).await.unwrap(), 3);
            sender.send_to(&[number], address).await.unwrap();
            let (length, from) = receiver.recv_from(&mut buffer).await.unwrap();
            assert_eq!((length, buffer[0]), (1, number));
            assert_eq!(from, sender.local_addr().unwrap());
        }
    });
}

/// A socket that is connected to a port at which nothing listens, and the address of that.
async fn refused() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    socket.connect(closed).await.unwrap();
    (socket, closed)
}

/// ICMP says that a datagram was refused. `recv` returns that, or waits; it does not take the
/// thread for itself.
#[test]
fn a_refused_datagram() {
    in_a_minute(|| {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut buffer = [0; 16];
            for wait in [Duration::ZERO, Duration::from_millis(20)] {
                let (socket, closed) = refused().await;
                for _ in 0..3 {
                    socket.send(b"x").await.ok();
                    // The runtime hears of the error before, or during, the first receive.
                    sleep(wait).await;
                    for _ in 0..3 {
                        let received = socket.recv(&mut buffer);
                        let received = timeout(Duration::from_millis(20), received).await;
                        if let Ok(received) = received {
                            let kind = received.unwrap_err().kind();
                            assert_eq!(kind, ErrorKind::ConnectionRefused);
                        }
                    }
                }
                // Both the thread and the socket are usable.
                assert_eq!(tokio::spawn(async { 7 }).await.unwrap(), 7);
                socket.take_error().unwrap();
                let peer = UdpSocket::bind(closed).await.unwrap();
                peer.send_to(b"now", socket.local_addr().unwrap()).await.unwrap();
                assert_eq!(socket.recv(&mut buffer).await.unwrap(), 3);
            }
        });
    });
}

/// An error that was not taken does not hide what comes after it.
#[test]
fn data_after_a_refused_datagram() {
    on_tokio(|| async {
        let (socket, closed) = refused().await;
        socket.send(b"x").await.unwrap();
        // The runtime hears of the error.
        sleep(Duration::from_millis(20)).await;
        let peer = UdpSocket::bind(closed).await.unwrap();
        peer.send_to(b"now", socket.local_addr().unwrap()).await.unwrap();
        let mut buffer = [0; 16];
        let length = loop {
            socket.readable().await.unwrap();
            match socket.try_recv(&mut buffer) {
                Ok(length) => break length,
                Err(error) => assert!(
                    matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::WouldBlock),
                    "{error}"
                ),
            }
        };
        assert_eq!(length, 3);
    });
}

/// A descriptor that tokio does not read itself. On an emulated edge nobody tells when it was drained.
#[test]
fn a_bare_descriptor() {
    if knows_no_edge() {
        println!(
            "left out: whoever reads a bare descriptor registers it anew, and AsyncFd does not"
        );
        return;
    }
    on_tokio(|| async {
        let (reader, mut writer) = std::os::unix::net::UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        let reader = std::fs::File::from(OwnedFd::from(reader));
        // SAFETY: the file owns its descriptor, and always tells the same one.
        let reader = unsafe { AsyncFd::register(reader) }.unwrap();
        for number in 0..10u8 {
            let late = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(2));
                io::Write::write_all(&mut writer, &[number]).unwrap();
                writer
            });
            let mut buffer = [0; 8];
            let length = loop {
                let mut guard = reader.readable().await.unwrap();
                if let Ok(result) = guard.try_io(|file| file.get_ref().read(&mut buffer)) {
                    break result.unwrap();
                }
            };
            assert_eq!((length, buffer[0]), (1, number));
            writer = late.join().unwrap();
        }
    });
}

#[test]
fn named_pipes() {
    on_tokio(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
        let mut receiver = pipe::OpenOptions::new().open_receiver(&path).unwrap();
        let mut sender = pipe::OpenOptions::new().open_sender(&path).unwrap();
        let sent = vec![3; 1_000_000];
        let expected = sent.clone();
        let writing = tokio::spawn(async move { sender.write_all(&sent).await.unwrap() });
        let mut received = Vec::new();
        receiver.read_to_end(&mut received).await.unwrap();
        assert!(received == expected);
        writing.await.unwrap();
    });
}

#[test]
fn files() {
    on_tokio(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        tokio::fs::write(&path, b"one\ntwo\n").await.unwrap();
        let mut lines = BufReader::new(tokio::fs::File::open(&path).await.unwrap()).lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("one"));
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("two"));
        assert_eq!(lines.next_line().await.unwrap(), None);
    });
}

#[test]
fn timers_beside_work_from_other_threads() {
    on_tokio(|| async {
        let start = Instant::now();
        let sleeps = (1..=50).map(|number| {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(number)).await;
                tokio::task::spawn_blocking(move || number).await.unwrap()
            })
        });
        let sleeps: Vec<_> = sleeps.collect();
        let mut sum = 0;
        for sleep in sleeps {
            sum += sleep.await.unwrap();
        }
        assert_eq!(sum, 50 * 51 / 2);
        assert!(start.elapsed() >= Duration::from_millis(50));
    });
}
