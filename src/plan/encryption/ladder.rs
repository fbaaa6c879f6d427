//! The law of the order in which API servers get another configuration for the encryption of a resource.
//!
//! The law: at every moment, each API server can read what any other one writes, and everything that is stored. So a provider is first read by all
//! API servers, then written by all; then what is stored is rewritten, and only then the other providers go. The next move depends only on what the
//! API servers have now, so a run that was interrupted anywhere goes on from there.

use std::collections::BTreeSet;

use super::config::Provider;

/// The next configuration of every API server for a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Every API server may get this list, one after another, in any order.
    pub list: Vec<Provider>,
    /// What follows once every API server has `list`.
    pub then: Then,
}

/// What follows a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Another move, or nothing if the list is the last one.
    Move,
    /// Everything that is stored is rewritten.
    Rewrite,
    /// It is unknown how values are stored, so nothing can be said.
    Unknown,
}

/// The next move towards a cluster that writes with `goal`. `lists` are all lists that an API server of the cluster has now or may have when it
/// starts again; they obey the law. `rewritten`: whether everything is stored as `goal` writes it; `None` if that is unknown.
pub fn next(lists: &[Vec<Provider>], goal: &Provider, rewritten: Option<bool>) -> Move {
    let last = last(goal);
    let writers: BTreeSet<&Provider> = lists.iter().filter_map(|list| list.first()).collect();
    let all: BTreeSet<&Provider> = lists.iter().flatten().chain([goal]).collect();
    let (list, then) = match writers.iter().max() {
        None => (last, Then::Move),
        // All API servers read what any of them writes, so each of them may go on writing with the newest of these.
        Some(newest) if !lists.iter().all(|list| list.contains(goal)) => (ordered(newest, &all), Then::Move),
        Some(_) if writers.iter().any(|w| *w != goal) => (ordered(goal, &all), Then::Move),
        Some(_) => match rewritten {
            Some(true) => (last, Then::Move),
            Some(false) => (ordered(goal, &all), Then::Rewrite),
            None if lists.iter().all(|list| *list == last) => (last, Then::Move),
            None => (ordered(goal, &all), Then::Unknown),
        },
    };
    Move { list, then }
}

/// The list at the end: the goal writes, and values in clear are read.
fn last(goal: &Provider) -> Vec<Provider> {
    if *goal == Provider::Identity { vec![Provider::Identity] } else { vec![goal.clone(), Provider::Identity] }
}

/// A list that writes with `first` and reads with all. Keys of one kind stand side by side, because API servers of old versions try only the first
/// provider of a kind.
fn ordered(first: &Provider, all: &BTreeSet<&Provider>) -> Vec<Provider> {
    let mut rest: Vec<&Provider> = all.iter().copied().filter(|p| *p != first).collect();
    rest.push(&Provider::Identity);
    rest.sort_by_key(|p| (**p == Provider::Identity, p.kind() != first.kind(), p.kind(), std::cmp::Reverse((*p).clone())));
    rest.dedup();
    rest.retain(|p| *p != first);
    [first].into_iter().chain(rest).cloned().collect()
}

/// The places in `lists` of two lists that break the law: the second one cannot read what the first one writes.
pub fn broken(lists: &[Vec<Provider>]) -> Option<(usize, usize)> {
    let reads = |list: &Vec<Provider>, writer: &Vec<Provider>| writer.first().is_none_or(|w| list.contains(w));
    (0..lists.len()).flat_map(|a| (0..lists.len()).map(move |b| (a, b))).find(|(a, b)| !reads(&lists[*b], &lists[*a]))
}

#[cfg(test)]
mod tests {
    use super::super::config::KeyId;
    use super::*;
    use crate::host::Secret;
    use crate::inventory::EncryptionProvider;

    fn key(number: u32, provider: EncryptionProvider) -> Provider {
        Provider::Key(KeyId::of(number, provider, &Secret::from(vec![u8::try_from(number).expect("it is small"); 32])))
    }

    fn secretbox(number: u32) -> Provider {
        key(number, EncryptionProvider::Secretbox)
    }

    /// All moves of three API servers from `start` to the goal, in short: the numbers of the keys, 0 for identity, and `R` for a rewrite.
    fn way(start: &[Provider], goal: &Provider, mut rewritten: bool) -> Vec<String> {
        let mut list = start.to_vec();
        let mut out = Vec::new();
        for _ in 0..10 {
            let next = next(&vec![list.clone(); 3], goal, Some(rewritten));
            if next.list != list {
                list = next.list;
                out.push(list.iter().map(number).collect::<String>());
            } else if next.then == Then::Rewrite {
                rewritten = true;
                out.push("R".into());
            } else {
                return out;
            }
        }
        panic!("the way does not end: {out:?}");
    }

    fn number(provider: &Provider) -> String {
        if let Provider::Key(key) = provider { key.number.to_string() } else { "0".into() }
    }

    #[test]
    fn the_ways_between_lasting_configurations() {
        let (one, two, aes) = (secretbox(1), secretbox(2), key(2, EncryptionProvider::Aescbc));
        let of = |list: &[&Provider]| list.iter().map(|p| (*p).clone()).collect::<Vec<_>>();
        let none = &Provider::Identity;
        assert_eq!(way(&of(&[none]), &one, false), ["01", "10", "R"], "switched on");
        assert_eq!(way(&of(&[&one, none]), &one, true), [""; 0], "as it should be");
        assert_eq!(way(&of(&[&one, none]), &one, false), ["R"], "values in clear remain");
        assert_eq!(way(&of(&[&one, none]), &two, false), ["120", "210", "R", "20"], "another key");
        assert_eq!(way(&of(&[&one, none]), &aes, false), ["120", "210", "R", "20"], "another provider");
        assert_eq!(way(&of(&[&one, none]), none, false), ["01", "R", "0"], "led back");
    }

    #[test]
    fn a_new_cluster_encrypts_from_the_first_write() {
        let next = next(&[], &secretbox(1), None);
        assert_eq!(next, Move { list: vec![secretbox(1), Provider::Identity], then: Then::Move });
    }

    #[test]
    fn keys_of_one_kind_stand_side_by_side() {
        let (aes, old) = (key(2, EncryptionProvider::Aescbc), secretbox(1));
        let (new, newest) = (secretbox(3), key(4, EncryptionProvider::Aescbc));
        let all = [&old, &aes, &Provider::Identity, &new, &newest].into_iter().collect();
        for first in [&old, &aes, &Provider::Identity] {
            let list = ordered(first, &all);
            let kinds: Vec<_> = list.chunk_by(|a, b| a.kind() == b.kind()).map(|c| c[0].kind()).collect();
            assert_eq!((kinds.len(), list.len()), (3, 5), "{list:?}");
        }
    }

    #[test]
    fn nothing_is_forgotten_while_it_is_unknown_how_values_are_stored() {
        let list = vec![secretbox(2), secretbox(1), Provider::Identity];
        assert_eq!(next(&[list.clone(), list.clone()], &secretbox(2), None), Move { list, then: Then::Unknown });
    }

    #[test]
    fn lists_that_break_the_law_are_found() {
        let (one, two) = (vec![secretbox(1), Provider::Identity], vec![secretbox(2), Provider::Identity]);
        assert_eq!(broken(&[one.clone(), two]), Some((0, 1)));
        assert_eq!(broken(&[one.clone(), vec![Provider::Identity, secretbox(1)]]), None);
        assert_eq!(broken(&[one, vec![Provider::Identity]]), Some((0, 1)));
    }

    /// A cluster of three API servers. Each is between two lists while it is replaced, and what it writes is stored.
    struct Cluster {
        servers: Vec<Vec<Provider>>,
        stored: BTreeSet<Provider>,
    }

    impl Cluster {
        fn lists(&self) -> Vec<Vec<Provider>> {
            self.servers.clone()
        }

        /// Every API server writes; then each reads all that is stored.
        fn obeys(&mut self) {
            self.stored.extend(self.servers.iter().map(|list| list[0].clone()));
            for list in &self.servers {
                assert!(self.stored.iter().all(|p| list.contains(p)), "{list:?} cannot read all of {:?}", self.stored);
            }
            assert_eq!(broken(&self.servers), None);
        }
    }

    /// Changes one API server after another, as chosen by `choices`, with a kill before any change and with goals that change at any moment.
    fn runs(choices: &[(u8, u8)]) {
        let goals = [secretbox(1), secretbox(2), key(3, EncryptionProvider::Aescbc), Provider::Identity];
        let mut cluster = Cluster { servers: vec![vec![Provider::Identity]; 3], stored: BTreeSet::from([Provider::Identity]) };
        let mut goal = &goals[0];
        for (server, other_goal) in choices {
            goal = if other_goal % 8 == 0 { &goals[usize::from(other_goal / 8) % goals.len()] } else { goal };
            let rewritten = cluster.stored.iter().all(|p| p == goal);
            let next = next(&cluster.lists(), goal, Some(rewritten));
            if cluster.servers.iter().all(|list| *list == next.list) {
                // A rewrite may be killed, too: then some values are stored in the old way.
                if next.then == Then::Rewrite && server % 4 != 3 {
                    cluster.stored = BTreeSet::from([goal.clone()]);
                }
            } else {
                cluster.servers[usize::from(server % 3)] = next.list;
            }
            cluster.obeys();
        }
        // Without further kills, the goal is reached.
        for _ in 0..8 {
            let rewritten = cluster.stored.iter().all(|p| p == goal);
            let next = next(&cluster.lists(), goal, Some(rewritten));
            for server in 0..3 {
                cluster.servers[server] = next.list.clone();
                cluster.obeys();
            }
            if next.then == Then::Rewrite {
                cluster.stored = BTreeSet::from([goal.clone()]);
            }
        }
        assert!(cluster.servers.iter().all(|list| *list == last(goal)), "{:?} do not reach {goal:?}", cluster.servers);
    }

    proptest::proptest! {
        #[test]
        fn every_api_server_reads_everything_at_every_moment(choices in proptest::collection::vec(proptest::prelude::any::<(u8, u8)>(), 0..80)) {
            runs(&choices);
        }
    }
}
