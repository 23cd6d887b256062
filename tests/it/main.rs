//! The whole program on libvirt's test driver: what needs no guest, only the service.

mod lists;
mod node;
mod retries;
mod stream;
mod together;
mod vm;
mod vm_update;
mod vm_verbs;
mod watch;

#[path = "../support/mod.rs"]
mod support;
