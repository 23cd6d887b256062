//! Nothing lost: every step of making and removing a VM failed, repeated, undone twice and killed
//! once, and the whole program killed at random moments under load.

#[path = "../support/mod.rs"]
mod support;

mod backup;
mod clock;
mod full;
mod kill;
mod leaks;
mod media;
mod steps;
mod world;
mod wrapper;
