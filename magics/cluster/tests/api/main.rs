//! The crate against a stand-in for the API server, and against a real one where `MLK8S_TEST_KUBECONFIG` names it.

#![cfg(test)]

mod apply;
mod breaks;
mod connect;
mod forwarding;
mod inventory;
mod jobs;
mod objects;
mod program;
mod stand_in;
mod status;
mod stops;
