//! How long a step waits for something to start on a host depends on `--wait-timeout`.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use clusterctl::facts::ObjectRef;
use clusterctl::host::{Cmd, Host, HostError, HostName, Output, WAIT_TIMEOUT};
use clusterctl::step::static_pod::SwapPolicy;
use clusterctl::step::{ApiWithEtcd, Member, MemberState, RollbackCopy, StaticPod, StaticPodsGone, Step, Unit, wait};

/// A host that keeps the numbers among the values of the arguments of its last command, and that command's own time limit.
struct Patient {
    name: HostName,
    wait_timeout: Duration,
    seen: Mutex<(Vec<u64>, Duration)>,
}

#[async_trait]
impl Host for Patient {
    fn name(&self) -> &HostName {
        &self.name
    }

    fn wait_timeout(&self) -> Duration {
        self.wait_timeout
    }

    async fn run(&self, cmd: Cmd) -> Result<Output, HostError> {
        let numbers = cmd.argv.iter().filter_map(|word| word.split_once('=')?.1.parse().ok()).collect();
        *self.seen.lock().expect("no test panics with it") = (numbers, cmd.timeout);
        Ok(Output::default())
    }
}

fn pod(component: &'static str) -> StaticPod {
    let manifest = "spec: {containers: [{image: example/image, command: [program]}]}\n";
    StaticPod::new(component, manifest.into(), "http://127.0.0.1:1".into(), SwapPolicy::default()).expect("the manifest is YAML")
}

/// The steps that wait for something to start, each with the waiting times among its arguments, in seconds, for the default timeout of 240 s.
fn steps() -> Vec<(Step, Vec<u64>)> {
    let server = || "10.0.0.1:6443".to_string();
    let object = ObjectRef { group: "apps".into(), kind: "Deployment".into(), namespace: "kube-system".into(), name: "coredns".into() };
    vec![
        (wait::Api { address: [10, 0, 0, 1].into(), version: "v1.30.4".into() }.into(), vec![240]),
        (wait::Endpoint { authority: server() }.into(), vec![60]),
        (wait::Node { node: "w1".into(), server: server(), version: "v1.30.4".into(), ready: true }.into(), vec![240]),
        (wait::Quorum.into(), vec![60]),
        (wait::Settled.into(), vec![240]),
        (wait::Back { node: None, server: server(), ready: true, api: None, etcd: true }.into(), vec![240]),
        (wait::Serves { api: Some(server()), etcd: true }.into(), vec![240]),
        (wait::Rollout { address: [10, 0, 0, 1].into(), object, first: false }.into(), vec![240]),
        (pod("kube-apiserver").into(), vec![120]),
        (ApiWithEtcd { etcd: Some(pod("etcd")), api: Some(pod("kube-apiserver")) }.into(), vec![120]),
        (StaticPodsGone { components: vec!["etcd"] }.into(), vec![120]),
        (Unit::new("etcd", "digest".into()).into(), vec![60]),
        (Member { name: "m3".into(), peer_url: String::new(), through: vec![], want: MemberState::Voter }.into(), vec![240]),
        (RollbackCopy.into(), vec![300]),
    ]
}

#[tokio::test]
async fn what_starts_is_waited_for_as_long_as_the_operator_says() {
    for factor in [1, 15] {
        for (step, shares) in steps() {
            let title = step.title();
            let host = Patient { name: "m1".into(), wait_timeout: WAIT_TIMEOUT * factor, seen: Mutex::default() };
            step.apply(&host, "run").await.expect("this host says yes to everything");
            let (numbers, limit) = host.seen.lock().expect("no test panics with it").clone();
            for share in shares {
                let want = share * u64::from(factor);
                assert!(numbers.contains(&want), "{title}: of {numbers:?} none is {want}");
                assert!(limit.as_secs() > want, "{title}: it is ended after {limit:?}, before its own {want} s");
            }
        }
    }
}
