//! etcd's own rules: the oldest version from which an upgrade to a minor version is allowed, and the flags that a minor version no longer has.

/// Major, minor and patch number.
pub type Version = (u64, u64, u64);

/// An upgrade to a minor version of etcd is allowed from the version `from` of the minor version before it, or from a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// The minor version that is upgraded to.
    to: (u64, u64),
    pub from: Version,
    /// The version that etcd recommends today to upgrade from, if it is later than `from`.
    pub advised: Option<Version>,
    /// The reason why an older version is refused.
    pub why: &'static str,
}

/// The oldest versions from which an upgrade is allowed. Sources: etcd's upgrade guides 3.6 and 3.7, and etcd's post "zombie members" of December
/// 2025. kubeadm does not check this: it upgrades from 3.6.8 to 3.7.0.
const FLOORS: [Floor; 2] = [
    Floor {
        to: (3, 6),
        from: (3, 5, 26),
        advised: Some((3, 5, 32)),
        why: "an older 3.5 can bring members back that were removed from the cluster",
    },
    Floor { to: (3, 7), from: (3, 6, 11), advised: None, why: "etcd calls an older 3.6 not compatible with a rolling upgrade to 3.7" },
];

/// Flags that etcd removed, by the first minor version without them. Since 3.7, no flag begins with `experimental-` either.
const FLAGS: [((u64, u64), &str); 2] = [
    (
        (3, 6),
        "enable-v2 experimental-enable-v2v3 proxy proxy-dial-timeout proxy-failure-wait proxy-read-timeout proxy-refresh-interval \
        proxy-write-timeout",
    ),
    ((3, 7), "discovery discovery-proxy"),
];
const NO_EXPERIMENTAL: (u64, u64) = (3, 7);

/// The version in an image tag such as `3.5.24-0`; `None` if the tag does not begin with one.
pub fn version(tag: &str) -> Option<Version> {
    let mut numbers = tag.trim_start_matches('v').split(['.', '-']).map(|n| n.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

/// The entry of `FLOORS` that forbids the upgrade from `now` to `next`. `None` if the upgrade is allowed.
pub fn floor(now: Version, next: Version) -> Option<&'static Floor> {
    FLOORS.iter().find(|f| now < f.from && (next.0, next.1) >= f.to)
}

/// The first minor version of etcd without this flag. `None` if the flag was not removed.
pub fn removed_flag(flag: &str) -> Option<(u64, u64)> {
    let flag = flag.replace('_', "-");
    let listed = FLAGS.iter().find(|(_, names)| names.split_whitespace().any(|n| n == flag)).map(|(minor, _)| *minor);
    listed.or_else(|| flag.starts_with("experimental-").then_some(NO_EXPERIMENTAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_begins_with_a_version() {
        assert_eq!(version("3.5.24-0"), Some((3, 5, 24)));
        assert_eq!(version("v3.6.11"), Some((3, 6, 11)));
        assert_eq!(version("3.4.13"), Some((3, 4, 13)));
        assert_eq!(version("nightly"), None);
        assert_eq!(version("3.5"), None);
    }

    #[test]
    fn a_minor_is_entered_from_its_floor() {
        let from = |now, next| floor(now, next).map(|f| f.from);
        let table = [
            ((3, 5, 24), (3, 6, 11), Some((3, 5, 26))),
            ((3, 5, 25), (3, 6, 0), Some((3, 5, 26))),
            ((3, 5, 26), (3, 6, 11), None),
            ((3, 5, 24), (3, 5, 31), None),
            ((3, 6, 8), (3, 7, 0), Some((3, 6, 11))),
            ((3, 6, 10), (3, 7, 1), Some((3, 6, 11))),
            ((3, 6, 11), (3, 7, 0), None),
            ((3, 6, 5), (3, 6, 11), None),
            ((3, 7, 0), (3, 7, 1), None),
        ];
        for (now, next, want) in table {
            assert_eq!(from(now, next), want, "{now:?} to {next:?}");
        }
    }

    #[test]
    fn flags_that_are_gone() {
        assert_eq!(removed_flag("enable-v2"), Some((3, 6)));
        assert_eq!(removed_flag("experimental-enable-v2v3"), Some((3, 6)));
        assert_eq!(removed_flag("experimental-initial-corrupt-check"), Some((3, 7)));
        assert_eq!(removed_flag("experimental_initial_corrupt_check"), Some((3, 7)));
        assert_eq!(removed_flag("discovery"), Some((3, 7)));
        assert_eq!(removed_flag("discovery-endpoints"), None);
        assert_eq!(removed_flag("quota-backend-bytes"), None);
    }
}
