//! `clusterctl token`: bootstrap tokens, with which machines join the cluster.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::args::duration;
use super::operation::{self, Operation, Proposal};
use super::session::{Reach, Session};
use super::stop::{Ended, Stop};
use super::{Call, random};
use crate::error::{Exit, Failure};
use crate::facts::Facts;
use crate::facts::cluster::TOKENS;
use crate::host::Secret;
use crate::plan::{HostSteps, Part, Phase, Plan, Width};
use crate::render::objects::{DEFAULT_GROUP, bootstrap_token_for};
use crate::step::token::Purpose;
use crate::step::{Ids, Step, Token, TokensGone};
use crate::{layout, pki};

/// Manage bootstrap tokens
///
/// `join` creates and deletes its own token. Use these commands for machines that join by another way, such as by `kubeadm join` in a cloud
/// image.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    Create(Create),
    List(List),
    Delete(Delete),
}

/// Create a token
///
/// Until the token expires, whoever has it can join a machine to the cluster.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl token create --ttl 2h --print-join-command\n  token=$(clusterctl token create --raw)")]
struct Create {
    /// How long the token is valid; 0s means that it never expires
    #[arg(long, default_value = "24h", value_name = "DURATION", value_parser = duration)]
    ttl: Duration,
    /// What the token may be used for
    #[arg(long, value_delimiter = ',', default_value = "signing,authentication", value_name = "USAGES")]
    #[arg(value_parser = ["signing", "authentication"])]
    usages: Vec<String>,
    /// Groups as which the token authenticates, each beginning with system:bootstrappers:
    #[arg(long, value_delimiter = ',', default_value = DEFAULT_GROUP, value_name = "GROUPS", value_parser = group)]
    groups: Vec<String>,
    /// A description of what the token is for
    #[arg(long, default_value = "", value_name = "TEXT")]
    description: String,
    /// Print only the `kubeadm join` command of a worker
    #[arg(long, conflicts_with = "raw")]
    print_join_command: bool,
    /// Print only the token
    #[arg(long)]
    raw: bool,
}

/// List the tokens without their secret parts
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl token list")]
struct List {}

/// Delete tokens
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl token delete abcdef")]
struct Delete {
    /// Token IDs or whole tokens
    #[arg(value_name = "TOKEN", required = true, value_parser = id)]
    ids: Vec<String>,
}

fn group(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("system:bootstrappers:").unwrap_or_default();
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, ':' | '-');
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    match rest.chars().all(fine) && ends(rest.chars().next_back()) {
        true => Ok(text.into()),
        false => Err("a group of tokens is `system:bootstrappers:` and lower-case letters, digits, `:` and `-`".into()),
    }
}

/// Parses the ID of a token, which is the public part of the token; the text is an ID or a whole token.
fn id(text: &str) -> Result<String, String> {
    let id = text.split('.').next().unwrap_or_default();
    match id.len() == 6 && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
        true => Ok(id.into()),
        false => Err("an id is six lower-case letters and digits".into()),
    }
}

/// Runs the verb.
pub async fn run(call: &Call, args: &Args) -> Ended {
    match &args.verb {
        Verb::Create(args) => operation::run(args, call, Reach::Masters).await,
        Verb::List(_) => list(call).await,
        Verb::Delete(args) => operation::run(args, call, Reach::Masters).await,
    }
}

/// Proposes a plan of one step, which runs on the control-plane host whose API server answered. `step` makes the step from the host's address.
fn one_step<Aim>(session: &Session, facts: Facts, aim: Aim, step: impl Fn(IpAddr) -> Step) -> Result<Proposal<Aim>, Stop> {
    let via = facts.cluster.as_ref().and_then(|c| session.inventory.host(&c.via)).ok_or_else(operation::api_away)?;
    let host_steps = HostSteps { host: via.name.clone(), guards: vec![], steps: vec![step(via.node_address())] };
    let desired = vec![Phase { part: Part::Other, name: "tokens", width: Width::One, hosts: vec![host_steps] }];
    let plan = Plan::of(&desired, &facts).0;
    Ok(Proposal { plan, facts, failures: vec![], aim })
}

/// A token that is being created.
struct NewToken {
    id: String,
    secret: String,
    /// When the token expires, as RFC 3339; empty if the token never expires.
    expires: String,
}

impl Operation for Create {
    type Aim = NewToken;

    async fn propose(&self, session: &Session, _call: &Call) -> Result<Proposal<NewToken>, Stop> {
        let observed = operation::observe_api(session, &[]).await?;
        let (id, secret) = (random::text(6, random::TOKEN), random::text(16, random::TOKEN));
        let expires = if self.ttl.is_zero() { String::new() } else { format!("{:.0}", Timestamp::now() + self.ttl) };
        let (usages, groups): (Vec<&str>, Vec<&str>) =
            (self.usages.iter().map(String::as_str).collect(), self.groups.iter().map(String::as_str).collect());
        let object = bootstrap_token_for(&id, &secret, &expires, &self.description, &usages, &groups);
        let object: Secret = object.to_string().into();
        let step = |address| Token { address, id: id.clone(), object: object.clone(), purpose: Purpose::Operator }.into();
        one_step(session, observed.facts, NewToken { id: id.clone(), secret, expires }, step)
    }

    async fn ended(&self, session: &Session, _call: &Call, proposal: Proposal<NewToken>, broken: Vec<Failure>) -> Ended {
        let report = &session.report;
        if !broken.is_empty() {
            return Err(Stop::broken(broken));
        }
        let NewToken { id, secret, expires } = proposal.aim;
        let token = format!("{id}.{secret}");
        let join = join_command(session, &proposal.facts, &token);
        let value = json!({"token": token, "id": id, "expires": expires, "joinCommand": join});
        let text = match (self.raw, self.print_join_command, join) {
            (false, true, Some(join)) => join,
            (false, true, None) => {
                let message = "the cluster's CA certificate could not be read on a control-plane host";
                return Err(Stop::with(Exit::Failed).error(message, "see `clusterctl plan`"));
            }
            (true, ..) => token,
            _ => format!("{token}\n{}", if expires.is_empty() { "good for ever".into() } else { format!("good until {expires}") }),
        };
        report.result(&value, text);
        Ok(Exit::Done)
    }
}

/// The `kubeadm join` command of a worker; with the hash of the CA's public key, the worker accepts only this cluster's CA. `None` if no
/// readable CA certificate was found on a control-plane host.
fn join_command(session: &Session, facts: &Facts, token: &str) -> Option<String> {
    let path = format!("{}/ca.crt", layout::PKI_DIR);
    let pem = session.inventory.control_planes().find_map(|m| facts.host(&m.name).content(&path))?;
    let pin = pki::public_key_pin(pem)?;
    Some(format!("kubeadm join {} --token {token} --discovery-token-ca-cert-hash sha256:{pin}", session.inventory.endpoint_authority()))
}

async fn list(call: &Call) -> Ended {
    let session = Session::open(call, Reach::Masters).await?;
    let observed = operation::observe_api(&session, &[]).await?;
    let rows: Vec<Row> =
        observed.lists.get(TOKENS).into_iter().flat_map(|v| v["items"].as_array().into_iter().flatten()).map(Row::of).collect();
    let values: Vec<Value> = rows.iter().map(Row::value).collect();
    let lines = rows.iter().map(|r| format!("{:<8}{:<22}{:<24}{}", r.id, r.expires, r.usages.join(","), r.description));
    let text = std::iter::once(format!("{:<8}{:<22}{:<24}{}", "ID", "EXPIRES", "USAGES", "DESCRIPTION"))
        .chain(lines)
        .collect::<Vec<_>>()
        .join("\n");
    session.report.result(&json!({"tokens": values}), text);
    Ok(Exit::Done)
}

/// A token as it is shown, always without its secret part.
struct Row {
    id: String,
    expires: String,
    usages: Vec<&'static str>,
    groups: String,
    description: String,
}

impl Row {
    fn of(secret: &Value) -> Self {
        let text = |key: &str| {
            let bytes = base64::engine::general_purpose::STANDARD.decode(secret["data"][key].as_str().unwrap_or_default());
            String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
        };
        let usages = ["authentication", "signing"].into_iter().filter(|u| text(&format!("usage-bootstrap-{u}")) == "true").collect();
        let expires = Some(text("expiration")).filter(|e| !e.is_empty()).unwrap_or_else(|| "never".into());
        Row { id: text("token-id"), expires, usages, groups: text("auth-extra-groups"), description: text("description") }
    }

    fn value(&self) -> Value {
        let groups: Vec<&str> = self.groups.split(',').filter(|g| !g.is_empty()).collect();
        json!({"id": self.id, "expires": self.expires, "usages": self.usages, "groups": groups, "description": self.description})
    }
}

impl Operation for Delete {
    type Aim = ();

    async fn propose(&self, session: &Session, _call: &Call) -> Result<Proposal<()>, Stop> {
        let facts = operation::observe_api(session, &[]).await?.facts;
        let known: Vec<&String> = facts.cluster.iter().flat_map(|c| &c.tokens).collect();
        let unknown: Vec<&str> = self.ids.iter().filter(|id| !known.contains(id)).map(String::as_str).collect();
        if !unknown.is_empty() {
            let message = format!("no such token: {}", unknown.join(", "));
            return Err(Stop::with(Exit::Failed).error(message, "see them with `clusterctl token list`"));
        }
        one_step(session, facts, (), |address| TokensGone { address, ids: Ids::These(self.ids.clone()) }.into())
    }

    async fn ended(&self, session: &Session, _call: &Call, _proposal: Proposal<()>, broken: Vec<Failure>) -> Ended {
        if !broken.is_empty() {
            return Err(Stop::broken(broken));
        }
        session.report.result(&json!({"deleted": self.ids}), format!("deleted {}", self.ids.join(", ")));
        Ok(Exit::Done)
    }
}
