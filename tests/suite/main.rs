//! The suite: what holds for the whole, seen from outside.

mod catalogue;
mod examples;
#[cfg(test)]
mod kill;
mod layering;
#[cfg(test)]
mod protocol;
mod reference;
mod tidy;
mod workspace;
