//! Tests of plans, which are made from an inventory and facts without any host: golden texts of the plans, and laws that every plan must obey.

mod adopted;
mod balancers;
mod encryption;
mod engine;
mod etcd;
mod files;
mod foundings;
mod goldens;
mod identities;
mod joins;
mod laws;
mod leaving;
mod limits;
mod nodes;
mod paused;
mod refusals;
mod registries;
mod removals;
mod renew;
mod renewals;
mod repairs;
mod restores;
mod slow_hosts;
mod world;
