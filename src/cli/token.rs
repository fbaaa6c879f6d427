//! `clusterctl token`: bootstrap tokens, by which machines come into the cluster.

use std::time::Duration;

use base64::Engine;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Call;
use super::args::duration;
use super::operate::{carry_out, random_text, shown};
use super::session::{Observed, Reach, Session};
use crate::error::Exit;
use crate::facts::cluster::TOKENS;
use crate::host::Secret;
use crate::plan::{Part, Phase, Plan, Track, Width};
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

/// The public part of a token.
fn id(text: &str) -> Result<String, String> {
    let id = text.split('.').next().unwrap_or_default();
    match id.len() == 6 && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
        true => Ok(id.into()),
        false => Err("an id is six lower-case letters and digits".into()),
    }
}

/// Runs the verb.
pub async fn run(call: &Call, args: &Args) -> Exit {
    let result = match &args.verb {
        Verb::Create(args) => create(call, args).await,
        Verb::List(_) => list(call).await,
        Verb::Delete(args) => delete(call, args).await,
    };
    match result {
        Ok(exit) | Err(exit) => exit,
    }
}

/// Opens the cluster, which must answer.
async fn cluster(call: &Call) -> Result<(Session, Observed), Exit> {
    let session = Session::open(call, Reach::Masters).await?;
    let observed = session.observe(&[], &[]).await;
    if observed.facts.cluster.is_some() {
        return Ok((session, observed));
    }
    session.report.failures(&session.unreachable());
    session.report.failures(&observed.failures);
    if !observed.api_failed {
        session.report.error("no API server of the cluster answers", Some("see `clusterctl status`"));
    }
    Err(Exit::Failed)
}

/// Carries out one step through the master that answered.
async fn one(call: &Call, session: &Session, observed: &Observed, step: impl Fn(std::net::IpAddr) -> Step) -> Result<Option<Exit>, Exit> {
    let facts = &observed.facts;
    let via = facts.cluster.as_ref().and_then(|c| session.inventory.host(&c.via)).ok_or(Exit::Failed)?;
    let track = Track { host: via.name.clone(), prelude: vec![], steps: vec![step(via.node_address())] };
    let (plan, _) = Plan::of(&vec![Phase { part: Part::Other, name: "tokens", width: Width::One, tracks: vec![track] }], facts);
    if let Some(exit) = shown(session, call, &plan, &[]) {
        return Ok(Some(exit));
    }
    let failures = carry_out(session, call, &plan, facts).await?;
    session.report.failures(&failures);
    if failures.is_empty() { Ok(None) } else { Err(Exit::Failed) }
}

async fn create(call: &Call, args: &Create) -> Result<Exit, Exit> {
    let (session, observed) = cluster(call).await?;
    let alphabet = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let (id, secret) = (random_text(6, alphabet), random_text(16, alphabet));
    let expires = if args.ttl.is_zero() { String::new() } else { format!("{:.0}", Timestamp::now() + args.ttl) };
    let (usages, groups): (Vec<&str>, Vec<&str>) =
        (args.usages.iter().map(String::as_str).collect(), args.groups.iter().map(String::as_str).collect());
    let object = bootstrap_token_for(&id, &secret, &expires, &args.description, &usages, &groups);
    let object: Secret = object.to_string().into();
    let step = |address| Token { address, id: id.clone(), object: object.clone(), purpose: Purpose::Operator }.into();
    if let Some(exit) = one(call, &session, &observed, step).await? {
        return Ok(exit);
    }
    let token = format!("{id}.{secret}");
    let join = join_command(&session, &observed, &token);
    let value = json!({"token": token, "id": id, "expires": expires, "joinCommand": join});
    let text = match (args.raw, args.print_join_command, join) {
        (false, true, Some(join)) => join,
        (false, true, None) => {
            session.report.error("the cluster's CA certificate could not be read on a control-plane host", Some("see `clusterctl plan`"));
            return Err(Exit::Failed);
        }
        (true, ..) => token,
        _ => format!("{token}\n{}", if expires.is_empty() { "good for ever".into() } else { format!("good until {expires}") }),
    };
    session.report.result(&value, text);
    Ok(Exit::Done)
}

/// What a worker runs; the pin ties it to this cluster's CA.
fn join_command(session: &Session, observed: &Observed, token: &str) -> Option<String> {
    let path = format!("{}/ca.crt", layout::PKI_DIR);
    let pem = session.inventory.control_planes().find_map(|m| observed.facts.host(&m.name).content(&path))?;
    let pin = pki::public_key_pin(pem)?;
    Some(format!("kubeadm join {} --token {token} --discovery-token-ca-cert-hash sha256:{pin}", session.inventory.endpoint_authority()))
}

async fn list(call: &Call) -> Result<Exit, Exit> {
    let (session, observed) = cluster(call).await?;
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

/// A token as it is shown: never with its secret.
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

async fn delete(call: &Call, args: &Delete) -> Result<Exit, Exit> {
    let (session, observed) = cluster(call).await?;
    let known = observed.facts.cluster.iter().flat_map(|c| &c.tokens).collect::<Vec<_>>();
    let unknown: Vec<&str> = args.ids.iter().filter(|id| !known.contains(id)).map(String::as_str).collect();
    if !unknown.is_empty() {
        session.report.error(format!("no such token: {}", unknown.join(", ")), Some("see them with `clusterctl token list`"));
        return Err(Exit::Failed);
    }
    let step = |address| TokensGone { address, ids: Ids::These(args.ids.clone()) }.into();
    if let Some(exit) = one(call, &session, &observed, step).await? {
        return Ok(exit);
    }
    session.report.result(&json!({"deleted": args.ids}), format!("deleted {}", args.ids.join(", ")));
    Ok(Exit::Done)
}
