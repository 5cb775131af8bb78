//! `%cluster`: what runs on the cluster and what waits, as its API shows it to whoever asks.

mod frame;
mod tables;

use clap::Parser;
use mlk8s_cluster::cluster::{Cluster, Place};
use mlk8s_cluster::error::ClusterError;
use mlk8s_cluster::graph::{Graph, Kind};
use mlk8s_cluster::inventory::Inventory;
use mlk8s_values::{GraphSketch, SketchEdge, SketchNode};

use crate::call::Call;
use crate::error::MagicError;
use crate::magic::{Example, Magic};
use crate::names::ValueName;
use crate::session::{Import, ImportKind, Value};
use crate::sketch;
use crate::view::{ToView, View, Wording};

/// Nodes, GPUs, pods, queue and endpoints of the cluster
#[derive(Debug, Parser)]
pub(super) struct ShowCluster {
    /// Only this namespace; else all that may be seen
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// The context of the kubeconfig; else the current one
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Show every pod, not only those that use a GPU or are in trouble
    #[arg(long)]
    pods: bool,
    /// Parts of the picture at most; 0 for none
    #[arg(long, value_name = "N", default_value = "120")]
    limit: usize,
    /// What the data frame of pods is to be called
    #[arg(long = "as", value_name = "NAME", default_value = "pods")]
    name: ValueName,
}

/// What there is to see.
pub(super) struct Seen(Vec<View>);

impl Magic for ShowCluster {
    const EXAMPLES: &'static [Example] = &[Example {
        after: &[],
        cell: "%cluster",
        about: "what runs where and what waits; without a cluster it says how to name one",
        shows: "cluster",
    }];
    type Outcome = Seen;

    fn run(self, call: &mut Call) -> Result<Seen, MagicError> {
        let place = Place {
            context: self.context.clone(),
            ..Place::default()
        };
        let cluster = match Cluster::connect(&place) {
            Ok(cluster) => cluster,
            // Most people who read this have none, and a notebook that runs at night goes on without.
            Err(error @ ClusterError::NoConfig { .. }) => {
                let hint = error.hint().unwrap_or_default();
                let text = format!("no cluster can be seen from here: {error}; {hint}");
                return Ok(Seen(vec![View::Text(text)]));
            }
            Err(error) => return Err(error.into()),
        };
        call.progress.report(0, 0, "asking the cluster");
        let cancel = call.cancel.clone();
        let seen = cluster.inventory(self.namespace.as_deref(), &|| cancel.is_raised())?;
        self.hand_over(call, &seen)?;
        let mut views = tables::views(&seen, self.pods, self.name.as_str());
        if self.limit > 0 {
            views.extend(picture(&seen.graph(self.limit), &seen));
        }
        Ok(Seen(views))
    }
}

impl ShowCluster {
    /// Gives Rust cells the pods.
    fn hand_over(&self, call: &mut Call, seen: &Inventory) -> Result<(), MagicError> {
        let path = call.session.crossing(self.name.as_str(), ImportKind::Frame);
        mlk8s_values::write_frame(&path, &mut frame::pods(seen)?)?;
        let import = Import {
            name: self.name.to_string(),
            kind: ImportKind::Frame,
            path: path.clone(),
        };
        call.session
            .put(self.name.as_str(), Value::Frame(path), vec![import]);
        Ok(())
    }
}

/// The drawing; none of a cluster that shows nothing.
fn picture(graph: &Graph, seen: &Inventory) -> Option<View> {
    if graph.edges.is_empty() {
        return None;
    }
    let mut degrees = vec![0; graph.nodes.len()];
    for edge in &graph.edges {
        degrees[edge.from] += 1;
        degrees[edge.to] += 1;
    }
    let nodes = graph.nodes.iter().zip(degrees);
    let sketch = GraphSketch {
        n_nodes: graph.nodes.len(),
        n_edges: graph.edges.len(),
        nodes: nodes
            .map(|(vertex, degree)| SketchNode {
                name: format!("{} {}", vertex.kind.word(), vertex.name),
                degree,
                ..SketchNode::default()
            })
            .collect(),
        edges: graph
            .edges
            .iter()
            .map(|edge| SketchEdge {
                from: edge.from as u32,
                to: edge.to as u32,
                label: edge.relation.to_owned(),
                count: 1,
            })
            .collect(),
        ..GraphSketch::default()
    };
    let mut view = sketch::lay_out(sketch)?;
    for (node, vertex) in view.nodes.iter_mut().zip(&graph.nodes) {
        // One colour a sort of thing, and one for what is in trouble: no communities.
        node.community = colour(vertex.kind, vertex.is_well);
        if !vertex.detail.is_empty() {
            node.aliases = vec![vertex.detail.clone()];
        }
    }
    view.n_communities = 0;
    view.wording = Wording::Graph;
    view.title = format!("the cluster at {}", seen.server);
    if !graph.left_out.is_empty() {
        view.left_out.clone_from(&graph.left_out);
    }
    Some(View::Graph(Box::new(view)))
}

fn colour(kind: Kind, is_well: bool) -> u32 {
    match kind {
        _ if !is_well => 5,
        Kind::Node => 0,
        Kind::Pod => 1,
        Kind::Owner => 2,
        Kind::Service => 3,
        Kind::Volume => 4,
    }
}

impl ToView for Seen {
    fn to_view(&self) -> View {
        View::Stack(self.0.clone())
    }
}
