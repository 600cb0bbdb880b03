//! System calls and instructions per unit, exactly: the program runs itself under strace and callgrind.

use std::fs;
use std::os::unix::process::parent_id;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::row::Row;

const FEW: usize = 1000;

/// Runs one candidate between two calls that nothing else here makes.
pub(crate) fn once(rows: Vec<Row>, what: &[String]) -> Result<()> {
    let [workload, candidate, count] = what else { anyhow::bail!("three are needed") };
    let count: usize = count.parse().context("COUNT is a number")?;
    let row = rows.iter().find(|row| row.name == *workload).context("no such workload")?;
    let candidate =
        row.candidates.iter().find(|it| it.name == candidate).context("no such candidate")?;
    let mut work = (candidate.set_up)()?;
    work(10)?;
    let _ = parent_id();
    work(count)?;
    let _ = parent_id();
    Ok(())
}

fn itself(tool: &mut Command, workload: &str, candidate: &str, count: usize) -> Option<()> {
    let program = std::env::current_exe().ok()?;
    tool.arg(program).args(["--once", workload, candidate, &count.to_string()]);
    let status = tool.stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    status.success().then_some(())
}

/// By the thread that does the work; `None` without strace.
pub(crate) fn system_calls(workload: &str, candidate: &str) -> Option<f64> {
    let folder = tempfile::tempdir().ok()?;
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-ff", "-o"]).arg(folder.path().join("log"));
    itself(&mut strace, workload, candidate, FEW)?;
    for entry in fs::read_dir(folder.path()).ok()? {
        let text = fs::read_to_string(entry.ok()?.path()).ok()?;
        let mut parts = text.split("getppid()").skip(1);
        if let (Some(between), Some(_)) = (parts.next(), parts.next()) {
            // The rest of the mark's own line, and what follows.
            return Some((between.lines().count() - 1) as f64 / FEW as f64);
        }
    }
    None
}

/// Of a thousand units more; `None` without valgrind.
pub(crate) fn instructions(workload: &str, candidate: &str) -> Option<f64> {
    let total = |count| {
        let folder = tempfile::tempdir().ok()?;
        let log = folder.path().join("log");
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        valgrind.arg(format!("--log-file={}", log.display()));
        itself(&mut valgrind, workload, candidate, count)?;
        let text = fs::read_to_string(log).ok()?;
        let line = text.lines().find(|line| line.contains("Collected :"))?;
        line.rsplit(' ').next()?.parse::<f64>().ok()
    };
    Some((total(2 * FEW)? - total(FEW)?) / FEW as f64)
}
