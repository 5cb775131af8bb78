//! When an index has a graph, and how it is used: as a hint that is checked, and never as the truth.

use std::path::Path;

use super::commit::GraphFile;
use super::{Commit, Index};
use crate::error::SearchError;
use crate::vectors::{Bits, Graph, Lost, Probe, Recall, Scan, Scored, Segment, nearest};
use crate::watch::Watch;

/// How the nearest vectors are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// Along the graph where there is one and it pays.
    Graph,
    /// By looking at all.
    Scan(Scan),
}

/// The graph that a commit names.
#[derive(Debug, Default)]
pub(crate) struct GraphState {
    /// Which file of vectors it belongs to, and itself.
    open: Option<(usize, Graph)>,
    /// Why there is none though one is named.
    fault: Option<SearchError>,
}

impl GraphState {
    /// Opens what a commit names; a graph that cannot be used is not needed either.
    pub(super) fn open(dir: &Path, commit: &Commit, segments: &[Segment]) -> Self {
        let Some(named) = &commit.graph else {
            return Self::default();
        };
        let path = Commit::path(dir, &named.file);
        let of = commit.segments.iter().position(|s| *s == named.segment);
        let opened = match of {
            Some(place) => Graph::open(&path, &segments[place]).map(|graph| (place, graph)),
            None => Err(SearchError::Damaged {
                path,
                what: "its vectors are gone".to_owned(),
            }),
        };
        match opened {
            Ok(open) => Self {
                open: Some(open),
                fault: None,
            },
            Err(fault) => Self {
                open: None,
                fault: Some(fault),
            },
        }
    }

    /// Files of vectors at the beginning that must not be merged with others.
    pub(super) fn n_kept(&self) -> usize {
        self.open.as_ref().map_or(0, |(place, _)| place + 1)
    }

    /// How near it comes to the truth.
    pub(super) fn recall(&self) -> Option<Recall> {
        self.open.as_ref().map(|(_, graph)| graph.recall())
    }
}

impl Index {
    /// The `depth` nearest of the rows in `mask`, best first, and their recall if something may have been missed.
    pub(crate) fn by_vectors(
        &self,
        vector: &[f32],
        mask: &Bits,
        depth: usize,
        by: By,
        notes: &mut Vec<String>,
    ) -> (Vec<Scored>, Option<Recall>) {
        let (probe, segments) = (Probe::new(vector), self.snapshot.segments.as_slice());
        let scan = match by {
            By::Scan(scan) => scan,
            By::Graph => {
                if let Some(found) = self.along_graph(&probe, mask, depth, notes) {
                    return found;
                }
                Scan::Codes
            }
        };
        (nearest(segments, &probe, mask, depth, scan), None)
    }

    /// The nearest along the graph, and those of the files without one; none if there is no graph or looking at all is better.
    fn along_graph(
        &self,
        probe: &Probe,
        mask: &Bits,
        depth: usize,
        notes: &mut Vec<String>,
    ) -> Option<(Vec<Scored>, Option<Recall>)> {
        let segments = self.snapshot.segments.as_slice();
        let mut broken = |what: &dyn std::fmt::Display| {
            notes.push(format!(
                "all vectors were looked at: {what}; building the index again mends it"
            ));
        };
        if let Some(fault) = &self.snapshot.graph.fault {
            broken(fault);
        }
        let (place, graph) = self.snapshot.graph.open.as_ref()?;
        match graph.nearest(&segments[*place], probe, mask, depth) {
            Ok(mut found) => {
                for others in [&segments[..*place], &segments[place + 1..]] {
                    found.extend(nearest(others, probe, mask, depth, Scan::Codes));
                }
                found.sort_unstable_by(Scored::order);
                found.truncate(depth);
                Some((found, Some(graph.recall())))
            }
            Err(Lost::Tired) => None,
            Err(Lost::Broken) => {
                broken(&"the graph is damaged");
                None
            }
        }
    }

    /// Compares the graph with its checksum.
    pub(super) fn verify_graph(&self) -> Result<(), SearchError> {
        let named = self.snapshot.commit.graph.as_ref();
        match (&self.snapshot.graph.open, named) {
            (Some((_, graph)), _) => graph.verify(),
            (None, None) => Ok(()),
            (None, Some(named)) => {
                let path = Commit::path(&self.dir, &named.file);
                let fault = self.snapshot.graph.fault.as_ref();
                Err(SearchError::Damaged {
                    path,
                    what: fault.map_or_else(String::new, ToString::to_string),
                })
            }
        }
    }

    /// Makes the graph of the one file of vectors that a commit names, or keeps it, or drops it.
    pub(super) fn compact_graph(
        &self,
        commit: &mut Commit,
        watch: &dyn Watch,
    ) -> Result<(), SearchError> {
        let older = commit.graph.take();
        let [name] = commit.segments.as_slice() else {
            return Ok(());
        };
        let name = name.clone();
        let segment = Segment::open(&Commit::path(&self.dir, &name))?;
        if !commit.settings.nearest.wants_graph(segment.len()) {
            return Ok(());
        }
        let open = self.snapshot.graph.open.as_ref();
        if let (Some((_, graph)), Some(older)) = (open, older)
            && older.segment == name
            && graph.verify().is_ok()
        {
            commit.graph = Some(older);
            return Ok(());
        }
        let file = commit.next_file("hnsw");
        let older = open.map(|(place, graph)| (graph, &self.snapshot.segments[*place]));
        Graph::make(&Commit::path(&self.dir, &file), &segment, older, watch)?;
        commit.graph = Some(GraphFile {
            file,
            segment: name,
        });
        Ok(())
    }
}
