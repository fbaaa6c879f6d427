//! Asks hosts about etcd: each for the state of its own member, and one for keys.

use std::time::Duration;

use serde_json::Value;

use super::host::members;
use super::packed::unpacked;
use super::{MemberFact, Stored};
use crate::host::Cmd;
use crate::script;

const MEMBER: &str = script!("lib/etcdctl.sh", "observe/etcd_member.sh");
const KEYS: &str = script!("lib/etcdctl.sh", "observe/etcd_keys.sh");
const ENCODINGS: &str = script!("lib/etcdctl.sh", "lib/encodings.sh", "observe/etcd_encodings.sh");
const GET: &str = script!("lib/etcdctl.sh", "observe/etcd_get.sh");

/// The answer of one host about its own etcd member. A field is `None` if the member did not answer the question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemberAnswer {
    pub status: Option<MemberStatus>,
    pub health: Option<Health>,
    /// The member list as this member has it.
    pub members: Option<Vec<MemberFact>>,
    /// The alarms of all members.
    pub alarms: Option<Vec<Alarm>>,
    /// The mean time of a sync of etcd's log since the member started, in milliseconds.
    pub sync_ms: Option<f64>,
    /// The size in bytes that the database may have before etcd refuses writes.
    pub quota: Option<u64>,
    /// The revision of the last compaction; older revisions can no longer be read.
    pub compacted: Option<u64>,
}

impl MemberAnswer {
    /// Whether the member answered a read that needs the quorum.
    pub fn is_healthy(&self) -> bool {
        self.status.is_some() && self.health.as_ref().is_some_and(|h| h.healthy)
    }

    /// Whether the member is the leader.
    pub fn leads(&self) -> bool {
        self.status.as_ref().is_some_and(|s| s.leader.as_ref() == Some(&s.member))
    }
}

/// The state of a member as it reports it. Sizes are in bytes; IDs are in hexadecimal, as etcdctl prints them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberStatus {
    pub cluster: String,
    pub member: String,
    /// The ID of the leader; `None` if the member knows no leader.
    pub leader: Option<String>,
    pub version: String,
    pub database: u64,
    /// The part of the database that is not free. 0 if the version of etcd does not report it.
    pub in_use: u64,
    pub revision: u64,
    pub term: u64,
    /// The index of the last entry in the member's log.
    pub index: u64,
    /// The index of the last entry that the member has applied. 0 if the version of etcd does not report it.
    pub applied: u64,
    pub learner: bool,
}

/// The size of a database as people read it.
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

/// Whether a member answered a linearizable read, which needs the quorum.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    pub healthy: bool,
    /// The time until the answer or the failure.
    pub took_ms: f64,
    /// etcd's message; empty if the member is healthy.
    pub error: String,
}

/// An alarm of a member, such as `NOSPACE`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Alarm {
    /// The ID of the member.
    pub member: String,
    pub alarm: String,
}

/// The command that asks a host about its own etcd member.
pub fn request() -> Cmd {
    Cmd::script(MEMBER).timeout(Duration::from_secs(15))
}

/// Reads the output of `etcd_member.sh`; lines that cannot be read are ignored.
pub fn parse(stdout: &[u8]) -> MemberAnswer {
    let mut answer = MemberAnswer::default();
    for line in String::from_utf8_lossy(stdout).lines() {
        let Some((kind, rest)) = line.split_once(' ') else { continue };
        let json = || serde_json::from_str::<Value>(rest).ok();
        match kind {
            "status" => answer.status = json().as_ref().and_then(status),
            "health" => answer.health = json().as_ref().and_then(health),
            "members" => answer.members = members(rest),
            "alarms" => answer.alarms = json().as_ref().map(alarms),
            "sync" => {
                answer.sync_ms = rest.split_once(' ').and_then(|(n, s)| Some(s.parse::<f64>().ok()? * 1000.0 / n.parse::<f64>().ok()?))
            }
            "quota" => answer.quota = rest.parse().ok().filter(|bytes| *bytes > 0),
            "compacted" => answer.compacted = rest.parse().ok(),
            _ => {}
        }
    }
    answer
}

fn id(value: &Value) -> Option<String> {
    value.as_u64().filter(|id| *id != 0).map(|id| format!("{id:x}"))
}

fn status(answer: &Value) -> Option<MemberStatus> {
    let s = &answer[0]["Status"];
    let number = |v: &Value| v.as_u64().unwrap_or(0);
    Some(MemberStatus {
        cluster: id(&s["header"]["cluster_id"])?,
        member: id(&s["header"]["member_id"])?,
        leader: id(&s["leader"]),
        version: s["version"].as_str().unwrap_or_default().into(),
        database: number(&s["dbSize"]),
        in_use: number(&s["dbSizeInUse"]),
        revision: number(&s["header"]["revision"]),
        term: number(&s["raftTerm"]),
        index: number(&s["raftIndex"]),
        applied: number(&s["raftAppliedIndex"]),
        learner: s["isLearner"].as_bool().unwrap_or(false),
    })
}

fn health(answer: &Value) -> Option<Health> {
    let h = &answer[0];
    Some(Health {
        healthy: h["health"].as_bool()?,
        took_ms: milliseconds(h["took"].as_str().unwrap_or_default()).unwrap_or(0.0),
        error: h["error"].as_str().unwrap_or_default().into(),
    })
}

/// The milliseconds of a duration as Go prints it, such as `1.5ms`, `870.1µs` or `1m2.5s`.
fn milliseconds(text: &str) -> Option<f64> {
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let (number, unit) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let factor = match &unit[..end] {
            "ns" => 1e-6,
            "µs" | "us" => 1e-3,
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 6e4,
            "h" => 36e5,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * factor;
        rest = &unit[end..];
    }
    Some(sum)
}

fn alarms(answer: &Value) -> Vec<Alarm> {
    // etcdctl prints the number of an alarm's kind (etcdserverpb.AlarmType).
    let kind = |v: &Value| match v.as_u64() {
        Some(1) => "NOSPACE".to_string(),
        Some(2) => "CORRUPT".to_string(),
        _ => v.to_string(),
    };
    let list = answer["alarms"].as_array().into_iter().flatten();
    list.map(|a| Alarm { member: id(&a["memberID"]).unwrap_or_default(), alarm: kind(&a["alarm"]) }).collect()
}

/// The command that lists the keys that begin with `prefix`.
pub fn keys(prefix: &str) -> Cmd {
    Cmd::script(KEYS).arg("prefix", prefix).timeout(Duration::from_secs(90))
}

/// Reads the output of `etcd_keys.sh`. `None` if the list is not complete.
pub fn parse_keys(stdout: &[u8]) -> Option<Vec<String>> {
    Some(unpacked(stdout)?.lines().map(String::from).collect())
}

/// The command that counts how the values of these resources are stored.
pub fn encodings(resources: &[&str]) -> Cmd {
    Cmd::script(ENCODINGS).words(resources.iter().copied()).timeout(Duration::from_secs(1800))
}

/// Reads the output of `etcd_encodings.sh`, which was asked for these resources. `None` if the counts are not complete.
pub fn parse_encodings(resources: &[&str], stdout: &[u8]) -> Option<Stored> {
    let text = std::str::from_utf8(stdout).ok()?;
    let mut stored: Stored = resources.iter().map(|r| (r.to_string(), Default::default())).collect();
    for line in text.strip_suffix("@done\n")?.lines() {
        let [resource, count, begins] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
        stored.get_mut(resource)?.insert(begins.into(), count.parse().ok()?);
    }
    Some(stored)
}

/// What is known of a key without its value.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyFact {
    pub key: String,
    pub create_revision: u64,
    pub mod_revision: u64,
    /// How often the key was written since it was created.
    pub version: u64,
    /// The size of the value in bytes.
    pub size: u64,
    /// How the value is encoded: `protobuf`, `json`, `encrypted by PROVIDER with key NAME`, or `other`.
    pub encoding: String,
}

/// The command that describes a key.
pub fn get(key: &str) -> Cmd {
    Cmd::script(GET).arg("key", key).timeout(Duration::from_secs(30))
}

/// Reads the output of `etcd_get.sh`. `None` if etcd does not have the key.
pub fn parse_get(stdout: &[u8]) -> Option<KeyFact> {
    use base64::Engine;
    let text = String::from_utf8_lossy(stdout);
    let mut lines = text.lines().filter(|l| !l.is_empty());
    let answer: Value = serde_json::from_str(lines.next()?).ok()?;
    let kv = &answer["kvs"][0];
    let key = base64::engine::general_purpose::STANDARD.decode(kv["key"].as_str()?).ok()?;
    let mut fact = KeyFact {
        key: String::from_utf8_lossy(&key).into(),
        create_revision: kv["create_revision"].as_u64().unwrap_or(0),
        mod_revision: kv["mod_revision"].as_u64().unwrap_or(0),
        version: kv["version"].as_u64().unwrap_or(0),
        size: 0,
        encoding: "other".into(),
    };
    for line in lines {
        match line.split_once(' ') {
            Some(("size", n)) => fact.size = n.parse().unwrap_or(0),
            Some(("begins", begin)) => fact.encoding = encoding(begin),
            _ => {}
        }
    }
    Some(fact)
}

fn encoding(begin: &str) -> String {
    let parts: Vec<&str> = begin.split(':').collect();
    match parts.as_slice() {
        ["k8s", "enc", provider, _, key, ..] => format!("encrypted by {provider} with key {key}"),
        [start] if *start == "k8s" => "protobuf".into(),
        [start] if start.starts_with('{') => "json".into(),
        _ => "other".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::packed::tests::packed;
    use super::*;

    const ANSWER: &str = r#"status [{"Endpoint":"https://127.0.0.1:2379","Status":{"header":{"cluster_id":16723561588450042370,"member_id":10276657743932975437,"revision":1234,"raft_term":3},"version":"3.4.13","dbSize":24576000,"leader":10276657743932975437,"raftIndex":5000,"raftTerm":3,"raftAppliedIndex":4998,"dbSizeInUse":12288000}}]
health [{"endpoint":"https://127.0.0.1:2379","health":true,"took":"8.107153ms"}]
members {"header":{},"members":[{"ID":10276657743932975437,"name":"m1","peerURLs":["https://192.0.2.11:2380"],"clientURLs":["https://192.0.2.11:2379"]}]}
alarms {"header":{},"alarms":[{"memberID":10276657743932975437,"alarm":1}]}
sync 200 0.5
quota 2147483648
compacted 900
"#;

    #[test]
    fn the_answer_of_a_member_is_read() {
        let answer = parse(ANSWER.as_bytes());
        let status = answer.status.clone().expect("the member has answered");
        assert_eq!((status.member.as_str(), status.leader.as_deref()), ("8e9e05c52164694d", Some("8e9e05c52164694d")));
        assert_eq!((status.database, status.in_use, status.index - status.applied, status.term), (24_576_000, 12_288_000, 2, 3));
        assert_eq!(answer.health, Some(Health { healthy: true, took_ms: 8.107153, error: String::new() }));
        assert!(answer.is_healthy() && answer.leads());
        assert_eq!(answer.alarms, Some(vec![Alarm { member: "8e9e05c52164694d".into(), alarm: "NOSPACE".into() }]));
        assert_eq!(answer.members.map(|m| m[0].name.clone()).as_deref(), Some("m1"));
        assert_eq!((answer.sync_ms, answer.quota, answer.compacted), (Some(2.5), Some(2_147_483_648), Some(900)));
    }

    #[test]
    fn a_member_without_a_leader_reports_none() {
        let line = r#"status [{"Status":{"header":{"cluster_id":1,"member_id":2},"version":"3.5.30","leader":0}}]"#;
        assert_eq!(parse(line.as_bytes()).status.expect("the member has answered").leader, None);
        assert_eq!(parse(b"status no JSON\nhealth {}\n"), MemberAnswer::default());
    }

    #[test]
    fn durations_of_go_are_read() {
        for (text, wanted) in [("8.5ms", Some(8.5)), ("870.1µs", Some(0.8701)), ("1m2.5s", Some(62_500.0)), ("5", None), ("", Some(0.0))] {
            let is = milliseconds(text);
            assert!(is == wanted || is.zip(wanted).is_some_and(|(a, b)| (a - b).abs() < 1e-9), "{text}: {is:?}");
        }
    }

    #[test]
    fn a_list_of_keys_that_was_cut_short_is_none() {
        assert_eq!(parse_keys(&packed("/registry/a\n/registry/b\n@done\n")), Some(vec!["/registry/a".into(), "/registry/b".into()]));
        assert_eq!(parse_keys(&packed("/registry/a\n")), None);
        assert_eq!(parse_keys(b""), None);
    }

    #[test]
    fn counts_of_encodings_are_whole_or_none() {
        let text = "secrets 3 plain\nsecrets 12 k8s:enc:aescbc:v1:key1-ab:\n@done\n";
        let stored = parse_encodings(&["secrets", "configmaps"], text.as_bytes()).expect("it is whole");
        assert_eq!(stored["secrets"], [("plain".to_string(), 3), ("k8s:enc:aescbc:v1:key1-ab:".to_string(), 12)].into());
        assert!(stored["configmaps"].is_empty(), "a resource without values is counted, too");
        for length in 0..text.len() {
            assert_eq!(parse_encodings(&["secrets"], &text.as_bytes()[..length]), None, "{length}");
        }
    }

    #[test]
    fn a_key_is_described_without_its_value() {
        let answer = |begin: &str| {
            let json =
                r#"{"header":{},"kvs":[{"key":"L3JlZ2lzdHJ5L2E=","create_revision":7,"mod_revision":9,"version":2,"value":""}],"count":1}"#;
            parse_get(format!("{json}\n\nsize 120\nbegins {begin}\n").as_bytes()).expect("the key exists")
        };
        let plain = answer("k8s");
        assert_eq!(
            (plain.key.as_str(), plain.create_revision, plain.mod_revision, plain.version, plain.size),
            ("/registry/a", 7, 9, 2, 120)
        );
        assert_eq!(plain.encoding, "protobuf");
        assert_eq!(answer("{\"a").encoding, "json");
        assert_eq!(answer("k8s:enc:aescbc:v1:key1:").encoding, "encrypted by aescbc with key key1");
        assert_eq!(parse_get(b"{\"header\":{}}\n\nsize 0\nbegins \n"), None);
    }
}
