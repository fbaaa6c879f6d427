//! The example inventories, with comments, that `clusterctl inventory new` writes.

use std::str::FromStr;

use super::words::{choices, quoted};

/// The purpose of a cluster, by which its starter inventory is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// One machine that is control plane and worker.
    Education,
    /// One control plane and workers.
    Development,
    /// Three control planes behind two load balancers, and workers.
    Production,
}

impl Profile {
    /// Every profile, smallest first.
    pub const ALL: [Profile; 3] = [Profile::Education, Profile::Development, Profile::Production];

    /// The profile's name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Education => "education",
            Profile::Development => "development",
            Profile::Production => "production",
        }
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Profile, String> {
        let found = Profile::ALL.into_iter().find(|p| p.name() == text);
        found.ok_or_else(|| format!("{} is not a profile; choose {}", quoted(text), choices(&Profile::ALL.map(Profile::name))))
    }
}

/// The starter inventory of a profile, with comments. It has no faults, neither with its example addresses nor with real ones.
pub fn starter(profile: Profile) -> &'static str {
    match profile {
        Profile::Education => include_str!("../../templates/inventory/education.yaml"),
        Profile::Development => include_str!("../../templates/inventory/development.yaml"),
        Profile::Production => include_str!("../../templates/inventory/production.yaml"),
    }
}
