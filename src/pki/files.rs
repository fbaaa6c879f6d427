//! The PKI files and kubeconfigs of a host. An existing file is kept if it has the wanted content; otherwise it is made again.

use std::net::IpAddr;

use jiff::Timestamp;

use super::authority::{Authorities, Authority, holds_public};
use super::cert::{self, Cert, Spec};
use super::fault::{PkiFault, Reason};
use super::key::Key;
use super::kubeconfig::{Credential, Current, kubeconfig};
use super::renew::{self, Renewal};
use super::table::{self, Ca, Conf, Server};
use super::{Cluster, FileOut, Observed, Opts};
use crate::host::Secret;
use crate::layout;

/// A host for which the PKI files are requested.
#[derive(Clone, Copy)]
pub struct HostRequest<'a> {
    /// Name of the host and of its node.
    pub name: &'a str,
    /// Address of the host inside the cluster.
    pub address: IpAddr,
    pub wants: Wants,
    pub observed: &'a Observed,
}

/// Which files a host gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// ca.crt, which is the only file that a kubelet needs before it joins with a token.
    pub worker: bool,
    /// The authorities, the service-account key, the files of the API server, the controller manager and the scheduler, admin.conf, and the kubelet's
    /// first certificate.
    pub control_plane: bool,
    /// etcd's CA with its key, and etcd's server, peer and health-check certificates.
    pub etcd_member: bool,
    /// The kubelet's client certificate alone, for a worker whose certificate is to be replaced.
    pub kubelet: bool,
    /// super-admin.conf, which kubeadm leaves on the first control-plane host only. If this is false, an existing file is not changed.
    pub super_admin: bool,
}

/// Every PKI file and kubeconfig of one host, keys before their certificates.
pub fn host_files(
    auth: &Authorities,
    cluster: Cluster<'_>,
    host: &HostRequest<'_>,
    opts: &Opts<'_>,
    now: Timestamp,
) -> Result<Vec<FileOut>, Vec<PkiFault>> {
    fleet_files(auth, cluster, std::slice::from_ref(host), opts, now).map(|mut all| all.pop().unwrap_or_default())
}

/// The files of many hosts, as by [`host_files`], in the order of the requests. All keys are made in parallel.
pub fn fleet_files(
    auth: &Authorities,
    cluster: Cluster<'_>,
    hosts: &[HostRequest<'_>],
    opts: &Opts<'_>,
    now: Timestamp,
) -> Result<Vec<Vec<FileOut>>, Vec<PkiFault>> {
    let desks: Vec<Desk<'_>> = hosts.iter().map(|host| Desk { auth, cluster, host, opts, now }).collect();
    let slots: Vec<Vec<Slot>> = desks.iter().map(Desk::slots).collect();
    opts.keys.ahead(slots.iter().flatten().filter(|slot| matches!(slot, Slot::Mint(_))).count());
    let mut faults = Vec::new();
    let mut out = Vec::new();
    for (desk, slots) in desks.iter().zip(slots) {
        let mut files = Vec::new();
        for slot in slots {
            match slot {
                Slot::Ready(ready) => files.extend(ready),
                Slot::Mint(job) => desk.mint(job).map_or_else(|fault| faults.push(fault), |made| files.extend(made)),
            }
        }
        out.push(files);
    }
    if faults.is_empty() { Ok(out) } else { Err(faults) }
}

enum Slot {
    Ready(Vec<FileOut>),
    Mint(Job),
}

/// A certificate to be made, and the files that it is written to.
struct Job {
    spec: Spec,
    ca: Ca,
    form: Form,
    reason: Reason,
}

enum Form {
    /// Certificate and key are two files in the PKI folder.
    Pair { crt: String, key: String },
    /// Certificate and key are in one PEM file.
    Pem { path: &'static str },
    /// Certificate and key are in a kubeconfig.
    Conf(Conf),
}

impl Form {
    fn path(&self) -> &str {
        match self {
            Form::Pair { crt, .. } => crt,
            Form::Pem { path } => path,
            Form::Conf(conf) => conf.path,
        }
    }
}

/// The input from which the files of one host are made.
struct Desk<'a> {
    auth: &'a Authorities,
    cluster: Cluster<'a>,
    host: &'a HostRequest<'a>,
    opts: &'a Opts<'a>,
    now: Timestamp,
}

impl Desk<'_> {
    fn slots(&self) -> Vec<Slot> {
        let (wants, renew) = (self.host.wants, self.opts.renew);
        let concerned = |name: &str| renew.is_none_or(|r| r.concerns(name));
        let mut out = Vec::new();
        if renew.is_none() {
            out.push(Slot::Ready(self.shared_files()));
        }
        for row in table::ROWS.iter().filter(|row| row.wanted(wants) && self.auth.get(row.ca).is_some() && concerned(&row.name())) {
            out.push(self.pair(row.base, row.ca, row.spec(self.cluster, self.host.name, self.host.address)));
        }
        if wants.control_plane {
            let confs = table::confs(self.cluster, wants).into_iter().filter(|conf| concerned(layout::basename(conf.path)));
            out.extend(confs.map(|conf| self.conf(conf)));
        }
        if wants.control_plane && concerned(renew::KUBELET) {
            out.extend(self.kubelet());
        }
        if wants.kubelet {
            out.push(self.kubelet_certificate(Reason::Asked));
        }
        out
    }

    /// The kubelet's first client certificate, made anew.
    fn kubelet_certificate(&self, reason: Reason) -> Slot {
        let (spec, form) = (table::kubelet(self.host.name), Form::Pem { path: layout::KUBELET_CLIENT_INITIAL });
        Slot::Mint(Job { spec, ca: Ca::Kubernetes, form, reason })
    }

    /// The files that do not belong to one host only: the authorities, the service-account key, and the client certificate for an external etcd.
    fn shared_files(&self) -> Vec<FileOut> {
        let wants = self.host.wants;
        let master = wants.control_plane;
        let mut out = Vec::new();
        for (ca, wanted) in [(Ca::Kubernetes, master || wants.worker), (Ca::FrontProxy, master), (Ca::Etcd, master || wants.etcd_member)] {
            if let (true, Some(authority)) = (wanted, self.auth.get(ca)) {
                // Only hosts with an etcd member get the key of etcd's CA. A control plane without a member is only a client of etcd.
                let with_key = if ca == Ca::Etcd { wants.etcd_member } else { master };
                out.extend(self.authority(ca, authority, with_key));
            }
        }
        if master {
            let accounts = &self.auth.service_accounts;
            out.push(self.key_file("sa.key", &accounts.key));
            let fits = |file: &Secret| holds_public(file, &accounts.key);
            out.push(self.either(pki("sa.pub"), 0o600, false, &accounts.public_pem, fits));
        }
        if let (true, Some(external)) = (master, &self.opts.external_etcd) {
            let same = |wanted: &Secret| {
                let wanted = wanted.clone();
                move |file: &Secret| *file == wanted
            };
            out.push(self.either(pki("apiserver-etcd-client.key"), 0o600, true, &external.key, same(&external.key)));
            out.push(self.either(pki("apiserver-etcd-client.crt"), 0o644, false, &external.cert, same(&external.cert)));
            out.push(self.either(pki("etcd/ca.crt"), 0o644, false, &external.ca, same(&external.ca)));
        }
        out
    }

    fn authority(&self, ca: Ca, authority: &Authority, with_key: bool) -> Vec<FileOut> {
        let mut out = Vec::new();
        if let (true, Some(key)) = (with_key, &authority.key) {
            out.push(self.key_file(&format!("{}.key", ca.base()), key));
        }
        let holds = |file: &Secret| Cert::read_all(file.expose()).is_ok_and(|certs| certs.iter().any(|c| c.same(&authority.cert)));
        out.push(self.either(pki(&format!("{}.crt", ca.base())), 0o644, false, &authority.pem, holds));
        out
    }

    fn key_file(&self, file: &str, key: &Key) -> FileOut {
        let holds = |bytes: &Secret| Key::read(bytes).is_ok_and(|other| key.has_public(other.public_bits()));
        self.either(pki(file), 0o600, true, &key.pem, holds)
    }

    /// Keeps the file that is on the host if `fits` accepts it. Otherwise the file gets `content`.
    fn either(&self, path: String, mode: u32, secret: bool, content: &Secret, fits: impl Fn(&Secret) -> bool) -> FileOut {
        match self.host.observed.get(&path) {
            Some(there) if fits(there) => FileOut { path, mode, content: there.clone(), secret, fresh: None },
            there => {
                let reason = if there.is_some() { Reason::OtherContent } else { Reason::Missing };
                FileOut { path, mode, content: content.clone(), secret, fresh: Some(reason) }
            }
        }
    }

    fn pair(&self, base: &str, ca: Ca, spec: Spec) -> Slot {
        let [crt, key] = [".crt", ".key"].map(|suffix| pki(&format!("{base}{suffix}")));
        let [there_crt, there_key] = [&crt, &key].map(|path| self.host.observed.get(path));
        match self.judge(there_crt, there_key, &spec, ca, self.renewal()) {
            Ok(()) => Slot::Ready(pair_files(&crt, &key, there_crt, there_key)),
            Err(reason) => Slot::Mint(Job { spec, ca, form: Form::Pair { crt, key }, reason }),
        }
    }

    fn conf(&self, conf: Conf) -> Slot {
        let spec = table::client(conf.user, conf.group);
        let there = self.host.observed.get(conf.path);
        match self.judge_conf(&conf, &spec, there) {
            Ok(kept) => Slot::Ready(vec![whole(conf.path, kept, None)]),
            Err(reason) => Slot::Mint(Job { spec, ca: Ca::Kubernetes, form: Form::Conf(conf), reason }),
        }
    }

    fn judge_conf(&self, conf: &Conf, spec: &Spec, there: Option<&Secret>) -> Result<Secret, Reason> {
        let file = there.ok_or(Reason::Missing)?;
        let current = Current::read(file)?;
        let cluster = &self.cluster.inv.cluster.name;
        let context = format!("{}@{cluster}", conf.user);
        let server = self.server(conf.server);
        for (what, found, wanted) in [
            ("server", &current.server, &server),
            ("context", &current.context, &context),
            ("cluster", &current.cluster, cluster),
            ("user", &current.user, &conf.user.to_owned()),
        ] {
            if found != wanted {
                return Err(Reason::OtherKubeconfig { what, found: found.clone(), wanted: wanted.clone() });
            }
        }
        self.judge_trust(&current)?;
        self.judge(current.cert.as_ref(), current.key.as_ref(), spec, Ca::Kubernetes, self.renewal())?;
        Ok(file.clone())
    }

    fn judge_trust(&self, current: &Current) -> Result<(), Reason> {
        let trusted = current.trust.iter().any(|cert| cert.same(&self.auth.kubernetes.cert));
        if trusted { Ok(()) } else { Err(Reason::OtherTrust) }
    }

    /// The kubelet's first certificate, unless the kubelet has a valid one, and kubelet.conf. A running kubelet renews its certificate by itself
    /// when 10 to 30 % of the lifetime are left. Only a certificate that was not renewed is replaced.
    fn kubelet(&self) -> Vec<Slot> {
        let spec = table::kubelet(self.host.name);
        let good = |path: &str| {
            let pem = self.host.observed.get(path);
            self.judge(pem, pem, &spec, Ca::Kubernetes, Renewal::of_kubelet(self.opts.renew)).map(|()| pem)
        };
        let path = layout::KUBELET_CLIENT_INITIAL;
        let mut out = Vec::new();
        if good(layout::KUBELET_CLIENT_CURRENT).is_err() {
            out.push(match good(path) {
                Ok(kept) => Slot::Ready(kept.map(|pem| whole(path, pem.clone(), None)).into_iter().collect()),
                Err(reason) => self.kubelet_certificate(reason),
            });
        }
        out.push(Slot::Ready(vec![self.kubelet_conf(&spec)]));
        out
    }

    /// kubelet.conf. The names in an existing file are not compared, because a kubelet that joins with a token chooses its own. For versions whose
    /// kubeadm writes the cluster's endpoint into the file, the local API server is accepted as well, because some control planes of kubeadm use it.
    fn kubelet_conf(&self, spec: &Spec) -> FileOut {
        let path = layout::KUBELET_CONF;
        let pem = layout::KUBELET_CLIENT_CURRENT;
        let local = self.server(Server::Local);
        let servers = if self.cluster.v.kubelet.local_server { vec![local] } else { vec![self.server(Server::Endpoint), local] };
        let judged = self.host.observed.get(path).ok_or(Reason::Missing).and_then(|file| {
            let current = Current::read(file)?;
            let other = |what, found: &str, wanted: &str| Err(Reason::OtherKubeconfig { what, found: found.into(), wanted: wanted.into() });
            if !servers.contains(&current.server) {
                return other("server", &current.server, &servers[0]);
            }
            if current.file.as_deref() != Some(pem) {
                return other("client certificate", current.file.as_deref().unwrap_or("inside"), pem);
            }
            self.judge_trust(&current).map(|()| file.clone())
        });
        match judged {
            Ok(kept) => whole(path, kept, None),
            Err(reason) => {
                let name = &self.cluster.inv.cluster.name;
                let text = kubeconfig(name, &spec.cn, &servers[0], &self.auth.ca_pem(), &Credential::File(pem));
                whole(path, text, Some(reason))
            }
        }
    }

    fn server(&self, server: Server) -> String {
        match server {
            Server::Endpoint => format!("https://{}", self.cluster.endpoint),
            Server::Local => format!("https://{}", layout::join_host_port(self.host.address, layout::API_SERVER_PORT)),
        }
    }

    fn renewal(&self) -> Renewal {
        Renewal::of(self.opts.pki, self.opts.renew)
    }

    /// Checks that a certificate matches its key, is signed by the authority, matches the specification, and is not due for renewal.
    fn judge(&self, crt: Option<&Secret>, key: Option<&Secret>, spec: &Spec, ca: Ca, renewal: Renewal) -> Result<(), Reason> {
        let (Some(crt), Some(key)) = (crt, key) else { return Err(Reason::Missing) };
        let certs = Cert::read_all(crt.expose()).map_err(Reason::Unreadable)?;
        let key = Key::read(key).map_err(Reason::Unreadable)?;
        let Some(leaf) = certs.first() else { return Err(Reason::Missing) };
        if !key.has_public(&leaf.public) {
            return Err(Reason::KeyMismatch);
        }
        if !self.auth.get(ca).is_some_and(|authority| chains(&certs, &authority.cert)) {
            return Err(Reason::OtherAuthority);
        }
        leaf.differs(spec).or_else(|| renewal.due(leaf, self.now)).map_or(Ok(()), Err)
    }

    fn mint(&self, job: Job) -> Result<Vec<FileOut>, PkiFault> {
        let path = job.form.path().to_owned();
        let authority = self.auth.get(job.ca);
        let Some((authority, ca_key)) = authority.and_then(|a| Some((a, a.key.as_ref()?))) else {
            return Err(PkiFault::ExternalAuthority { host: self.host.name.into(), path, reason: job.reason });
        };
        // A certificate must not be valid longer than its authority: it would look valid and be refused.
        let until = (self.now.as_second() + self.opts.pki.certificate_validity.as_secs() as i64).min(authority.cert.not_after.as_second());
        let made = self.opts.keys.take().and_then(|key| {
            let cert = cert::mint(&job.spec, &key, (&authority.cert, ca_key), self.now, until)?;
            Ok((cert.pem(), key.pem))
        });
        let (cert, key) = made.map_err(|cause| PkiFault::Mint { path, cause })?;
        let fresh = Some(job.reason);
        Ok(match job.form {
            Form::Pair { crt, key: key_path } => {
                let mut files = pair_files(&crt, &key_path, Some(&cert.into()), Some(&key));
                files.iter_mut().for_each(|file| file.fresh.clone_from(&fresh));
                files
            }
            Form::Pem { path } => vec![whole(path, [cert.as_bytes(), key.expose()].concat().into(), fresh)],
            Form::Conf(conf) => {
                let credential = Credential::Inline { cert_pem: &cert, key_pem: &key };
                let name = &self.cluster.inv.cluster.name;
                let text = kubeconfig(name, conf.user, &self.server(conf.server), &self.auth.ca_pem(), &credential);
                vec![whole(conf.path, text, fresh)]
            }
        })
    }
}

/// Whether the authority signed the first certificate, either directly or through the certificates that follow in the file.
pub(super) fn chains(certs: &[Cert], authority: &Cert) -> bool {
    let Some((leaf, rest)) = certs.split_first() else { return false };
    leaf.signed_by(authority) || rest.first().is_some_and(|next| next.is_ca && leaf.signed_by(next) && chains(rest, authority))
}

fn pair_files(crt: &str, key: &str, crt_content: Option<&Secret>, key_content: Option<&Secret>) -> Vec<FileOut> {
    let file =
        |path: &str, mode, secret, content: &Secret| FileOut { path: path.into(), mode, content: content.clone(), secret, fresh: None };
    let key = key_content.map(|content| file(key, 0o600, true, content));
    let crt = crt_content.map(|content| file(crt, 0o644, false, content));
    key.into_iter().chain(crt).collect()
}

/// A file that contains a private key, so that only root may read it and its content is never shown.
fn whole(path: &str, content: Secret, fresh: Option<Reason>) -> FileOut {
    FileOut { path: path.into(), mode: 0o600, content, secret: true, fresh }
}

fn pki(file: &str) -> String {
    format!("{}/{file}", layout::PKI_DIR)
}
