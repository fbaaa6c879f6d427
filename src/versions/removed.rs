//! Flags, admission plugins and feature gates that the programs of Kubernetes refuse since a minor version, because that version (from v1.21 to
//! v1.37) removed them, and API versions that `runtime-config` must not name.
//!
//! Source: the reference pages of the components and of feature gates, the release notes, and the programs' source, minor by minor. A flag that
//! the help of a program does not show but that the program still accepts is not listed. For 1.37 the removals in its release notes are listed,
//! and not those that the source of 1.36 announces.

/// Flags without leading dashes, by program and by the first minor version without them.
#[rustfmt::skip]
const FLAGS: &[(&str, u64, &str)] = &[
    ("kube-apiserver", 22, "kubelet-https ssh-keyfile ssh-user"),
    ("kube-apiserver", 24, "address deserialization-cache-size enable-swagger-ui experimental-encryption-provider-config \
        experimental-logging-sanitization insecure-bind-address insecure-port port target-ram-mb"),
    ("kube-apiserver", 25, "service-account-api-audiences"),
    ("kube-apiserver", 26, "identity-lease-duration-seconds identity-lease-renew-interval-seconds"),
    ("kube-apiserver", 27, "master-service-namespace"),
    ("kube-apiserver", 31, "cloud-provider-gce-l7lb-src-cidrs cloud-provider-gce-lb-src-cidrs"),
    ("kube-apiserver", 33, "cloud-config cloud-provider"),
    ("kube-controller-manager", 22, "horizontal-pod-autoscaler-use-rest-clients"),
    ("kube-controller-manager", 24, "address deployment-controller-sync-period experimental-logging-sanitization port"),
    ("kube-controller-manager", 25, "deleting-pods-burst deleting-pods-qps experimental-cluster-signing-duration register-retry-count"),
    ("kube-controller-manager", 27, "enable-taint-manager pod-eviction-timeout"),
    ("kube-controller-manager", 31, "cloud-provider-gce-lb-src-cidrs horizontal-pod-autoscaler-downscale-delay horizontal-pod-autoscaler-upscale-delay \
        volume-host-allow-local-loopback volume-host-cidr-denylist"),
    ("kube-controller-manager", 37, "concurrent-service-syncs"),
    ("kube-scheduler", 22, "algorithm-provider hard-pod-affinity-symmetric-weight scheduler-name"),
    ("kube-scheduler", 23, "policy-config-file policy-configmap policy-configmap-namespace use-legacy-policy-config"),
    ("kube-scheduler", 24, "address experimental-logging-sanitization port"),
    ("kube-scheduler", 28, "lock-object-name lock-object-namespace"),
    ("kubelet", 21, "enable-cadvisor-json-endpoints"),
    ("kubelet", 22, "chaos-chance redirect-container-streaming"),
    ("kubelet", 23, "experimental-bootstrap-kubeconfig seccomp-profile-root"),
    ("kubelet", 24, "cni-bin-dir cni-cache-dir cni-conf-dir docker docker-endpoint docker-env-metadata-whitelist docker-only docker-root \
        docker-tls docker-tls-ca docker-tls-cert docker-tls-key dynamic-config-dir \
        experimental-check-node-capabilities-before-mount experimental-dockershim-root-directory \
        experimental-logging-sanitization image-pull-progress-deadline network-plugin network-plugin-mtu non-masquerade-cidr \
        really-crash-for-testing"),
    ("kubelet", 25, "experimental-kernel-memcg-notification"),
    ("kubelet", 27, "container-runtime master-service-namespace"),
    ("kubelet", 30, "azure-container-registry-config"),
    ("kubelet", 31, "iptables-drop-bit iptables-masquerade-bit keep-terminated-pod-volumes"),
    ("kubelet", 34, "cloud-config register-schedulable"),
    ("kubelet", 35, "pod-infra-container-image"),
    ("kubelet", 37, "application-metrics-count-limit boot-id-file container-hints containerd containerd-namespace enable-load-reader \
        event-storage-age-limit event-storage-event-limit global-housekeeping-interval log-cadvisor-usage machine-id-file \
        storage-driver-buffer-duration storage-driver-db storage-driver-host storage-driver-password storage-driver-secure \
        storage-driver-table storage-driver-user"),
];

/// Logging flags of every program. v1.26 is the first minor version without them.
const LOG_FLAGS: &str = "add-dir-header alsologtostderr log-backtrace-at log-dir log-file log-file-max-size logtostderr \
    one-output skip-headers skip-log-headers stderrthreshold";
const LOG_FLAGS_MINOR: u64 = 26;

/// Admission plugins of the API server, by the first minor version without them.
const ADMISSION_PLUGINS: &[(u64, &str)] = &[
    (21, "DenyEscalatingExec DenyExecOnPrivileged"),
    (25, "PodSecurityPolicy"),
    (30, "SecurityContextDeny"),
    (31, "PersistentVolumeLabel"),
    (37, "PodGroupWorkloadExists"),
];

/// API versions whose types were removed, by the first minor version without them. The API server exits if an entry of `runtime-config` names
/// one of them, whatever the value of the entry is.
const GROUP_VERSIONS: &[(u64, &str)] = &[
    (29, "flowcontrol.apiserver.k8s.io/v1alpha1"),
    (31, "resource.k8s.io/v1alpha2"),
    (32, "coordination.k8s.io/v1alpha1"),
    (34, "networking.k8s.io/v1alpha1"),
    (35, "storagemigration.k8s.io/v1alpha1"),
    (36, "autoscaling/v2beta1 autoscaling/v2beta2 scheduling.k8s.io/v1alpha1"),
    (37, "scheduling.k8s.io/v1alpha2"),
];

/// Feature gates, by the first minor version in which no program knows them.
#[rustfmt::skip]
const FEATURE_GATES: &[(u64, &str)] = &[
    (21, "AttachVolumeLimit BlockVolume CSIBlockVolume CSIDriverRegistry CSIMigrationAWSComplete CSIMigrationAzureDiskComplete \
        CSIMigrationAzureFileComplete CSIMigrationGCEComplete CSIMigrationOpenStackComplete CSINodeInfo EvenPodsSpread \
        HyperVContainer RotateKubeletClientCertificate TokenRequest TokenRequestProjection VolumePVCDataSource WindowsGMSA \
        WindowsRunAsUserName"),
    (22, "BalanceAttachedNodeVolumes CRIContainerLogRotation CSIMigrationvSphereComplete ExternalPolicyForExternalIP \
        LegacyNodeRoleBehavior NodeDisruptionExclusion RootCAConfigMap RunAsGroup SCTPSupport ServiceAppProtocol \
        ServiceNodeExclusion ServiceTopology VolumeSnapshotDataSource"),
    (23, "AllowInsecureBackendProxy BoundServiceAccountTokenVolume CronJobControllerV2 NodeLease ServiceAccountIssuerDiscovery \
        StartupProbe SupportNodePidsLimit SupportPodPidsLimit Sysctls"),
    (24, "HugePageStorageMediumSize ImmutableEphemeralVolumes NamespaceDefaultLabelName RuntimeClass SetHostnameAsFQDN \
        StreamingProxyRedirects ValidateProxyRedirects WarningHeaders"),
    (25, "CSIServiceAccountToken CSIVolumeFSGroupPolicy ConfigurableFSGroupPolicy EndpointSlice EndpointSliceNodeName \
        EndpointSliceProxying GenericEphemeralVolume IngressClassNamespacedParams PodDisruptionBudget SelectorIndex \
        StorageObjectInUseProtection TTLAfterFinished VolumeSubpath WindowsEndpointSliceProxying"),
    (26, "CSIMigrationOpenStack CSRDuration DefaultPodTopologySpread DynamicKubeletConfig IndexedJob NonPreemptingPriority \
        PodAffinityNamespaceSelector PodOverhead PreferNominatedNode ServiceLBNodePortControl ServiceLoadBalancerClass \
        SuspendJob"),
    (27, "CSIInlineVolume CSIMigration CSIMigrationAWS CSIMigrationAzureDisk ControllerManagerLeaderMigration \
        DaemonSetUpdateSurge EphemeralContainers ExpandCSIVolumes ExpandInUsePersistentVolumes ExpandPersistentVolumes \
        IPv6DualStack IdentifyPodOS LocalStorageCapacityIsolation NetworkPolicyEndPort StatefulSetMinReadySeconds"),
    (28, "AdvancedAuditing CSIMigrationGCE CSIStorageCapacity DelegateFSGroupToCSIDriver DevicePlugins \
        DisableAcceleratorUsageMetrics DryRun EndpointSliceTerminatingCondition KubeletCredentialProviders \
        MixedProtocolLBService NetworkPolicyStatus PodHasNetworkCondition PodSecurity ServiceIPStaticSubrange \
        ServiceInternalTrafficPolicy UserNamespacesStatelessPodsSupport WindowsHostProcessContainers"),
    (29, "CSIMigrationvSphere CronJobTimeZone DownwardAPIHugePages GRPCContainerProbe JobMutableNodeSchedulingDirectives \
        JobTrackingWithFinalizers KubeletPodResourcesGetAllocatable LegacyServiceAccountTokenNoAutoGeneration \
        MultiCIDRRangeAllocator OpenAPIV3 ProbeTerminationGracePeriod RetroactiveDefaultStorageClass SeccompDefault TopologyManager"),
    (30, "APISelfSubjectReview CSIMigrationAzureFile ExpandedDNSConfig ExperimentalHostUserNamespaceDefaulting \
        IPTablesOwnershipCleanup KubeletPodResources LegacyServiceAccountTokenTracking MinimizeIPTablesRestore ProxyTerminatingEndpoints RemoveSelfLink SecurityContextDeny"),
    (31, "APIPriorityAndFairness CSIMigrationRBD CSINodeExpandSecret ConsistentHTTPGetHandlers \
        CustomResourceValidationExpressions DefaultHostNetworkHostPortsInPodTemplates InTreePluginAWSUnregister \
        InTreePluginAzureDiskUnregister InTreePluginAzureFileUnregister InTreePluginGCEUnregister \
        InTreePluginOpenStackUnregister InTreePluginRBDUnregister InTreePluginvSphereUnregister JobReadyPods ReadWriteOncePod \
        ServiceNodePortStaticSubrange SkipReadOnlyValidationGCE"),
    (32, "CloudDualStackNodeIPs DRAControlPlaneController HPAContainerMetrics KMSv2 KMSv2KDF LegacyServiceAccountTokenCleanUp \
        MinDomainsInPodTopologySpread NewVolumeManagerReconstruction NodeOutOfServiceVolumeDetach PodHostIPs ServerSideApply \
        ServerSideFieldValidation StableLoadBalancerNodeSet ValidatingAdmissionPolicy ZeroLimitedNominalConcurrencyShares"),
    (33, "APIListChunking AdmissionWebhookMatchConditions AggregatedDiscoveryEndpoint AppArmor AppArmorFields CPUManager \
        DisableCloudProviders DisableKubeletCloudCredentialProviders EfficientWatchResumption JobPodFailurePolicy \
        KubeProxyDrainingTerminatingNodes PDBUnhealthyPodEvictionPolicy PersistentVolumeLastPhaseTransitionTime \
        RemainingItemCount VolumeCapacityPriority WatchBookmark"),
    (34, "DevicePluginCDIDevices ElasticIndexedJob LegacySidecarContainers PodDisruptionConditions StatefulSetStartOrdinal"),
    (35, "AllowServiceLBStatusOnNonLB ComponentSLIs CronJobsScheduledAnnotation LoadBalancerIPMode PodIndexLabel \
        ProbeHostPodSecurityStandards SizeMemoryBackedVolumes StatefulSetAutoDeletePVC StrictCostEnforcementForVAP \
        StrictCostEnforcementForWebhooks UserNamespacesPodSecurityStandards"),
    (36, "CSIMigrationPortworx HonorPVReclaimPolicy InPlacePodVerticalScalingAllocatedStatus InTreePluginPortworxUnregister \
        MemoryManager ServiceTrafficDistribution StructuredAuthorizationConfiguration TopologyAwareHints \
        WatchFromStorageWithoutResourceVersion"),
    (37, "APIServerTracing AnonymousAuthConfigurableEndpoints AnyVolumeDataSource AuthorizeWithSelectors BtreeWatchCache \
        ConsistentListFromCache GangScheduling OrderedNamespaceDeletion PreventStaticPodAPIReferences RelaxedDNSSearchValidation \
        ResilientWatchCacheInitialization RetryGenerateName SidecarContainers StreamingCollectionEncodingToJSON \
        StreamingCollectionEncodingToProtobuf StructuredAuthenticationConfiguration WorkloadAwarePreemption"),
];

/// The first minor version whose `program` does not accept the flag. `None` if the flag was not removed.
pub fn flag(program: &str, flag: &str) -> Option<u64> {
    let flag = flag.replace('_', "-");
    let of_program = FLAGS.iter().filter(|(p, ..)| *p == program).map(|(_, minor, names)| (*minor, *names));
    first_without(of_program.chain([(LOG_FLAGS_MINOR, LOG_FLAGS)]), &flag)
}

/// The first minor version whose API server does not know the admission plugin. `None` if the plugin was not removed.
pub fn admission_plugin(name: &str) -> Option<u64> {
    first_without(ADMISSION_PLUGINS.iter().copied(), name)
}

/// The first minor version that does not know the feature gate. `None` if the gate was not removed.
pub fn feature_gate(name: &str) -> Option<u64> {
    first_without(FEATURE_GATES.iter().copied(), name)
}

/// The first minor version whose API server has no types of this API version (`group/version`). `None` if they were not removed.
pub fn group_version(name: &str) -> Option<u64> {
    first_without(GROUP_VERSIONS.iter().copied(), name)
}

fn first_without(mut rows: impl Iterator<Item = (u64, &'static str)>, name: &str) -> Option<u64> {
    rows.find(|(_, names)| names.split_whitespace().any(|n| n == name)).map(|(minor, _)| minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_1_37_has_no_more() {
        assert_eq!(flag("kubelet", "containerd-namespace"), Some(37));
        assert_eq!(flag("kube-controller-manager", "concurrent-service-syncs"), Some(37));
        assert_eq!(flag("kube-apiserver", "concurrent-service-syncs"), None);
        assert_eq!(admission_plugin("PodGroupWorkloadExists"), Some(37));
        assert_eq!(feature_gate("SidecarContainers"), Some(37));
        assert_eq!(group_version("scheduling.k8s.io/v1alpha2"), Some(37));
        assert_eq!(group_version("scheduling.k8s.io/v1"), None);
    }

    #[test]
    fn a_gate_went_with_one_minor() {
        assert_eq!(feature_gate("KubeletPodResourcesGetAllocatable"), Some(29));
        let names: Vec<&str> = FEATURE_GATES.iter().flat_map(|(_, names)| names.split_whitespace()).collect();
        let different: std::collections::BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), different.len());
    }
}
