//! The mark that a restore of etcd leaves on each host: which snapshot is restored, and how far the host has come.

/// The stages of a host in a restore, in order. Not every host passes through every stage: a host without an etcd member has no data to exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The restore has begun, and nothing of the host has been changed yet.
    Begun,
    /// The restored data is beside the data of the member.
    Prepared,
    /// The API server, the controller manager and the scheduler are stopped.
    ApiStopped,
    EtcdStopped,
    /// The restored data is the data of the member.
    Exchanged,
    EtcdStarted,
    /// The member serves, for which it needs the quorum.
    EtcdServes,
    ApiStarted,
    /// What the restore needed is removed, and commands such as `apply` are allowed again.
    Finished,
    /// The kubelet has been restarted, and its node is back.
    Kubelet,
}

/// The words for the stages in the mark.
const WORDS: [(Stage, &str); 10] = [
    (Stage::Begun, "begun"),
    (Stage::Prepared, "prepared"),
    (Stage::ApiStopped, "api-stopped"),
    (Stage::EtcdStopped, "etcd-stopped"),
    (Stage::Exchanged, "exchanged"),
    (Stage::EtcdStarted, "etcd-started"),
    (Stage::EtcdServes, "etcd-serves"),
    (Stage::ApiStarted, "api-started"),
    (Stage::Finished, "finished"),
    (Stage::Kubelet, "kubelet"),
];

impl Stage {
    /// The word for the stage in the mark.
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(stage, _)| *stage == self).map_or("", |(_, word)| word)
    }
}

/// The value of [`Mark::snapshot`] while `etcd recover` makes the snapshot that it restores afterwards.
pub const RECOVER: &str = "recover";

/// The content of the mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The SHA-256 of the snapshot in hexadecimal, or [`RECOVER`].
    pub snapshot: String,
    /// The token of the new etcd cluster, which is different for each restore.
    pub token: String,
    pub stage: Stage,
    /// The path of the snapshot on the operator's machine, or the host from which `etcd recover` makes it.
    pub from: String,
}

impl Mark {
    /// Reads the text of a mark; `None` if it is not whole.
    pub fn parse(text: &str) -> Option<Mark> {
        let field = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)).map(str::to_string);
        let word = field("stage: ")?;
        let stage = WORDS.iter().find(|(_, w)| *w == word)?.0;
        Some(Mark { snapshot: field("snapshot: ")?, token: field("token: ")?, stage, from: field("from: ")? })
    }

    /// The text of the mark, as the scripts write it.
    pub fn text(&self) -> String {
        format!("snapshot: {}\ntoken: {}\nstage: {}\nfrom: {}\n", self.snapshot, self.token, self.stage.word(), self.from)
    }

    /// Whether the restore has not finished on the host.
    pub fn is_unfinished(&self) -> bool {
        self.stage < Stage::Finished
    }
}
