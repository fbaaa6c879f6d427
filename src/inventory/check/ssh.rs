//! Rules about the field `ssh` of the inventory and of each host: user, files, jump hosts.

use super::super::Ssh;
use super::super::path::{Path, at};
use super::super::resolve::NO_JUMP;
use super::super::words::quoted;
use super::review::Review;
use super::shape::{is_authority, is_user};

pub(super) fn check(review: &mut Review) {
    let inventory = review.inventory;
    check_one(review, &at!["ssh"], &inventory.ssh);
    for (i, host) in inventory.hosts.iter().enumerate() {
        check_one(review, &at!["hosts", i, "ssh"], &host.ssh);
    }
}

fn check_one(review: &mut Review, path: &Path, ssh: &Ssh) {
    if let Some(user) = ssh.user.as_deref().filter(|user| !is_user(user)) {
        let hint = if user.contains('@') {
            "write the user only; the host goes into `address`"
        } else {
            "letters, digits, `.`, `_`, `-`; no leading dash"
        };
        review.fault(path.join("user"), format!("{} is not a login name", quoted(user)), hint);
    }
    for (field, files) in [("identityFiles", &ssh.identity_files), ("knownHosts", &ssh.known_hosts)] {
        for (i, _) in files.iter().enumerate().filter(|(_, file)| file.is_empty()) {
            review.fault(path.join(field).join(i), "a file's name is empty", "write a path, `~` allowed");
        }
    }
    for (i, jump) in ssh.jump.iter().enumerate() {
        check_jump(review, path.join("jump").join(i), jump, ssh.jump.len());
    }
}

fn check_jump(review: &mut Review, path: Path, jump: &str, count: usize) {
    if jump == NO_JUMP {
        if count > 1 {
            review.fault(path, "`none` stands beside other jump hosts", "write `[none]` alone to reach the host directly");
        }
        return;
    }
    let (user, host) = jump.rsplit_once('@').map_or((None, jump), |(user, host)| (Some(user), host));
    if user.is_some_and(|user| !is_user(user)) || !is_authority(host) {
        let hint = if jump.contains(',') {
            "write each jump host as an item of the list"
        } else {
            "write `[user@]host[:port]`, IPv6 addresses in brackets"
        };
        review.fault(path, format!("{} is not a jump host", quoted(jump)), hint);
    }
}
