//! What a person can type: every magic, its arguments, its help, and the data of its views.

pub mod call;
pub mod error;
pub mod magic;
pub mod session;
pub mod view;
mod view_text;
