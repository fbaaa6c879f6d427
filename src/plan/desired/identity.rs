//! The client certificates of kubelets: which of them stay, and how the unusable ones are replaced.
//!
//! A worker whose kubelet has no client certificate joins with a bootstrap token. A certificate that has expired, or that another CA has signed,
//! is removed first, because a kubelet requests a new certificate only if it finds none that it can use. clusterctl itself creates the client
//! certificate of the kubelet on a control-plane host.

use super::master::pki_files;
use super::{Phases, host_steps, phase};
use crate::inventory::{HostEntry, Role};
use crate::layout;
use crate::plan::{Phase, Width, identity};
use crate::step::{Absent, File, Step};

impl Phases<'_> {
    /// The phase that removes unusable client certificates from the workers whose kubelets may change in this stage. It comes before the objects
    /// of the cluster, because each of these workers then counts as a host that joins, for which the bootstrap token is created.
    pub(super) fn dead_kubelet_certificates(&self) -> Phase<Step> {
        let workers = self.workers().filter(|h| !self.situation.host(h).is_held);
        let faults = workers.filter_map(|h| Some((h, identity::fault(self.i.inv, self.i.facts.host(&h.name), self.i.ca_pem)?)));
        let remove = |(h, reason)| {
            let why = format!("the kubelet's client certificate: {reason}; the kubelet gets another one with a bootstrap token\n");
            host_steps(h, vec![Absent { paths: vec![layout::KUBELET_CLIENT_CURRENT.into()], locked: false, why }.into()])
        };
        phase("dead kubelet certificates", Width::All, faults.map(remove).collect())
    }

    /// Whether the kubelet of a host keeps its present client certificate.
    pub(super) fn keeps_identity(&self, h: &HostEntry) -> bool {
        if !h.has(Role::ControlPlane) {
            return identity::is_usable(self.i.inv, self.i.facts.host(&h.name), self.i.ca_pem);
        }
        let files = self.i.pki.get(&h.name).map(|files| pki_files(files)).unwrap_or_default();
        let own = |f: &File| [layout::KUBELET_CLIENT_INITIAL, layout::KUBELET_CLIENT_CURRENT].contains(&f.path.as_str());
        let own: Vec<File> = files.into_iter().filter(own).collect();
        Step::from(own).pending(&h.name, self.i.facts).is_none()
    }
}
