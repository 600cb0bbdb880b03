//! Cargo falls back to the registry's crates with no more than a warning, so look.

use std::path::Path;
use std::process::Command;

/// Every copy of a package that this workspace is built with.
fn copies(package: &str) -> Vec<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--prefix=none", "--format={p}", "--edges=normal,build,dev"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let lines = String::from_utf8(tree.stdout).unwrap();
    let prefix = format!("{package} v");
    let mut copies: Vec<_> = lines.lines().filter(|line| line.starts_with(&prefix)).collect();
    copies.sort();
    copies.dedup_by_key(|line| line.trim_end_matches(" (*)").to_owned());
    copies.into_iter().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

/// The only copy is ours, and this other package stands on it.
fn is_ours(package: &str, user: &str) {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compat").join(package);
    let ours = ours.canonicalize().unwrap();
    let copies = copies(package);
    assert_eq!(copies.len(), 1, "{copies:?}");
    assert!(copies[0].ends_with(&format!("({})", ours.display())), "{copies:?}");

    let users = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--prefix=none", "--edges=normal,dev", "-i", package])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let users = String::from_utf8(users.stdout).unwrap();
    assert!(users.starts_with(&copies[0]), "{users}");
    assert!(users.lines().any(|line| line.starts_with(&format!("{user} v"))), "{users}");
}

#[test]
fn tokio_and_notify_stand_on_our_mio() {
    is_ours("mio", "tokio");
    is_ours("mio", "notify");
}

#[test]
fn async_io_stands_on_our_polling() {
    is_ours("polling", "async-io");
}
