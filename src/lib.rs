//! Quantix-KVM: virtual machines on one Linux box. The rooms and what each may import are drawn
//! in the README; imports run downwards only, and a test reads the `use` lines.
#![allow(refining_impl_trait_internal, refining_impl_trait_reachable)]

pub mod cli;
pub mod config;
pub mod host;
#[cfg(test)]
#[path = "../tests/support/hostile.rs"]
mod hostile;
pub mod http;
pub mod hypervisor;
pub mod model;
pub mod notify;
pub mod rpc;
pub mod server;
pub mod service;
pub mod store;
