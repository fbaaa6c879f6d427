//! The client certificates of kubelets: which certificates are usable, and how the unusable ones are replaced.
//!
//! A worker whose kubelet has no client certificate joins with a bootstrap token. A certificate that has expired, or that another CA has signed,
//! is removed first, because a kubelet requests a new certificate only if it finds none that it can use. clusterctl itself creates the client
//! certificate of the kubelet on a control-plane host.

use jiff::Timestamp;

use super::master::pki_files;
use super::{HostSteps, Parts, host_steps};
use crate::facts::HostFacts;
use crate::inventory::{HostEntry, Inventory, Role};
use crate::layout;
use crate::pki::{Reason, client_fault};
use crate::step::token::YET_TO_GET;
use crate::step::{Absent, File, Step};

/// Flags of the API server and the controller manager with which another CA than the cluster's can sign kubelets' client certificates. If one
/// of them is set, the signer is not checked.
const OTHER_AUTHORITY: [&str; 3] = ["client-ca-file", "cluster-signing-cert-file", "cluster-signing-kubelet-client-cert-file"];

/// Why the client certificate of a worker's kubelet is not usable, by the host's own clock. `None` if the certificate is usable, or if there is
/// none.
pub fn fault(inv: &Inventory, f: &HostFacts, ca_pem: &str) -> Option<Reason> {
    let certificate = f.resolved(layout::KUBELET_CLIENT_CURRENT).filter(|c| *c != YET_TO_GET.as_bytes())?;
    let plane = &inv.control_plane;
    let mut args = plane.api_server.extra_args.keys().chain(plane.controller_manager.extra_args.keys());
    let ours = !args.any(|arg| OTHER_AUTHORITY.contains(&arg.as_str()));
    let now = Timestamp::from_second(f.clock as i64).ok()?;
    client_fault(certificate, ours.then_some(ca_pem.as_bytes()), now)
}

impl Parts<'_> {
    fn identity_fault(&self, h: &HostEntry) -> Option<Reason> {
        fault(self.i.inv, self.i.facts.host(&h.name), self.i.ca_pem)
    }

    /// Whether a worker's kubelet has a usable client certificate. `false` also if it has none.
    pub(super) fn has_identity(&self, h: &HostEntry) -> bool {
        self.i.facts.host(&h.name).resolved(layout::KUBELET_CLIENT_CURRENT).is_some() && self.identity_fault(h).is_none()
    }

    /// Whether the kubelet of a host keeps its present client certificate.
    pub(super) fn keeps_identity(&self, h: &HostEntry) -> bool {
        if !h.has(Role::ControlPlane) {
            return self.has_identity(h);
        }
        let files = self.i.pki.get(&h.name).map(|files| pki_files(files)).unwrap_or_default();
        let own = |f: &File| [layout::KUBELET_CLIENT_INITIAL, layout::KUBELET_CLIENT_CURRENT].contains(&f.path.as_str());
        let own: Vec<File> = files.into_iter().filter(own).collect();
        Step::from(own).pending(&h.name, self.i.facts).is_none()
    }

    /// The steps that remove unusable client certificates from the workers whose kubelets may change in this stage.
    pub(super) fn dead_identities(&self) -> Vec<HostSteps<Step>> {
        let workers = self.i.inv.nodes().filter(|h| !h.has(Role::ControlPlane) && !self.is_held(h));
        let dead = workers.filter_map(|h| Some((h, self.identity_fault(h)?)));
        dead.map(|(h, reason)| {
            let why = format!("the kubelet's client certificate: {reason}; the kubelet gets another one with a bootstrap token\n");
            host_steps(h, vec![Absent { paths: vec![layout::KUBELET_CLIENT_CURRENT.into()], locked: false, why }.into()])
        })
        .collect()
    }
}
