//! The wire contract as Rust types: messages, service traits and clients generated from the
//! `.proto` files in this folder.
//!
//! It is a crate of its own so that editing the product never compiles the generated code again.
//! Nothing is written by hand here but this file: conversions to the model live in the product's
//! `rpc` room, and no rule about a value may be put beside its type.

#![allow(non_snake_case, reason = "the package name on the wire, `Quantixkvm`, becomes a module name")]
#![allow(refining_impl_trait_internal, refining_impl_trait_reachable, clippy::all, reason = "generated code")]

connectrpc::include_generated!();

/// Every file of the contract with all it imports, as an encoded
/// `google.protobuf.FileDescriptorSet`: what gRPC server reflection answers from.
pub static FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));

include!(concat!(env!("OUT_DIR"), "/methods.rs"));
