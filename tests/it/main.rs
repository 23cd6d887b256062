//! The whole program on libvirt's test driver: what needs no guest, only the service.

mod backup;
mod console;
mod events;
mod hostile_requests;
mod hostile_table;
mod house;
mod identity;
mod lists;
mod live;
mod local_root;
mod node;
mod notify;
mod past;
mod plan;
mod retries;
mod rights;
mod stream;
mod surface;
mod tls;
mod together;
mod usage;
mod vm;
mod vm_update;
mod vm_verbs;
mod watch;

#[path = "../support/hostile.rs"]
mod hostile;
#[path = "../support/mod.rs"]
mod support;
