//! Plans over facts: goldens of what is shown, and the laws that every plan must obey. No host is needed.

mod plans {
    pub mod adopted;
    pub mod balancers;
    pub mod engine;
    pub mod goldens;
    pub mod laws;
    pub mod nodes;
    pub mod world;
}
