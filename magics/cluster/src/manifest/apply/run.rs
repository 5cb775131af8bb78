//! One apply from its beginning to its end, or to where it breaks.

use std::collections::BTreeSet;

use crate::cluster::Cluster;
use crate::denied::Denied;
use crate::error::ClusterError;
use crate::manifest::Object;
use crate::manifest::apply::kinds::Served;
use crate::manifest::apply::{Applied, Broken, Change, How, Refused, Step};

/// What one has to be allowed to apply an object. The server names the first that is missing only.
const NEEDED: [&str; 3] = ["create", "get", "patch"];

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
            if self.attempt(number).await? == Some(Change::Created) && object.kind() == "Namespace"
            {
                fresh.insert(object.name());
            }
        }
        if self.how.dry_run || !self.applied.refused.is_empty() {
            for number in later {
                self.note(number, Change::Untried, Vec::new());
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
            self.attempt(number).await?;
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
                Err(error) if error.is_of_all() || error.is_in_doubt() || error.is_busy() => {
                    return Err(error);
                }
                Err(error) => {
                    self.refuse(*number, &error);
                    return Ok(false);
                }
            }
            self.at = None;
        }
        Ok(true)
    }

    /// What would be new about an object, which is noted; nothing when the cluster will not have it, which is noted, too.
    async fn attempt(&mut self, number: usize) -> Result<Option<Change>, ClusterError> {
        self.begin(number)?;
        let (object, served) = self.objects[number];
        match self.cluster.would(object, served, self.how).await {
            Ok((change, warnings)) => {
                self.at = None;
                self.note(number, change.clone(), warnings);
                Ok(Some(change))
            }
            // A server that fails says nothing about the object.
            Err(error) if error.is_of_all() || error.is_in_doubt() || error.is_busy() => Err(error),
            Err(error) => {
                self.refuse(number, &error);
                Ok(None)
            }
        }
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
        let denied = match error {
            ClusterError::Forbidden(denied) => NEEDED
                .map(|verb| Denied {
                    verb: verb.to_owned(),
                    ..denied.clone()
                })
                .to_vec(),
            _ => Vec::new(),
        };
        self.applied.refused.push(Refused {
            object: self.objects[number].0.title(),
            hint: error.hint().unwrap_or_default(),
            why: error.to_string(),
            denied,
        });
    }

    fn note(&mut self, number: usize, change: Change, warnings: Vec<String>) {
        self.applied.steps.push(Step {
            object: self.objects[number].0.title(),
            change,
            warnings,
        });
    }
}
