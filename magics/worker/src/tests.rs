//! The server over loopback, with a toy in the model's place.

mod answers;
mod client;
mod embeddings;
mod endings;
mod errors;
mod house;
mod keys;
mod limits;
mod many;
mod streams;
mod toy;
