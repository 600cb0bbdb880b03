//! wakeful beside its peers, measured in one run: see README.md of this folder for the method.

#![cfg(target_os = "linux")]

mod clock;
mod counts;
mod http;
mod latency;
mod machine;
mod measure;
mod report;
mod row;
mod statistics;
mod workloads;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use measure::Effort;
use report::Report;
use row::Row;

/// Measures wakeful beside its peers.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// More and longer rounds, system calls and instructions counted.
    #[arg(long)]
    full: bool,
    /// A moment of each, to see that it works; the figures mean nothing.
    #[arg(long, conflicts_with = "full")]
    smoke: bool,
    /// Only the workloads whose names contain this; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Names the workloads, their candidates and goals.
    #[arg(long)]
    list: bool,
    /// Writes report.json, report.md and report.html with charts into this directory.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Shows what has changed since an earlier report.json.
    #[arg(long, value_name = "OLD.json")]
    compare: Option<PathBuf>,
    /// Runs one candidate of one workload between two calls of getppid(2), for tools that count.
    #[arg(long, hide = true, num_args = 3, value_names = ["WORKLOAD", "CANDIDATE", "COUNT"])]
    once: Option<Vec<String>>,
    /// Is the server of the HTTP workloads.
    #[arg(long, hide = true)]
    serve: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.serve {
        return Ok(http::serve()?);
    }
    let descriptors = machine::raise_limits();
    let effort = match (arguments.full, arguments.smoke) {
        (true, _) => {
            Effort { rounds: 21, round: Duration::from_millis(60), is_full: true, is_smoke: false }
        }
        (_, true) => {
            Effort { rounds: 3, round: Duration::from_millis(1), is_full: false, is_smoke: true }
        }
        _ => {
            Effort { rounds: 11, round: Duration::from_millis(25), is_full: false, is_smoke: false }
        }
    };
    let mut rows = workloads::all(&effort, descriptors);
    if let Some(once) = &arguments.once {
        return counts::once(rows, once);
    }
    let wanted = |row: &Row| {
        arguments.only.is_empty()
            || arguments.only.iter().any(|part| row.name.contains(part.as_str()))
    };
    rows.retain(wanted);
    if rows.is_empty() {
        bail!("no workload is called {:?}: --list names them", arguments.only);
    }
    if arguments.list {
        rows.iter().for_each(|row| println!("{}", row.described()));
        return Ok(());
    }
    let earlier = arguments.compare.as_ref().map(|path| Report::read(path)).transpose()?;

    let bar = ProgressBar::new(rows.len() as u64)
        .with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?);
    let mut report = Report::new(&effort);
    println!("{}\n", report.heading());
    let widest = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    for row in rows {
        bar.set_message(row.name.clone());
        let name = row.name.clone();
        let outcome = measure::measure(row, &effort).with_context(|| name)?;
        bar.suspend(|| print!("{}", report::line(&outcome, widest)));
        report.add(outcome);
        bar.inc(1);
    }
    bar.finish_and_clear();

    println!("\n{}", report::LEGEND);
    if let Some(earlier) = earlier {
        print!("{}", report.compared(&earlier));
    }
    if let Some(directory) = arguments.report {
        report.time_one_by_one()?;
        report.write(&directory)?;
        println!("written: {}", directory.join("report.html").display());
    }
    if effort.is_smoke {
        println!("every workload works; for figures run without --smoke");
    }
    Ok(())
}
