//! The whole program on libvirt's test driver: what needs no guest, only the service.

mod console;
mod events;
mod house;
mod lists;
mod live;
mod node;
mod notify;
mod past;
mod plan;
mod retries;
mod stream;
mod surface;
mod together;
mod usage;
mod vm;
mod vm_update;
mod vm_verbs;
mod watch;

#[path = "../support/mod.rs"]
mod support;
