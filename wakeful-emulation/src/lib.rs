#![doc = include_str!("../README.md")]
#![cfg(target_os = "linux")]
#![warn(missing_docs)]

pub mod event_port;
pub mod kqueue;

mod aio;
#[cfg(feature = "c-api")]
mod c_api;
mod files;
mod fork;
mod instances;
mod linux;
