//! What a run takes along besides the facts: its token, and what the operator gave.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{Session, random_text};
use crate::cli::{Call, operator_files};
use crate::error::{Exit, chain};
use crate::host::Secret;
use crate::pki;
use crate::plan::cluster::JoinToken;

/// Tokens of a run live this long: longer than any join takes, too short to be worth stealing.
const TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);

/// What a run takes along besides the facts; the same for every planning in it.
pub(in crate::cli) struct Luggage {
    pub token: JoinToken,
    /// PKI files the operator gave, by path below the PKI folder.
    pub given: BTreeMap<String, Secret>,
    /// CNI and add-on manifests the operator gave, in order.
    pub manifests: Vec<Value>,
    /// The client of an etcd that someone else runs.
    pub external_etcd: Option<pki::ExternalEtcdFiles>,
    pub keys: pki::Keys,
}

/// Reads what the operator gave, and makes the run's token.
pub(in crate::cli) async fn pack(session: &Session, call: &Call) -> Result<Luggage, Exit> {
    let inv = &session.inventory;
    let expires = Timestamp::now() + TOKEN_LIFE;
    let alphabet = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let token = JoinToken { id: random_text(6, alphabet), secret: random_text(16, alphabet).into(), expires: format!("{expires:.0}") };
    let told = |e: operator_files::FileFault| {
        session.report.error(chain(&e), Some("mend the file or its path in the inventory"));
        Exit::Inventory
    };
    let file = &call.global.inventory;
    let given = operator_files::pki(inv, file).map_err(told)?;
    let external_etcd = operator_files::external_etcd(inv, file).map_err(told)?;
    let manifests = operator_files::manifests(inv, file).await.map_err(told)?;
    Ok(Luggage { token, given, manifests, external_etcd, keys: pki::Keys::new(inv.pki.algorithm) })
}
