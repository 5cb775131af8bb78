"""Parameters of papermill for notebooks in Rust."""

__version__ = "0.1.0"
