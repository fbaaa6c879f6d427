//! Runs `tests/e2e/count_test.py`, the test of `count.py`, with which the scenarios count failed requests.

use std::process::Command;

use crate::needs::needs;

#[test]
fn every_failed_request_counts() {
    needs!(Python);
    let ended = Command::new("python3").args(["-B", "tests/e2e/count_test.py"]).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}
