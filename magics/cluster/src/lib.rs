//! The cluster as its API shows it: what runs where, and what is sent to it.

pub mod cluster;
pub mod command;
pub mod denied;
pub mod error;
pub mod forward;
pub mod graph;
pub mod inventory;
pub mod job;
pub mod manifest;

mod asked;
mod heard;
mod hints;
mod quantity;
mod requests;
mod time;
