#![doc = include_str!("../README.md")]
#![cfg(any(target_os = "linux", target_os = "android"))]
#![warn(missing_docs)]

pub mod kqueue;

mod linux;
