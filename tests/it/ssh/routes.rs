//! Tests of the ways to a host: jump hosts, ssh_config and ProxyCommand, also to many hosts at once.

use std::time::{Duration, Instant};

use clusterctl::host::ssh::SshHost;
use clusterctl::host::{Host, HostError};

use super::sshd::{Sshd, command, configured, connector, user};
use crate::needs::needs;

async fn works(host: &SshHost) {
    assert_eq!(host.run(command(["echo", "hi"])).await.unwrap().stdout, b"hi\n");
}

fn accept_key_of(at: &Sshd, other: &Sshd) {
    at.write("authorized_keys", &format!("{}{}", at.read("authorized_keys"), other.read("user.pub")));
    other.write("known_hosts", &format!("{}[127.0.0.1]:{} {}\n", other.read("known_hosts"), at.port, at.public("host.pub")));
}

#[tokio::test]
async fn through_jump_hosts_that_are_shared() {
    needs!(Sshd);
    let (first, second) = (Sshd::start().known(), Sshd::start().known());
    let inner = Sshd::with("MaxStartups 100").known();
    accept_key_of(&first, &inner);
    accept_key_of(&second, &inner);
    let mut target = inner.target();
    let hop = |sshd: &Sshd| format!("{}@127.0.0.1:{}", user(), sshd.port);
    target.options.jump = vec![hop(&first), hop(&second)];
    let hosts = connector().connect_all(vec![target; 12], 12).await;
    for (_, host) in &hosts {
        works(host.as_ref().unwrap()).await;
    }
    assert_eq!(inner.log().matches("Accepted publickey").count(), 12);
    for jump in [&first, &second] {
        assert_eq!(jump.log().matches("Accepted publickey").count(), 1);
        assert!(!jump.log().contains("auth-agent-req"));
    }
}

#[tokio::test]
async fn an_unknown_jump_host_is_refused() {
    needs!(Sshd);
    let (jump, inner) = (Sshd::start().known(), Sshd::start().known());
    let mut target = inner.target();
    target.options.jump = vec![format!("127.0.0.1:{}", jump.port)];
    let error = connector().connect(target).await.err().unwrap();
    assert!(matches!(error, HostError::UnknownHostKey { .. }), "{error}");
    assert!(!jump.saw_a_log_in());
}

/// ssh_config alone gives the host name, the port, the user, the key and known_hosts.
#[tokio::test]
async fn by_ssh_config_alone() {
    needs!(Sshd);
    let sshd = Sshd::start();
    sshd.write("known_hosts", &format!("rack {}\n", sshd.public("host.pub")));
    let dir = sshd.folder.path().display();
    let config = format!(
        "Host m1\n HostName 127.0.0.1\n HostKeyAlias rack\n Port {}\n User {}\n IdentityFile {dir}/%r-%%-none\n IdentityFile {dir}/user\n\
         UserKnownHostsFile {dir}/known_hosts\n GlobalKnownHostsFile none\n IdentityAgent none\n StrictHostKeyChecking no\n",
        sshd.port,
        user()
    );
    sshd.write("config", &config);
    let mut target = sshd.target();
    target.address = "m1".into();
    target.options = Default::default();
    works(&configured(&sshd).connect(target.clone()).await.unwrap()).await;
    // `StrictHostKeyChecking no` does not make clusterctl accept an unknown key.
    sshd.write("known_hosts", "[rack]:22 x\n");
    let error = configured(&sshd).connect(target).await.err().unwrap();
    assert!(matches!(error, HostError::UnknownHostKey { .. }), "{error}");
}

#[tokio::test]
async fn jump_and_proxy_command_of_ssh_config() {
    needs!(Sshd);
    let (jump, inner) = (Sshd::start().known(), Sshd::start().known());
    accept_key_of(&jump, &inner);
    let ports = format!("Port {}", inner.port);
    for way in
        [format!("ProxyJump {}@127.0.0.1:{}", user(), jump.port), "ProxyCommand bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & cat >&3'".into()]
    {
        // The setting applies to the host `inner` only, because the jump host must not be reached through itself.
        inner.write("config", &format!("Host inner\n HostName 127.0.0.1\n {ports}\n {way}\n"));
        let mut target = inner.target();
        target.address = "inner".into();
        target.options.port = None;
        works(&configured(&inner).connect(target).await.unwrap()).await;
    }
}

#[tokio::test]
async fn a_proxy_command_gets_no_strange_names() {
    needs!(Sshd);
    let sshd = Sshd::start().known();
    let config = format!("Host *\n ProxyCommand touch {}; echo %h\n", sshd.path("canary").display());
    sshd.write("config", &config);
    let mut target = sshd.target();
    target.address = "$(id)".into();
    let error = configured(&sshd).connect(target).await.err().unwrap();
    assert!(matches!(error, HostError::Local { .. }), "{error}");
    assert!(!sshd.path("canary").exists());
}

#[tokio::test]
async fn one_bad_host_does_not_stop_the_others() {
    needs!(Sshd);
    let sshd = Sshd::start().known();
    let mut dead = sshd.target();
    dead.name = "dead".into();
    dead.options.port = Some(1);
    let mut more = sshd.target();
    more.options.jump = vec![format!("127.0.0.1:{}", 1)];
    let mut wrong = sshd.target();
    wrong.address = "-oProxyCommand=x".into();
    let results = connector().connect_all(vec![dead, wrong, sshd.target(), more], 2).await;
    assert!(matches!(&results[0], (name, Err(HostError::Unreachable { .. })) if name == "dead"));
    assert!(matches!(&results[1].1, Err(HostError::Local { .. })));
    assert!(results[2].1.is_ok());
    assert!(matches!(results[3].1, Err(HostError::Unreachable { .. })));
}

/// The attempt to connect to a server that accepts the connection and sends nothing ends after the connect timeout.
#[tokio::test]
async fn silence_has_a_limit() {
    needs!(Sshd);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let sshd = Sshd::start().known();
    let mut target = sshd.target();
    target.options.port = Some(listener.local_addr().unwrap().port());
    target.options.connect_timeout = Some(Duration::from_millis(300));
    let begun = Instant::now();
    assert!(matches!(connector().connect(target).await, Err(HostError::Unreachable { .. })));
    assert!(begun.elapsed() < Duration::from_secs(10));
}
