//! What a figure shows of a graph: the best-connected entities, or what is near one, laid out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use mlk8s_values::{KnowledgeGraph, Source};
use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;
use serde::{Deserialize, Serialize};

use crate::entity::normal;
use crate::error::GraphError;
use crate::layout::layout;

/// Seed of the layout: figures of the same graph look the same.
const SEED: u64 = 20_261_124;
/// Names offered when a term is not found.
const MOST_NEAREST: usize = 3;
/// The term that stands for the best-connected entity.
const AUTO: &str = "auto";

/// What to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureOptions {
    /// Only what is near this entity; `auto` is the best-connected one.
    pub around: Option<String>,
    /// How many relations away from it, at most.
    pub hops: u32,
    /// Number of entities, at most.
    pub limit: usize,
}

impl Default for PictureOptions {
    fn default() -> Self {
        Self {
            around: None,
            hops: 2,
            limit: 160,
        }
    }
}

/// A part of a graph, laid out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// The entities, best-connected first.
    pub nodes: Vec<PictureNode>,
    /// The relations between them, by index.
    pub edges: Vec<PictureEdge>,
    /// What is not shown.
    pub left_out: LeftOut,
    /// Communities of the whole graph with at least two entities.
    pub n_communities: u32,
    /// Name of the entity in the middle, when one was asked for.
    pub centre: Option<String>,
}

/// An entity in a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PictureNode {
    /// Its name.
    pub name: String,
    /// Horizontal place; one unit is the length of a short edge.
    pub x: f32,
    /// Vertical place, downwards.
    pub y: f32,
    /// Relations in the whole graph.
    pub degree: u32,
    /// Mentions in all documents.
    pub mentions: u32,
    /// Its community, numbered from 0 by size.
    pub community: u32,
    /// Other names.
    pub aliases: Vec<String>,
}

/// A relation in a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PictureEdge {
    /// Index of the subject.
    pub from: u32,
    /// Index of the object.
    pub to: u32,
    /// The relation in words.
    pub predicate: String,
    /// How often it is stated.
    pub count: u32,
    /// Where it is stated.
    pub sources: Vec<Source>,
}

/// What a picture does not show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Entities.
    pub nodes: usize,
    /// Relations.
    pub edges: usize,
    /// Connected components of at least two entities of which nothing is shown.
    pub components: usize,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count =
            |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
        if self.nodes == 0 && self.edges == 0 {
            return Ok(());
        }
        write!(
            f,
            "not shown: {} and {}",
            count(self.nodes, "entity", "entities"),
            count(self.edges, "relation", "relations")
        )?;
        if self.components > 0 {
            write!(
                f,
                ", among them {}",
                count(self.components, "separate group", "separate groups")
            )?;
        }
        Ok(())
    }
}

/// Chooses and lays out what a figure shows.
pub fn picture(graph: &KnowledgeGraph, options: &PictureOptions) -> Result<Picture, GraphError> {
    let centre = match &options.around {
        Some(term) => Some(find(graph, term)?),
        None => None,
    };
    let mut ranked: Vec<NodeIndex> = match centre {
        Some(centre) => near(graph, centre, options.hops, options.limit),
        None => connected(graph, options.limit),
    };
    if ranked.is_empty() {
        ranked = graph.node_indices().take(options.limit).collect();
    }
    if ranked.is_empty() {
        return Err(GraphError::Empty);
    }
    let number: BTreeMap<NodeIndex, u32> = ranked
        .iter()
        .enumerate()
        .map(|(i, &node)| (node, i as u32))
        .collect();
    let edges: Vec<PictureEdge> = graph
        .edge_references()
        .filter_map(|edge| {
            let relation = edge.weight();
            Some(PictureEdge {
                from: *number.get(&edge.source())?,
                to: *number.get(&edge.target())?,
                predicate: relation.predicate.clone(),
                count: relation.count,
                sources: relation.sources.clone(),
            })
        })
        .collect();
    let springs: Vec<(u32, u32, f32)> = edges
        .iter()
        .map(|edge| (edge.from, edge.to, spring(edge.count)))
        .collect();
    let places = layout(ranked.len(), &springs, SEED);
    let left_out = LeftOut {
        nodes: graph.node_count() - ranked.len(),
        edges: graph.edge_count() - edges.len(),
        components: hidden_components(graph, &number),
    };
    let nodes = ranked.iter().zip(places).map(|(&node, [x, y])| {
        let entity = &graph[node];
        PictureNode {
            name: entity.name.clone(),
            x,
            y,
            degree: degree(graph, node),
            mentions: entity.mentions,
            community: entity.community,
            aliases: entity.aliases.clone(),
        }
    });
    Ok(Picture {
        nodes: nodes.collect(),
        edges,
        left_out,
        n_communities: n_communities(graph),
        centre: centre.map(|node| graph[node].name.clone()),
    })
}

/// Strength of an edge: what is stated often pulls more, but not in proportion.
fn spring(count: u32) -> f32 {
    1.0 + (count as f32).ln()
}

fn degree(graph: &KnowledgeGraph, node: NodeIndex) -> u32 {
    graph.neighbors_undirected(node).count() as u32
}

/// How well a node is connected: how often its relations are stated, each damped.
fn standing(graph: &KnowledgeGraph, node: NodeIndex) -> f32 {
    let undirected = [petgraph::Direction::Outgoing, petgraph::Direction::Incoming];
    let edges = undirected
        .into_iter()
        .flat_map(|direction| graph.edges_directed(node, direction));
    edges.map(|edge| spring(edge.weight().count)).sum()
}

/// Nodes by how well they are connected, ties by number.
fn by_standing(graph: &KnowledgeGraph, nodes: impl Iterator<Item = NodeIndex>) -> Vec<NodeIndex> {
    let mut ranked: Vec<(f32, NodeIndex)> =
        nodes.map(|node| (standing(graph, node), node)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    ranked.into_iter().map(|(_, node)| node).collect()
}

/// The best-connected nodes that have a relation to another of them.
fn connected(graph: &KnowledgeGraph, limit: usize) -> Vec<NodeIndex> {
    let ranked = by_standing(
        graph,
        graph.node_indices().filter(|&node| degree(graph, node) > 0),
    );
    // Nodes that are related to nothing shown make room for the next; a few rounds fill the picture.
    let mut chosen: Vec<NodeIndex> = Vec::new();
    let mut take = limit;
    while chosen.len() < limit && take <= ranked.len() + limit {
        let among: BTreeSet<NodeIndex> = ranked.iter().take(take).copied().collect();
        let joined = |node: &&NodeIndex| {
            graph
                .neighbors_undirected(**node)
                .any(|o| o != **node && among.contains(&o))
        };
        chosen = ranked.iter().take(take).filter(joined).copied().collect();
        take += (limit - chosen.len().min(limit)).max(1);
    }
    if chosen.len() > limit {
        chosen.truncate(limit);
        let among: BTreeSet<NodeIndex> = chosen.iter().copied().collect();
        chosen.retain(|&node| {
            graph
                .neighbors_undirected(node)
                .any(|o| o != node && among.contains(&o))
        });
    }
    chosen
}

/// What is at most `hops` relations from `centre`, nearest and best-connected first.
fn near(graph: &KnowledgeGraph, centre: NodeIndex, hops: u32, limit: usize) -> Vec<NodeIndex> {
    let mut chosen = vec![centre];
    let mut seen = BTreeSet::from([centre]);
    let mut ring = vec![centre];
    for _ in 0..hops {
        let next: BTreeSet<NodeIndex> = ring
            .iter()
            .flat_map(|&node| graph.neighbors_undirected(node))
            .filter(|node| !seen.contains(node))
            .collect();
        seen.extend(&next);
        let mut next = by_standing(graph, next.into_iter());
        next.truncate(limit - chosen.len());
        chosen.extend(&next);
        // Only what is shown leads further: otherwise the picture falls apart.
        ring = next;
    }
    chosen
}

/// The entity that a term means: by name, alias or normal form.
fn find(graph: &KnowledgeGraph, term: &str) -> Result<NodeIndex, GraphError> {
    if term == AUTO {
        return by_standing(graph, graph.node_indices())
            .first()
            .copied()
            .ok_or(GraphError::Empty);
    }
    let names = |node: NodeIndex| std::iter::once(&graph[node].name).chain(&graph[node].aliases);
    let key = normal(term);
    let tests: [&dyn Fn(&str) -> bool; 3] = [
        &|name| name == term,
        &|name| name.eq_ignore_ascii_case(term),
        &|name| !key.is_empty() && normal(name) == key,
    ];
    for test in tests {
        let matching = graph
            .node_indices()
            .filter(|&node| names(node).any(|name| test(name)));
        if let Some(&node) = by_standing(graph, matching).first() {
            return Ok(node);
        }
    }
    Err(GraphError::NotFound {
        term: term.to_owned(),
        nearest: nearest(graph, &key),
    })
}

/// The names most like a normal form: those that hold its words, then those that differ in few letters.
fn nearest(graph: &KnowledgeGraph, key: &str) -> Vec<String> {
    let words: BTreeSet<&str> = key.split(' ').collect();
    let mut ranked: Vec<(f32, NodeIndex)> = graph
        .node_indices()
        .map(|node| {
            let name = normal(&graph[node].name);
            let shared = name.split(' ').filter(|word| words.contains(word)).count();
            let longest = name.chars().count().max(key.chars().count()).max(1);
            let alike = 1.0 - distance(&name, key) as f32 / longest as f32;
            (alike + shared as f32 / words.len() as f32, node)
        })
        .filter(|(alike, _)| *alike >= 0.5)
        .collect();
    ranked.sort_by(|a, b| {
        b.0.total_cmp(&a.0)
            .then_with(|| standing(graph, b.1).total_cmp(&standing(graph, a.1)))
            .then(a.1.cmp(&b.1))
    });
    ranked
        .into_iter()
        .take(MOST_NEAREST)
        .map(|(_, node)| graph[node].name.clone())
        .collect()
}

/// Letters to change, add or drop to make one text of the other (Levenshtein 1966), in O(product of lengths).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = corner + usize::from(from != *to);
            corner = row[j + 1];
            row[j + 1] = changed.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn hidden_components(graph: &KnowledgeGraph, shown: &BTreeMap<NodeIndex, u32>) -> usize {
    let mut seen = vec![false; graph.node_count()];
    let mut n_hidden = 0;
    for start in graph.node_indices() {
        let (mut n_members, mut any_shown) = (0, false);
        let mut open = vec![start];
        while let Some(node) = open.pop() {
            if std::mem::replace(&mut seen[node.index()], true) {
                continue;
            }
            n_members += 1;
            any_shown |= shown.contains_key(&node);
            open.extend(graph.neighbors_undirected(node));
        }
        n_hidden += usize::from(n_members > 1 && !any_shown);
    }
    n_hidden
}

fn n_communities(graph: &KnowledgeGraph) -> u32 {
    let mut sizes: BTreeMap<u32, u32> = BTreeMap::new();
    for entity in graph.node_weights() {
        *sizes.entry(entity.community).or_default() += 1;
    }
    sizes.values().filter(|size| **size > 1).count() as u32
}
