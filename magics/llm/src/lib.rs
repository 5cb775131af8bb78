//! Models behind the OpenAI API: where they are, how they are asked, what it costs, and a ledger of all of it.
//!
//! [`Client`] is the one way to a model. Each call is looked up among earlier answers, held against the budgets, set
//! down in the [`ledger`], let through by the gate of its server, sent, and settled.

pub mod allocation;
pub mod budget;
mod cache;
pub mod call;
mod client;
pub mod count;
mod desk;
pub mod endpoint;
mod error;
mod failure;
mod gate;
mod http;
pub mod ledger;
pub mod local;
pub mod price;
mod room;
pub mod row;
mod settings;

pub use client::{Client, Embedded, Piece, Places};
pub use error::LlmError;
pub use room::Room;
