//! The inputs of a run in addition to the facts: the run's bootstrap token, its private keys, and the operator's files.

use jiff::Timestamp;

use super::Session;
use crate::cli::operator_files::unusable;
use crate::cli::stop::Stop;
use crate::cli::{Call, operator_files, random, registry_files};
use crate::pki;
use crate::plan::RunInputs;
use crate::plan::desired::JoinToken;
use crate::plan::encryption::KEY_BYTES;
use crate::step::token;

/// Reads the operator's files, and makes the run's bootstrap token.
pub(in crate::cli) async fn pack(session: &Session, call: &Call) -> Result<RunInputs, Stop> {
    let inv = &session.inventory;
    let expires = Timestamp::now() + token::LIFE;
    let token =
        JoinToken { id: random::text(6, random::TOKEN), secret: random::text(16, random::TOKEN).into(), expires: format!("{expires:.0}") };
    let file = &call.global.inventory;
    let given = operator_files::pki(inv, file).map_err(unusable)?;
    let external_etcd = operator_files::external_etcd(inv, file).map_err(unusable)?;
    let manifests = operator_files::manifests(inv, file).await.map_err(unusable)?;
    let files = operator_files::control_plane(inv, file).map_err(unusable)?;
    let registries = registry_files::read(inv, file)?;
    let keys = pki::Keys::new(inv.pki.algorithm);
    let encryption_key = random::bytes(KEY_BYTES).into();
    Ok(RunInputs { token, given, manifests, files, registries, external_etcd, keys, encryption_key })
}
