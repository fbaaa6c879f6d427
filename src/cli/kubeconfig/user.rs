//! `clusterctl kubeconfig --user`: a kubeconfig with a person's own client certificate, or one with which kubectl runs clusterctl for a certificate.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::fetch;
use crate::cli::Call;
use crate::cli::session::Session;
use crate::cli::stop::Stop;
use crate::error::Exit;
use crate::host::{Secret, quote};
use crate::inventory::{HostEntry, LoadBalancerKind, parse_duration, show_duration};
use crate::pki::{self, ClientCertificate, ClusterAuthority, Keys};
use crate::plan::refusals::Refusal;
use crate::{layout, versions};

/// The variable in which kubectl names the API version of the credential that it expects.
const EXEC_INFO: &str = "KUBERNETES_EXEC_INFO";

/// The API versions of ExecCredential that have the fields of a client certificate, the newest first.
const EXEC_CREDENTIALS: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

/// The beginning of the names of Kubernetes' own users and groups.
const RESERVED: &str = "system:";

#[derive(clap::Args, Debug)]
pub struct UserArgs {
    /// Make a client certificate for this user instead of fetching the administrator's kubeconfig
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub user: Option<String>,
    /// A group of the user; may be repeated
    #[arg(long, value_name = "GROUP", requires = "user", value_parser = name)]
    group: Vec<String>,
    /// How long the certificate is valid, at most a year
    #[arg(long, value_name = "DURATION", default_value = "24h", requires = "user", value_parser = ttl)]
    ttl: Duration,
    /// Write a kubeconfig with which kubectl runs clusterctl for a new certificate, instead of one that contains a certificate
    #[arg(long, requires = "user")]
    exec: bool,
    /// Print a new certificate as an ExecCredential; kubectl does this with a kubeconfig of `--exec`
    #[arg(long, requires = "user", conflicts_with_all = ["exec", "merge", "output_file"])]
    pub exec_credential: bool,
    /// Allow names that begin with `system:`, such as the group system:masters, whose rights cannot be taken away
    #[arg(long, requires = "user")]
    allow_system_masters: bool,
}

fn name(text: &str) -> Result<String, String> {
    let fine = !text.is_empty() && text.len() <= 253 && !text.chars().any(char::is_control);
    if fine { Ok(text.into()) } else { Err("write a name of at most 253 bytes without control characters".into()) }
}

fn ttl(text: &str) -> Result<Duration, String> {
    let in_range = |d: &Duration| (60..=365 * 86_400).contains(&d.as_secs());
    parse_duration(text).filter(in_range).ok_or_else(|| "write a duration from 1m to 365d, such as 24h or 30d".into())
}

/// The kubeconfig of a user, and what the user and the operator should know about it.
pub struct Made {
    /// The name of its context, of its user entry and of its user: `USER@CLUSTER`.
    pub context: String,
    pub config: Value,
    pub remark: String,
}

impl UserArgs {
    /// Refuses names of Kubernetes' own users and groups, unless they are allowed.
    pub fn refusal(&self) -> Option<Refusal> {
        let mut names = self.user.iter().chain(&self.group);
        let reserved = names.find(|n| n.starts_with(RESERVED)).filter(|_| !self.allow_system_masters)?;
        Some(Refusal::reserved_identity(reserved))
    }

    /// Makes the kubeconfig of this user.
    pub async fn kubeconfig(&self, session: &Session, call: &Call, user: &str) -> Result<Made, Stop> {
        let cluster = &session.inventory.cluster.name;
        let context = format!("{user}@{cluster}");
        let (master, ca, credential, valid) = if self.exec {
            let (master, [ca]) = fetch(session, ["pki/ca.crt"]).await?;
            (
                master,
                ca,
                json!({"exec": self.exec_config(session, &call.global.inventory)?}),
                "kubectl needs clusterctl in its PATH".to_string(),
            )
        } else {
            let (master, ca, made) = self.certificate(session, user).await?;
            let key = STANDARD.encode(made.key_pem.expose());
            let credential = json!({"client-certificate-data": STANDARD.encode(&made.cert_pem), "client-key-data": key});
            (master, ca, credential, format!("its certificate is valid until {:.0}", made.not_after))
        };
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "clusters": [{"name": cluster, "cluster": {"server": server(session, master), "certificate-authority-data": STANDARD.encode(ca.expose())}}],
            "users": [{"name": context, "user": credential}],
            "contexts": [{"name": context, "context": {"cluster": cluster, "user": context}}],
        });
        let remark = format!("{valid}; {}", rights(user, &self.group));
        Ok(Made { context, config, remark })
    }

    /// Makes a certificate and returns it as kubectl expects it from a program of a kubeconfig. `info` is the content of the variable [`EXEC_INFO`].
    pub async fn exec_credential(&self, session: &Session, user: &str) -> Result<Value, Stop> {
        let api = wanted_api(std::env::var(EXEC_INFO).ok().as_deref())?;
        let (_, _, made) = self.certificate(session, user).await?;
        Ok(json!({
            "apiVersion": api,
            "kind": "ExecCredential",
            "status": {
                "expirationTimestamp": format!("{:.0}", made.not_after),
                "clientCertificateData": made.cert_pem,
                "clientKeyData": String::from_utf8_lossy(made.key_pem.expose()),
            },
        }))
    }

    /// Reads the cluster's CA, whose key stays in memory, and signs a new certificate. Returns the host that was asked, ca.crt, and the certificate.
    async fn certificate<'s>(&self, session: &'s Session, user: &str) -> Result<(&'s HostEntry, Secret, ClientCertificate), Stop> {
        let keys = Keys::new(session.inventory.pki.algorithm);
        keys.ahead(1);
        let (master, [cert, key]) = fetch(session, ["pki/ca.crt", "pki/ca.key"]).await?;
        let authority = ClusterAuthority { host: &master.name, cert: &cert, key: &key };
        let made = pki::client_certificate(&authority, user, &self.group, self.ttl, &keys, Timestamp::now());
        let made = made.map_err(|fault| Stop::with(Exit::Failed).error(fault, "see the certificates with `clusterctl certs list`"))?;
        Ok((master, cert, made))
    }

    /// The entry `exec` of a kubeconfig, with which kubectl runs this command with `--exec-credential`.
    fn exec_config(&self, session: &Session, inventory: &Path) -> Result<Value, Stop> {
        let path = inventory.canonicalize().map_err(|e| {
            let message = format!("the path of the inventory `{}` cannot be made absolute: {e}", inventory.display());
            Stop::with(Exit::Inventory).error(message, "name the inventory with `-i FILE`")
        })?;
        let mut args = vec!["kubeconfig".to_string(), "--exec-credential".into()];
        args.extend(self.user.iter().map(|user| format!("--user={user}")));
        args.extend(self.group.iter().map(|group| format!("--group={group}")));
        args.push(format!("--ttl={}", show_duration(self.ttl)));
        args.extend(self.allow_system_masters.then(|| "--allow-system-masters".to_string()));
        args.push(format!("--inventory={}", path.display()));
        // A version that this clusterctl does not know is newer than all that it knows.
        let api = versions::of(&session.inventory.cluster.version).map_or(EXEC_CREDENTIALS[0], |v| v.exec_credential);
        Ok(json!({
            "apiVersion": api,
            "command": "clusterctl",
            "args": args,
            // clusterctl asks for the passphrase of an SSH key or for a password of sudo if there is a terminal.
            "interactiveMode": "IfAvailable",
            "provideClusterInfo": false,
            "installHint": "this kubeconfig runs clusterctl, which must be in the PATH and reach a control-plane host over SSH",
        }))
    }
}

/// The URL of the API server in the kubeconfig of a user. With `local`, the endpoint is each node's own loopback address, which cannot be used from
/// another machine.
pub fn server(session: &Session, master: &HostEntry) -> String {
    match session.inventory.load_balancer.kind {
        LoadBalancerKind::Local => format!("https://{}", layout::join_host_port(master.node_address(), layout::API_SERVER_PORT)),
        _ => format!("https://{}", session.inventory.endpoint_authority()),
    }
}

/// How to give rights to the user, who has none of his own.
fn rights(user: &str, groups: &[String]) -> String {
    let (subject, name) = match groups.first() {
        Some(group) => ("group", group.as_str()),
        None => ("user", user),
    };
    let quoted = quote(&[name]).unwrap_or_else(|_| name.into());
    let binding: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let binding = binding.trim_matches('-');
    format!(
        "{user} has the rights that are bound to this user and its groups, such as by `kubectl create clusterrolebinding {binding}-view --clusterrole view --{subject} {quoted}`"
    )
}

/// The API version of the credential that kubectl asks for. Without kubectl, it is the newest one.
fn wanted_api(info: Option<&str>) -> Result<&'static str, Stop> {
    let Some(info) = info.filter(|i| !i.is_empty()) else { return Ok(EXEC_CREDENTIALS[0]) };
    let info: Value = serde_json::from_str(info).unwrap_or_default();
    let asked = info["apiVersion"].as_str().unwrap_or_default();
    EXEC_CREDENTIALS.into_iter().find(|known| *known == asked).ok_or_else(|| {
        let message = format!("kubectl asks for a credential of `{asked}` in {EXEC_INFO}; known are {}", EXEC_CREDENTIALS.join(" and "));
        Stop::with(Exit::Usage).error(message, "write the kubeconfig anew with `clusterctl kubeconfig --user NAME --exec`")
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser, Debug)]
    struct Line {
        #[command(flatten)]
        args: UserArgs,
        #[arg(long)]
        merge: bool,
        #[arg(long)]
        output_file: Option<String>,
    }

    fn parsed(words: &[&str]) -> Result<UserArgs, String> {
        Line::try_parse_from([&["x"], words].concat()).map(|line| line.args).map_err(|e| e.to_string())
    }

    #[test]
    fn names_of_kubernetes_itself_are_refused_unless_they_are_allowed() {
        for (words, wanted) in [
            (&["--user", "jane"][..], None),
            (&["--user", "jane", "--group", "dev", "--group", "ops"], None),
            (&["--user", "system:kube-scheduler"], Some("system:kube-scheduler")),
            (&["--user", "jane", "--group", "dev", "--group", "system:masters"], Some("system:masters")),
            (&["--user", "jane", "--group", "system:nodes", "--allow-system-masters"], None),
        ] {
            let refusal = parsed(words).expect("the arguments are valid").refusal();
            assert_eq!(refusal.is_some(), wanted.is_some(), "{words:?}");
            assert!(refusal.zip(wanted).is_none_or(|(r, wanted)| r.message.contains(wanted)), "{words:?}");
        }
    }

    #[test]
    fn arguments_that_make_no_sense_are_usage_errors() {
        assert_eq!(parsed(&["--user", "jane"]).expect("they are valid").ttl.as_secs(), 86_400);
        assert!(parsed(&[]).expect("they are valid").user.is_none());
        for words in [
            &["--user", ""][..],
            &["--user", "a\nb"],
            &["--group", "dev"],
            &["--ttl", "1h"],
            &["--exec"],
            &["--user", "jane", "--ttl", "366d"],
            &["--user", "jane", "--ttl", "10s"],
            &["--user", "jane", "--exec", "--exec-credential"],
            &["--user", "jane", "--merge", "--exec-credential"],
        ] {
            assert!(parsed(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn the_credential_has_the_api_version_that_kubectl_asks_for() {
        let info = |api: &str| format!(r#"{{"apiVersion":"{api}","kind":"ExecCredential","spec":{{"interactive":false}}}}"#);
        assert_eq!(wanted_api(None).ok(), Some("client.authentication.k8s.io/v1"));
        for api in EXEC_CREDENTIALS {
            assert_eq!(wanted_api(Some(&info(api))).ok(), Some(api));
        }
        for other in [info("client.authentication.k8s.io/v1alpha1"), "no JSON".into()] {
            assert_eq!(wanted_api(Some(&other)).map_err(|stop| stop.exit), Err(Exit::Usage), "{other}");
        }
    }

    #[test]
    fn the_remark_says_how_to_give_rights() {
        assert!(
            rights("jane@example.org", &[])
                .ends_with("clusterrolebinding jane-example-org-view --clusterrole view --user 'jane@example.org'`")
        );
        assert!(rights("jane", &["Dev Team".into()]).ends_with("clusterrolebinding dev-team-view --clusterrole view --group 'Dev Team'`"));
    }
}
