//! The suite: what holds for the whole, seen from outside.

// Everything here is a test, also the functions that tests share: clippy may only know by this.
#[cfg(test)]
mod catalogue;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod layering;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod workspace;
