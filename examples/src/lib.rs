//! The examples are the programs beside this file's folder. What they share is here, and so are the
//! project's README and port guide, whose code is compiled and run by the tests through it.
#![doc = include_str!("../../README.md")]
#![doc = include_str!("../../PORTING.md")]

use std::error::Error;
use std::process::ExitCode;

/// Ends an example: with a sentence on standard error if it failed.
pub fn end(result: Result<(), Box<dyn Error>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
