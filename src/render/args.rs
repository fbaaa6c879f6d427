//! Command lines: clusterctl's own flags and the operator's flags as one list.

use std::collections::BTreeMap;

use crate::versions::ConfigApi;

/// Flags by name, without leading dashes.
pub(super) type Flags = BTreeMap<String, String>;

/// `--name=value` for each flag. A flag of `extra` replaces the flag of the same name in `base`. Since v1beta4 the flags of `extra` follow those
/// of `base`; before, all flags were sorted together.
pub(super) fn command(base: Flags, extra: &Flags, api: ConfigApi) -> Vec<String> {
    let show = |(name, value): (&String, &String)| format!("--{name}={value}");
    if api < ConfigApi::V1Beta4 {
        let mut all = base;
        all.extend(extra.clone());
        return all.iter().map(show).collect();
    }
    let kept = base.iter().filter(|(name, _)| !extra.contains_key(*name));
    kept.chain(extra).map(show).collect()
}

/// Makes flags from pairs of name and value.
pub(super) fn flags<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Flags {
    pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}
