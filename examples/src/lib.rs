//! The examples are the programs beside this file's folder. Its own content is the project's README,
//! whose code is compiled and run by the tests through it.
#![doc = include_str!("../../README.md")]
