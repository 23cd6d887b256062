//! The whole program and real guests on QEMU, emulated, under a libvirtd of each test's own.

#[path = "../support/mod.rs"]
mod support;

mod check;
mod console;
mod life;
mod outside;
mod plan;
mod trouble;
