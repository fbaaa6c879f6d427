//! The quorum of etcd as numbers.

use serde::Serialize;

/// How many voting members etcd has, and how many of them may fail.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quorum {
    pub voters: usize,
    pub healthy_voters: usize,
    /// The smallest number that is more than half of the voters.
    pub quorum: usize,
    /// How many of the healthy voters may fail without stopping writes; negative if writes have stopped already.
    pub can_lose: i64,
}

impl Quorum {
    /// The numbers for so many voters, of which so many are healthy.
    pub fn of(voters: usize, healthy_voters: usize) -> Quorum {
        let quorum = voters / 2 + 1;
        let can_lose = i64::try_from(healthy_voters).unwrap_or(0) - i64::try_from(quorum).unwrap_or(0);
        Quorum { voters, healthy_voters, quorum, can_lose }
    }
}
