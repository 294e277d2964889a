//! One self-contained HTML file about a run.
