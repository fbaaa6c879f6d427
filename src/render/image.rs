//! Image references.

use super::Ctx;

/// The component that an image is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    ApiServer,
    ControllerManager,
    Scheduler,
    Proxy,
    Etcd,
    CoreDns,
    Pause,
}

/// The image reference of a component.
pub fn image(ctx: &Ctx<'_>, component: Component) -> String {
    let repository = ctx.image_repository;
    let images = &ctx.v.images;
    // A tag cannot contain `+`. Images of versions with `+` have `_` in its place.
    let version = ctx.inv.cluster.version.to_string().replace('+', "_");
    match component {
        Component::ApiServer => format!("{repository}/kube-apiserver:{version}"),
        Component::ControllerManager => format!("{repository}/kube-controller-manager:{version}"),
        Component::Scheduler => format!("{repository}/kube-scheduler:{version}"),
        Component::Proxy => format!("{repository}/kube-proxy:{version}"),
        Component::Etcd => format!("{repository}/etcd:{}", ctx.inv.etcd.image_tag.as_deref().unwrap_or(images.etcd)),
        Component::CoreDns => {
            // In the Kubernetes project's registry, the path of the CoreDNS image depends on the version of Kubernetes. In mirrors, kubeadm expects
            // the image next to the others, at `coredns`.
            let path = if repository == images.repository { images.core_dns_path } else { "coredns" };
            format!("{repository}/{path}:{}", ctx.inv.addons.core_dns.image_tag.as_deref().unwrap_or(images.core_dns))
        }
        Component::Pause => format!("{repository}/pause:{}", images.pause),
    }
}
