//! Plans that are made from facts: golden texts of what is shown, and the laws that every plan must obey. No host is needed.

mod adopted;
mod balancers;
mod engine;
mod goldens;
mod identities;
mod laws;
mod leaving;
mod limits;
mod nodes;
mod refusals;
mod renewals;
mod repairs;
mod slow_hosts;
mod world;
