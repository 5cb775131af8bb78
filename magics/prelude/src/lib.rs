//! What a Rust cell sees: one dylib that re-exports polars, petgraph, plotly and our typed values.
pub use petgraph;
pub use plotly;
pub use polars;
pub use serde_json;
