//! Resolves a target into all settings of a connection: the options of the inventory first, then the operator's ssh_config, then OpenSSH's
//! defaults.
//!
//! ssh_config is read with `ssh -G`, which knows Include, Match and tokens. If the operator's machine has no ssh client, ssh_config is ignored.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::SshOptions;
use crate::host::HostError;

/// The default limit for TCP connect, key exchange and authentication together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest number of jump hosts in a chain. A longer chain is taken for a loop in ssh_config and refused.
const MAX_JUMPS: usize = 8;

/// One SSH server, with the settings to reach it and to log in.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// The address as the operator wrote it, for messages.
    pub address: String,
    pub hostname: String,
    pub port: u16,
    /// The name of the server in known_hosts, in place of host name and port.
    pub host_key_alias: Option<String>,
    pub via: Via,
    pub known_hosts: Vec<PathBuf>,
    pub user: String,
    pub keys: UserKeys,
    pub connect_timeout: Duration,
}

/// The keys with which the user logs in.
#[derive(Clone, Debug, PartialEq)]
pub struct UserKeys {
    pub identities: Vec<Identity>,
    /// Files with certificates for user keys, in addition to `<key>-cert.pub` next to each key file.
    pub certificates: Vec<PathBuf>,
    /// The socket of the agent whose keys are tried.
    pub agent: Option<PathBuf>,
    /// Whether only those of the agent's keys are tried that are in `identities`.
    pub identities_only: bool,
}

/// A private key file.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    pub path: PathBuf,
    pub source: IdentitySource,
}

/// Where a key file is named. A missing file is an error only if the operator named it in the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentitySource {
    Inventory,
    Config,
}

/// How an endpoint is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Via {
    Direct,
    Jump(Box<Endpoint>),
    /// A ProxyCommand of ssh_config whose tokens, such as `%h`, are not replaced yet.
    Command(String),
}

impl Endpoint {
    /// Identifies the connection: two endpoints with the same ID can share one connection.
    pub fn id(&self) -> String {
        let via = match &self.via {
            Via::Direct => String::new(),
            Via::Jump(hop) => format!("{} > ", hop.id()),
            Via::Command(command) => format!("{command} > "),
        };
        format!("{via}{}@{}:{}", self.user, self.hostname, self.port)
    }
}

/// Resolves the settings of a connection; ssh_config and the defaults fill in what `options` does not contain.
pub async fn resolve(address: &str, options: &SshOptions, ssh_config: Option<&Path>) -> Result<Endpoint, HostError> {
    resolve_at_depth(address, options, ssh_config, 0).await
}

async fn resolve_at_depth(address: &str, options: &SshOptions, ssh_config: Option<&Path>, depth: usize) -> Result<Endpoint, HostError> {
    if depth > MAX_JUMPS {
        return Err(local(format!("more than {MAX_JUMPS} jump hosts before `{address}`: ssh_config has a loop")));
    }
    if address.is_empty() || address.starts_with('-') || address.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(local(format!("`{address}` is not an address")));
    }
    let config = ask_ssh(address, options, ssh_config).await?;
    let hops = match options.jump.is_empty() {
        false => options.jump.clone(),
        true => config.jump.clone(),
    };
    let via = match (hops.split_last(), &config.proxy_command) {
        (Some((last, before)), _) => {
            let hop = parse_hop(last)?;
            let options = SshOptions { user: hop.user, port: hop.port, jump: before.to_vec(), ..options.clone() };
            Via::Jump(Box::new(Box::pin(resolve_at_depth(&hop.host, &options, ssh_config, depth + 1)).await?))
        }
        (None, Some(command)) => Via::Command(command.clone()),
        (None, None) => Via::Direct,
    };
    let user = options.user.clone().or(config.user).or_else(local_user).ok_or_else(|| local("no user is known to log in as"))?;
    let hostname = config.hostname.unwrap_or_else(|| address.to_string());
    let port = options.port.or(config.port).unwrap_or(22);
    let expand = |text: &String| expand(text, &[('h', &hostname), ('r', &user), ('n', address), ('p', &port.to_string())]);
    let identity = |source| move |path| Identity { path, source };
    let identities = match options.identity_files.is_empty() {
        false => options.identity_files.iter().map(expand).map(identity(IdentitySource::Inventory)).collect(),
        true => config.identities.iter().map(expand).map(identity(IdentitySource::Config)).collect(),
    };
    let known_hosts = if options.known_hosts.is_empty() { &config.known_hosts } else { &options.known_hosts };
    let agent = match (options.agent, &config.agent) {
        (Some(false), _) | (_, Agent::None) => None,
        (_, Agent::Socket(path)) => Some(expand(path)),
        (_, Agent::Environment(variable)) => std::env::var_os(variable).filter(|v| !v.is_empty()).map(PathBuf::from),
    };
    Ok(Endpoint {
        address: address.to_string(),
        keys: UserKeys {
            certificates: config.certificates.iter().map(expand).collect(),
            identities_only: config.identities_only,
            identities,
            agent,
        },
        known_hosts: known_hosts.iter().map(expand).collect(),
        host_key_alias: config.host_key_alias,
        connect_timeout: options.connect_timeout.or(config.connect_timeout).unwrap_or(CONNECT_TIMEOUT),
        hostname,
        port,
        user,
        via,
    })
}

/// The settings of ssh_config for a host.
#[derive(Debug, PartialEq)]
struct Config {
    hostname: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    host_key_alias: Option<String>,
    identities: Vec<String>,
    certificates: Vec<String>,
    identities_only: bool,
    agent: Agent,
    known_hosts: Vec<String>,
    connect_timeout: Option<Duration>,
    jump: Vec<String>,
    proxy_command: Option<String>,
}

#[derive(Debug, PartialEq)]
enum Agent {
    None,
    /// The socket that this environment variable names.
    Environment(String),
    Socket(String),
}

impl Default for Config {
    /// OpenSSH's defaults.
    fn default() -> Self {
        Config {
            hostname: None,
            port: None,
            user: None,
            host_key_alias: None,
            identities: ["id_rsa", "id_ecdsa", "id_ed25519"].map(|n| format!("~/.ssh/{n}")).to_vec(),
            certificates: Vec::new(),
            identities_only: false,
            agent: Agent::Environment("SSH_AUTH_SOCK".into()),
            known_hosts: ["~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]
                .map(String::from)
                .to_vec(),
            connect_timeout: None,
            jump: Vec::new(),
            proxy_command: None,
        }
    }
}

/// Runs `ssh -G`, which prints the settings for a host and does not connect.
async fn ask_ssh(address: &str, options: &SshOptions, ssh_config: Option<&Path>) -> Result<Config, HostError> {
    let mut command = tokio::process::Command::new("ssh");
    command.arg("-G");
    if let Some(path) = ssh_config {
        command.arg("-F").arg(path);
    }
    // The user and the port may decide which Match blocks apply.
    if let Some(user) = &options.user {
        command.arg("-l").arg(user);
    }
    if let Some(port) = options.port {
        command.arg("-p").arg(port.to_string());
    }
    command.arg("--").arg(address).stdin(Stdio::null()).kill_on_drop(true);
    let output = match command.output().await {
        Ok(output) => output,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Config::default()),
        Err(e) => return Err(HostError::local("cannot run `ssh -G`", e)),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(local(format!("`ssh -G {address}` failed: {}", said.trim())));
    }
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

fn parse(text: &str) -> Config {
    let mut config = Config { identities: Vec::new(), known_hosts: Vec::new(), ..Config::default() };
    for (key, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        let files = || value.split(' ').filter(|f| *f != "none").map(String::from);
        match (key, value) {
            ("hostname", _) => config.hostname = Some(value.into()),
            ("port", _) => config.port = value.parse().ok(),
            ("user", _) => config.user = Some(value.into()),
            ("hostkeyalias", _) => config.host_key_alias = Some(value.into()),
            ("identityagent", "none") => config.agent = Agent::None,
            (_, "none") => {}
            ("identityfile", _) => config.identities.push(value.into()),
            ("certificatefile", _) => config.certificates.push(value.into()),
            ("identitiesonly", _) => config.identities_only = value == "yes",
            ("identityagent", _) => {
                config.agent = match value.strip_prefix('$') {
                    Some(variable) => Agent::Environment(variable.trim_matches(['{', '}']).into()),
                    None if value == "SSH_AUTH_SOCK" => Agent::Environment(value.into()),
                    None => Agent::Socket(value.into()),
                }
            }
            ("userknownhostsfile" | "globalknownhostsfile", _) => config.known_hosts.extend(files()),
            ("connecttimeout", _) => config.connect_timeout = value.parse().ok().map(Duration::from_secs),
            ("proxyjump", _) => config.jump = value.split(',').map(String::from).collect(),
            ("proxycommand", _) => config.proxy_command = Some(value.into()),
            _ => {}
        }
    }
    config
}

/// A jump host, written as `[user@]host[:port]`. An IPv6 address with a port must have brackets. `ssh://` before the whole text is allowed.
#[derive(Debug, PartialEq)]
struct Hop {
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

fn parse_hop(text: &str) -> Result<Hop, HostError> {
    let bare = text.trim().trim_start_matches("ssh://").trim_end_matches('/');
    let (user, rest) = match bare.rsplit_once('@') {
        Some((user, rest)) => (Some(user.to_string()), rest),
        None => (None, bare),
    };
    let (host, port) = match rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, port.strip_prefix(':').or(Some(port))),
        None => match rest.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (rest, None),
        },
    };
    let port = port.map(|p| p.parse().map_err(|_| local(format!("jump host `{text}`: `{p}` is not a port")))).transpose()?;
    Ok(Hop { user, host: host.to_string(), port })
}

/// Replaces `~` and the tokens that ssh_config allows in file names.
fn expand(text: &str, tokens: &[(char, &str)]) -> PathBuf {
    let home = std::env::home_dir().unwrap_or_default();
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => match chars.next() {
                Some('%') => out.push('%'),
                Some('d') => out.push_str(&home.to_string_lossy()),
                Some('u') => out.push_str(&local_user().unwrap_or_default()),
                Some(t) => match tokens.iter().find(|(name, _)| *name == t) {
                    Some((_, value)) => out.push_str(value),
                    None => out.extend(['%', t]),
                },
                None => out.push('%'),
            },
            c => out.push(c),
        }
    }
    match out.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => Path::new(&out).to_path_buf(),
    }
}

/// A ProxyCommand with its tokens replaced. The command is the operator's own shell text. Fails if an inserted value has characters that may have a
/// meaning to a shell, or if a token is not supported.
pub fn expand_command(command: &str, endpoint: &Endpoint) -> Result<String, HostError> {
    let fault = |what: String| local(format!("ProxyCommand of `{}`: {what}", endpoint.address));
    let plain = |value: &str| match value.chars().all(|c| c.is_ascii_alphanumeric() || "._-:@+".contains(c)) {
        true => Ok(value.to_string()),
        false => Err(fault(format!("`{value}` has characters that do not belong in a command"))),
    };
    let mut out = String::new();
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('%') => out.push('%'),
            Some('h') => out.push_str(&plain(&endpoint.hostname)?),
            Some('n') => out.push_str(&plain(&endpoint.address)?),
            Some('p') => out.push_str(&endpoint.port.to_string()),
            Some('r') => out.push_str(&plain(&endpoint.user)?),
            other => return Err(fault(format!("`%{}` is not supported", other.map(String::from).unwrap_or_default()))),
        }
    }
    Ok(out)
}

fn local_user() -> Option<String> {
    ["USER", "LOGNAME"].iter().find_map(|v| std::env::var(v).ok().filter(|u| !u.is_empty()))
}

fn local(what: impl Into<String>) -> HostError {
    HostError::Local { what: what.into(), source: None }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hops() {
        let hop = |user: Option<&str>, host: &str, port| Hop { user: user.map(String::from), host: host.into(), port };
        for (text, expected) in [
            ("bastion", hop(None, "bastion", None)),
            ("me@bastion:2222", hop(Some("me"), "bastion", Some(2222))),
            ("ssh://me@bastion:2222/", hop(Some("me"), "bastion", Some(2222))),
            ("[fe80::1]:22", hop(None, "fe80::1", Some(22))),
            ("me@[fe80::1]", hop(Some("me"), "fe80::1", None)),
            ("fe80::1", hop(None, "fe80::1", None)),
        ] {
            assert_eq!(parse_hop(text).unwrap(), expected, "{text}");
        }
        assert!(parse_hop("bastion:http").is_err());
        assert!(parse_hop("[fe80::1]x").is_err());
    }

    #[test]
    fn settings_as_ssh_prints_them() {
        let config = parse(
            "user ops\nhostname 10.0.0.1\nport 2222\nhostkeyalias al\nidentitiesonly yes\nidentityagent /run/agent\nidentityfile ~/.ssh/%h\n\
             certificatefile none\nuserknownhostsfile /a /b\nglobalknownhostsfile none\nconnecttimeout none\nproxyjump bar:2222,x@baz\n",
        );
        assert_eq!(config.known_hosts, ["/a", "/b"]);
        assert_eq!(config.jump, ["bar:2222", "x@baz"]);
        assert_eq!(config.identities, ["~/.ssh/%h"]);
        assert_eq!(config.agent, Agent::Socket("/run/agent".into()));
        assert_eq!((config.port, config.connect_timeout, config.identities_only), (Some(2222), None, true));
        assert!(config.certificates.is_empty());
    }

    #[test]
    fn tokens() {
        assert_eq!(expand("/k/%h_%%_%r", &[('h', "a"), ('r', "me")]), Path::new("/k/a_%_me"));
        assert_eq!(expand("~/x", &[]), std::env::home_dir().unwrap().join("x"));
    }
}
