//! The worker as a program.

// Everything here is a test, also the functions that tests share: clippy may only know by this.
#[cfg(test)]
mod life;
#[cfg(test)]
mod tiny;
