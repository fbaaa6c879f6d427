//! Rows that fail because of a defect that is not fixed yet, each as `TABLE: ROW`. The run fails if a row that is listed here passes, so that the row
//! is removed from the list.

pub const KNOWN_FAILURES: [&str; 0] = [];
