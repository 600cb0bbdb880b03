#![doc = include_str!("../README.md")]
#![cfg(any(target_os = "linux", target_os = "android"))]
#![warn(missing_docs)]

pub mod kqueue;

#[cfg(feature = "c-api")]
mod c_api;
mod linux;
