//! What a person can type: every magic, its arguments, its help, and the data of its views.

mod all;
pub mod call;
pub mod complete;
pub mod error;
pub mod magic;
pub mod models;
mod names;
pub mod reference;
pub mod session;
pub mod sketch;
pub mod view;
mod view_text;

pub use all::{ALL, find};
