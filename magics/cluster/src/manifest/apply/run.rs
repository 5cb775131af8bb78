//! One apply from its beginning to its end, or to where it breaks.

use std::collections::BTreeSet;

use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::manifest::Object;
use crate::manifest::apply::kinds::Served;
use crate::manifest::apply::{Applied, Broken, Change, How, Refused, Step};

/// Objects that are being applied, and what became of them so far.
pub(super) struct Run<'a> {
    cluster: &'a Cluster,
    how: How,
    stop: &'a (dyn Fn() -> bool + Sync),
    /// In the order in which they are made.
    objects: Vec<(&'a Object, &'a Served)>,
    /// By the number of an object, what is known of its end.
    ends: Vec<End>,
    /// The number of the object that is being asked about.
    at: Option<usize>,
    applied: Applied,
}

/// How it ended with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It has not been applied.
    Open,
    /// It was sent to be applied, and there is no answer yet.
    Sent,
    /// It was applied.
    Made,
    /// The cluster will not have it.
    Refused,
}

impl<'a> Run<'a> {
    /// Of `objects`, which are made in this order.
    pub(super) fn new(
        cluster: &'a Cluster,
        how: How,
        stop: &'a (dyn Fn() -> bool + Sync),
        objects: Vec<(&'a Object, &'a Served)>,
    ) -> Run<'a> {
        Run {
            cluster,
            how,
            stop,
            ends: vec![End::Open; objects.len()],
            objects,
            at: None,
            applied: Applied::default(),
        }
    }

    /// Tries all, then makes all; an error is what breaks it, and what the cluster will not have is noted.
    pub(super) async fn all(&mut self) -> Result<(), ClusterError> {
        let mut fresh: BTreeSet<&str> = BTreeSet::new();
        let mut later = Vec::new();
        for number in 0..self.objects.len() {
            let (object, served) = self.objects[number];
            let place = served.namespaced.then(|| self.cluster.place(object));
            if place.is_some_and(|place| fresh.contains(place)) {
                later.push(number);
                continue;
            }
            let change = self.attempt(number).await?;
            if object.kind() == "Namespace" && change == Some(Change::Created) {
                fresh.insert(object.name());
            }
            self.note(number, change);
        }
        if self.how.dry_run || !self.applied.refused.is_empty() {
            for number in later {
                self.note(number, Some(Change::Untried));
            }
            return Ok(());
        }
        let is_fresh =
            |object: &Object| object.kind() == "Namespace" && fresh.contains(object.name());
        let (first, rest): (Vec<usize>, Vec<usize>) =
            (0..self.objects.len()).partition(|number| is_fresh(self.objects[*number].0));
        if !self.make(&first).await? {
            return Ok(());
        }
        for number in later {
            let change = self.attempt(number).await?;
            self.note(number, change);
        }
        if self.applied.refused.is_empty() {
            self.make(&rest).await?;
        }
        Ok(())
    }

    /// What became of the objects, and what is left, once it ended with `ended`.
    pub(super) fn end(mut self, ended: Result<(), ClusterError>) -> Applied {
        let title = |number: usize| self.objects[number].0.title();
        self.applied.broken = ended.err().map(|error| Broken {
            object: self.at.map(title),
            is_in_doubt: self.at.is_some_and(|at| self.ends[at] == End::Sent)
                && error.is_in_doubt(),
            hint: error.hint().unwrap_or_default(),
            why: error.to_string(),
        });
        if !self.how.dry_run {
            let open = self.ends.iter().enumerate();
            let open = open.filter(|(number, end)| **end == End::Open && self.at != Some(*number));
            self.applied.unreached = open.map(|(number, _)| title(number)).collect();
        }
        self.applied
    }

    /// Makes the objects with these numbers, until the cluster will not have one; whether it has them all.
    async fn make(&mut self, numbers: &[usize]) -> Result<bool, ClusterError> {
        for number in numbers {
            self.begin(*number)?;
            let (object, served) = self.objects[*number];
            self.ends[*number] = End::Sent;
            let made = self.cluster.patch(object, served, self.how, false).await;
            match made {
                Ok(_) => {
                    self.ends[*number] = End::Made;
                    self.applied.made.push(object.title());
                }
                Err(error) if error.is_of_all() || error.is_in_doubt() => return Err(error),
                Err(error) => {
                    self.refuse(*number, &error);
                    return Ok(false);
                }
            }
            self.at = None;
        }
        Ok(true)
    }

    /// What would be new about an object; nothing when the cluster will not have it, which is noted.
    async fn attempt(&mut self, number: usize) -> Result<Option<Change>, ClusterError> {
        self.begin(number)?;
        let (object, served) = self.objects[number];
        let change = match self.cluster.would(object, served, self.how).await {
            Ok(change) => Some(change),
            Err(error) if error.is_of_all() || matches!(error, ClusterError::TimedOut { .. }) => {
                return Err(error);
            }
            Err(error) => {
                self.refuse(number, &error);
                None
            }
        };
        self.at = None;
        Ok(change)
    }

    /// Turns to an object, unless the user wants to stop.
    fn begin(&mut self, number: usize) -> Result<(), ClusterError> {
        if (self.stop)() {
            return Err(ClusterError::Cancelled);
        }
        self.at = Some(number);
        Ok(())
    }

    fn refuse(&mut self, number: usize, error: &ClusterError) {
        self.ends[number] = End::Refused;
        self.at = None;
        self.applied.refused.push(Refused {
            object: self.objects[number].0.title(),
            hint: error.hint().unwrap_or_default(),
            why: error.to_string(),
        });
    }

    fn note(&mut self, number: usize, change: Option<Change>) {
        if let Some(change) = change {
            self.applied.steps.push(Step {
                object: self.objects[number].0.title(),
                change,
            });
        }
    }
}
