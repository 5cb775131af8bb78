//! What a person can type: every magic, its arguments, its help, and the data of its views.

mod all;
pub mod call;
mod claim;
pub mod complete;
mod encoders;
pub mod error;
mod fetched;
mod gpu;
pub mod magic;
pub mod models;
mod names;
mod near;
mod passages;
mod pattern;
pub mod reference;
pub mod rows;
pub mod session;
pub mod sketch;
pub mod view;
mod view_text;
pub mod workers;

pub use all::{ALL, find};
