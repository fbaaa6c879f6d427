//! Defragments the database of an etcd member: the file shrinks to the part of it that is in use.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, StepError, carry_out};
use crate::facts::Facts;
use crate::facts::etcd::{MemberStatus, mebibytes};
use crate::fenced;
use crate::host::{Cmd, Host, HostName};

/// A smaller database in bytes is left as it is, because it costs neither space nor time.
const SMALL: u64 = 32 * 1_048_576;

/// A database of which more than this percentage is in use is left as it is, because its file would hardly shrink.
const FULL: u64 = 80;

/// The time that etcd gets for each GiB of the database, the first one included even if the database is smaller. etcd needs 10 to 30 seconds for a
/// GiB on a usual disk.
const PER_GIB: Duration = Duration::from_secs(120);

/// The time that the script needs in addition: it waits until the other members are healthy, and afterwards until this one is.
const AROUND: Duration = Duration::from_secs(180);

/// A defragmentation of the host's member. The script checks directly before it that all other voting members are healthy.
#[derive(Clone, Debug)]
pub struct Defrag {
    /// Whether the database is defragmented even if little would be gained.
    pub needless: bool,
    /// The size of the database in bytes, by which the time limit is chosen.
    pub database: u64,
}

/// Why little would be gained by a defragmentation; `None` if it is worthwhile.
pub fn little_gain(status: &MemberStatus) -> Option<String> {
    if status.database < SMALL {
        return Some(format!("its database has only {}", mebibytes(status.database)));
    }
    let full = status.in_use.saturating_mul(100) > status.database.saturating_mul(FULL);
    full.then(|| format!("{} of the {} of its database are in use", mebibytes(status.in_use), mebibytes(status.database)))
}

impl Defrag {
    fn limit(&self) -> Duration {
        let gibibytes = u32::try_from(self.database.div_ceil(1 << 30)).unwrap_or(u32::MAX).max(1);
        PER_GIB.saturating_mul(gibibytes)
    }
}

fn status<'a>(host: &HostName, facts: &'a Facts) -> Option<&'a MemberStatus> {
    facts.host(host).etcd.as_ref()?.status.as_ref()
}

#[async_trait]
impl Answers for Defrag {
    fn title(&self) -> String {
        "defragment the database of its etcd member".into()
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        let left = !self.needless && status(host, facts).is_some_and(|s| little_gain(s).is_some());
        (!left && !facts.ledger.host(host).done_once.contains(&self.title())).then(|| self.clone())
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        facts.ledger.host_mut(host).done_once.insert(self.title());
        if let Some(status) = facts.host_mut(host).etcd.as_mut().and_then(|e| e.status.as_mut()).filter(|s| s.in_use > 0) {
            status.database = status.in_use;
        }
    }

    fn diff(&self, host: &HostName, facts: &Facts) -> String {
        match status(host, facts) {
            Some(s) if s.in_use > 0 => format!("{}, of which {} are in use\n", mebibytes(s.database), mebibytes(s.in_use)),
            Some(s) => format!("{}\n", mebibytes(s.database)),
            None => String::new(),
        }
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let cmd = Cmd::script(fenced!("lib/etcdctl.sh", "lib/quorum.sh", "steps/etcd_defrag.sh"));
        let cmd = cmd.arg("run", run).arg("limit", self.limit().as_secs());
        carry_out(host, cmd.timeout(self.limit() + AROUND)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1_048_576;

    #[test]
    fn a_database_is_left_if_little_would_be_gained() {
        for (database, in_use, wanted) in [
            (31, 1, Some("its database has only 31.0 MiB")),
            (100, 81, Some("81.0 MiB of the 100.0 MiB of its database are in use")),
            (100, 80, None),
            (8000, 4000, None),
            (100, 0, None),
        ] {
            let status = MemberStatus { database: database * MIB, in_use: in_use * MIB, ..MemberStatus::default() };
            assert_eq!(little_gain(&status).as_deref(), wanted, "{database} {in_use}");
        }
    }

    #[test]
    fn a_larger_database_gets_more_time() {
        for (database, wanted) in [(0, 120), (1, 120), (1024, 120), (1025, 240), (8192, 960)] {
            assert_eq!(Defrag { needless: false, database: database * MIB }.limit().as_secs(), wanted, "{database} MiB");
        }
    }
}
