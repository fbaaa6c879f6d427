//! The scenarios rely on a count of failed requests. This test runs the count's own test, which is in the same folder as the count.

use std::process::Command;

use crate::needs::needs;

#[test]
fn every_failed_request_counts() {
    needs!(Python);
    let ended = Command::new("python3").args(["-B", "tests/e2e/count_test.py"]).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}
