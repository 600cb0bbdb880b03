//! Names for what the code is chosen by: as which kernel's its sources are done, and which backends there are.
//!
//! `--cfg wakeful_emulate="freebsd"` or `"illumos"` builds everything on Linux as if it were that system.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!(
        "cargo::rustc-check-cfg=cfg(kernel, values(\"linux\", \"bsd\", \"illumos\", \"other\"))"
    );
    println!("cargo::rustc-check-cfg=cfg(backend, values(\"epoll\", \"kqueue\", \"event-ports\"))");

    let is = |name: &str| env::var(name).unwrap_or_default();
    let (system, vendor) = (is("CARGO_CFG_TARGET_OS"), is("CARGO_CFG_TARGET_VENDOR"));
    let kernel = match (is("CARGO_CFG_WAKEFUL_EMULATE").as_str(), system.as_str()) {
        ("freebsd", _) => "bsd",
        ("illumos", _) => "illumos",
        (_, "linux" | "android") => "linux",
        (_, "freebsd" | "netbsd" | "openbsd" | "dragonfly") => "bsd",
        (_, "illumos" | "solaris") => "illumos",
        _ if vendor == "apple" => "bsd",
        _ => "other",
    };
    println!("cargo::rustc-cfg=kernel=\"{kernel}\"");

    // Where `wakeful_kernel::linux::Ring` is.
    println!("cargo::rustc-check-cfg=cfg(ring)");
    let processors = ["x86_64", "aarch64", "riscv64", "loongarch64", "powerpc64"];
    if system == "linux" && processors.contains(&is("CARGO_CFG_TARGET_ARCH").as_str()) {
        println!("cargo::rustc-cfg=ring");
    }

    // epoll of illumos' own, which differs from Linux's.
    println!("cargo::rustc-check-cfg=cfg(illumos_epoll)");
    if system == "illumos" {
        println!("cargo::rustc-cfg=illumos_epoll");
    }
    if kernel == "illumos" && system != "solaris" {
        println!("cargo::rustc-cfg=backend=\"epoll\"");
    }

    let emulates = system == "linux" && env::var_os("CARGO_FEATURE_EMULATION").is_some();
    for (backend, of) in [("epoll", "linux"), ("kqueue", "bsd"), ("event-ports", "illumos")] {
        if kernel == of || emulates && backend != "epoll" {
            println!("cargo::rustc-cfg=backend=\"{backend}\"");
        }
    }
}
