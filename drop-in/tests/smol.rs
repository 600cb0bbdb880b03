//! async-io and smol.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use drop_in::in_a_minute;
use futures_util::future::{Either, join_all, select};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::stream::StreamExt;
use smol::{Async, Timer};
use wakeful_testing::Isolated;

const LONGER_THAN_A_TEST: Duration = Duration::from_secs(600);

/// Echoes until the end of the stream, or until it has been idle for this long.
async fn echo(mut stream: Async<TcpStream>, idle: Duration) -> usize {
    let mut echoed = 0;
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer);
        match select(Box::pin(read), Timer::after(idle)).await {
            Either::Left((count, _)) => match count.unwrap() {
                0 => return echoed,
                count => {
                    stream.write_all(&buffer[..count]).await.unwrap();
                    echoed += count;
                }
            },
            Either::Right(_) => return echoed,
        }
    }
}

#[test]
fn an_echo_server_with_timers() {
    in_a_minute(|| {
        smol::block_on(async {
            let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0)).unwrap();
            let address = listener.get_ref().local_addr().unwrap();
            let server = smol::spawn(async move {
                // The first client is the silent one, which is sent away.
                let (silent, _) = listener.accept().await.unwrap();
                let mut connections = vec![smol::spawn(echo(silent, Duration::from_millis(50)))];
                for _ in 0..100 {
                    let (stream, _) = listener.accept().await.unwrap();
                    connections.push(smol::spawn(echo(stream, LONGER_THAN_A_TEST)));
                }
                join_all(connections).await.into_iter().sum::<usize>()
            });
            let mut silent = Async::<TcpStream>::connect(address).await.unwrap();
            let clients = (0..100).map(|number: usize| async move {
                let mut stream = Async::<TcpStream>::connect(address).await.unwrap();
                let sent = vec![number as u8; 1_000 * (number + 1)];
                let mut received = vec![0; sent.len()];
                for (sent, received) in sent.chunks(1_000).zip(received.chunks_mut(1_000)) {
                    stream.write_all(sent).await.unwrap();
                    stream.read_exact(received).await.unwrap();
                }
                assert!(sent == received);
                sent.len()
            });
            let sent: usize = join_all(clients).await.into_iter().sum();
            assert_eq!(server.await, sent);
            assert_eq!(silent.read(&mut [0; 8]).await.unwrap(), 0);
        });
    });
}

#[test]
fn readiness_timers_and_other_threads() {
    in_a_minute(|| {
        smol::block_on(async {
            let start = Instant::now();
            let mut ticks = Timer::interval(Duration::from_millis(3));
            for _ in 0..5 {
                ticks.next().await;
            }
            assert!(start.elapsed() >= Duration::from_millis(15));

            let (mut left, right) = Async::<UnixStream>::pair().unwrap();
            let echo = smol::spawn(async move { smol::io::copy(&right, &right).await.unwrap() });
            let answer = smol::unblock(|| 42).await;
            left.write_all(&[answer; 10]).await.unwrap();
            let mut received = [0; 10];
            left.read_exact(&mut received).await.unwrap();
            assert_eq!(received, [42; 10]);
            drop(left);
            assert_eq!(echo.await, 10);

            let socket = Async::<UdpSocket>::bind(([127, 0, 0, 1], 0)).unwrap();
            let address = socket.get_ref().local_addr().unwrap();
            socket.send_to(b"to itself", address).await.unwrap();
            let mut buffer = [0; 16];
            assert_eq!(socket.recv_from(&mut buffer).await.unwrap(), (9, address));
        });
    });
}

#[test]
fn a_child_process() {
    in_a_minute(|| {
        smol::block_on(async {
            let mut command = std::process::Command::new("sh");
            command.args(["-c", "echo hello; exit 3"]).isolated();
            let output = smol::process::Command::from(command).output().await.unwrap();
            assert_eq!(output.stdout, b"hello\n");
            assert_eq!(output.status.code(), Some(3));
        });
    });
}
