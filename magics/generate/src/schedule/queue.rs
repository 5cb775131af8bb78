//! Who waits, client by client, and how much each client has had.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use super::Task;

/// Clients whose account is kept although they ask for nothing at the moment.
const MAX_ACCOUNTS: usize = 1024;

/// Tokens that clients have had, by the virtual token counter of Sheng et al., "Fairness in Serving Large Language
/// Models" (OSDI 2024): the client with the fewest goes first, and one that comes back starts level with the others, so
/// that nobody saves up a claim.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    clients: HashMap<String, Account>,
}

#[derive(Debug, Default)]
struct Account {
    tokens: u64,
    n_tasks: usize,
}

impl Accounts {
    /// A task of `client` arrives.
    pub(super) fn open(&mut self, client: &str) {
        let least = self
            .clients
            .values()
            .filter(|account| account.n_tasks > 0)
            .map(|account| account.tokens)
            .min()
            .unwrap_or(0);
        if self.clients.len() >= MAX_ACCOUNTS {
            self.clients.retain(|_, account| account.n_tasks > 0);
        }
        let account = self.clients.entry(client.to_owned()).or_default();
        if account.n_tasks == 0 {
            account.tokens = account.tokens.max(least);
        }
        account.n_tasks += 1;
    }

    /// A task of `client` has ended.
    pub(super) fn close(&mut self, client: &str) {
        if let Some(account) = self.clients.get_mut(client) {
            account.n_tasks = account.n_tasks.saturating_sub(1);
        }
    }

    /// `client` has had `n_tokens` more.
    pub(super) fn charge(&mut self, client: &str, n_tokens: usize) {
        if let Some(account) = self.clients.get_mut(client) {
            account.tokens += n_tokens as u64;
        }
    }

    fn tokens(&self, client: &str) -> u64 {
        self.clients.get(client).map_or(0, |account| account.tokens)
    }
}

/// Tasks of one class that wait, first come first served within each client.
#[derive(Debug, Default)]
pub(super) struct Queue {
    clients: BTreeMap<String, VecDeque<Task>>,
    len: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push_back(&mut self, task: Task) {
        self.len += 1;
        let line = self.clients.entry(task.client.clone()).or_default();
        line.push_back(task);
    }

    /// For a task that had to make way: it goes on before its client's others.
    pub(super) fn push_front(&mut self, task: Task) {
        self.len += 1;
        let line = self.clients.entry(task.client.clone()).or_default();
        line.push_front(task);
    }

    /// The client whose turn it is: the one that has had least, then the one that came first.
    pub(super) fn next_client(&self, accounts: &Accounts) -> Option<String> {
        self.clients
            .iter()
            .filter_map(|(client, line)| {
                let first = line.front()?;
                Some((accounts.tokens(client), first.order, client))
            })
            .min()
            .map(|(_, _, client)| client.clone())
    }

    /// The client whose first task waits longest, and since when.
    pub(super) fn longest_waiting(&self) -> Option<(Duration, String)> {
        self.clients
            .iter()
            .filter_map(|(client, line)| Some((line.front()?.waits_since, client)))
            .min()
            .map(|(since, client)| (since, client.clone()))
    }

    pub(super) fn first_mut(&mut self, client: &str) -> Option<&mut Task> {
        self.clients.get_mut(client)?.front_mut()
    }

    pub(super) fn pop(&mut self, client: &str) -> Option<Task> {
        let line = self.clients.get_mut(client)?;
        let task = line.pop_front()?;
        if line.is_empty() {
            self.clients.remove(client);
        }
        self.len -= 1;
        Some(task)
    }

    /// Takes out the tasks for which `gone` holds.
    pub(super) fn remove(&mut self, mut gone: impl FnMut(&Task) -> bool) -> Vec<Task> {
        let mut removed = Vec::new();
        self.clients.retain(|_, line| {
            let (out, stay): (VecDeque<_>, VecDeque<_>) =
                line.drain(..).partition(|task| gone(task));
            removed.extend(out);
            *line = stay;
            !line.is_empty()
        });
        self.len -= removed.len();
        removed
    }
}
