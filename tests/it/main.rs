//! The whole program on libvirt's test driver: what needs no guest, only the service.

mod lists;
mod vm;
mod vm_verbs;

#[path = "../support/mod.rs"]
mod support;
