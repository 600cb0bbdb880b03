//! Programs written in C for kqueue and for event ports, against the installed headers and libraries.

#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use wakeful_testing::Isolated;

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.isolated().output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn c_programs_run_with_either_library() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let prefix = tempfile::tempdir().unwrap();
    let at = prefix.path();
    // A target directory of its own: this one is locked by the cargo that runs the tests.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    run(Command::new(root.join("c/install")).arg(at).env("CARGO_TARGET_DIR", target));
    let described = |name: &str| {
        let path = at.join("lib/pkgconfig").join(name).with_extension("pc");
        let described = fs::read_to_string(path).unwrap();
        assert!(described.contains(&format!("prefix={}\n", at.display())), "{described}");
        assert!(described.contains(&format!("Name: {name}\n")), "{described}");
        described
    };
    described("wakeful-event-port");
    let described = described("wakeful-kqueue");
    let private = described.lines().find_map(|line| line.strip_prefix("Libs.private:"));
    let private: Vec<_> = private.unwrap().split_whitespace().collect();

    let mut programs = 0;
    for program in fs::read_dir(root.join("tests/c")).unwrap() {
        let source = program.unwrap().path();
        if source.extension().is_none_or(|extension| extension != "c") {
            continue;
        }
        for is_static in [false, true] {
            let program = at.join("program");
            let mut compiler = Command::new("cc");
            compiler
                .args(["-std=gnu99", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"])
                .arg(&program);
            for interface in ["wakeful-kqueue", "wakeful-event-port"] {
                compiler.arg("-I").arg(at.join("include").join(interface));
            }
            compiler.arg(&source);
            if is_static {
                compiler.arg(at.join("lib/libwakeful_emulation.a")).args(&private);
            } else {
                compiler.arg("-L").arg(at.join("lib")).arg("-lwakeful_emulation");
            }
            run(&mut compiler);
            // No wait in them lasts longer than ten seconds.
            let mut limited = Command::new("timeout");
            run(limited.arg("60").arg(&program).env("LD_LIBRARY_PATH", at.join("lib")));
        }
        programs += 1;
    }
    assert_eq!(programs, 12);
}
