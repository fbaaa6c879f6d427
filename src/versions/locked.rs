//! Feature gates that Kubernetes still has but whose values cannot be changed any more. A program does not start if it is given the other value
//! of such a gate.
//!
//! Since 1.31, a run of the API server or the controller manager with `--help` does not find such a value, because they read the gates only after
//! that flag; this table is used instead. Source: the gates with `LockToDefault` in pkg/features, apiserver, apiextensions-apiserver, component-base
//! and client-go of each minor from 1.28 to 1.36, and the release notes of 1.37. Gates that only one component defines for itself are not in the
//! table.

use super::removed;

/// Gates by the first minor version in which they are locked. The row 28 has all gates that were locked by then. A gate without a value is
/// locked to true. A gate stays locked until it is removed.
#[rustfmt::skip]
const GATES: &[(u64, &str)] = &[
    (28, "APISelfSubjectReview CPUManager CSIMigrationAzureFile CSIMigrationvSphere CronJobTimeZone DownwardAPIHugePages \
        EfficientWatchResumption ExpandedDNSConfig ExperimentalHostUserNamespaceDefaulting=false GRPCContainerProbe \
        IPTablesOwnershipCleanup JobMutableNodeSchedulingDirectives JobTrackingWithFinalizers KubeletPodResources \
        KubeletPodResourcesGetAllocatable LegacyServiceAccountTokenNoAutoGeneration LegacyServiceAccountTokenTracking \
        MinimizeIPTablesRestore NodeOutOfServiceVolumeDetach OpenAPIV3 ProbeTerminationGracePeriod \
        ProxyTerminatingEndpoints RemoveSelfLink SeccompDefault ServerSideApply ServerSideFieldValidation TopologyManager \
        WatchBookmark"),
    (29, "APIListChunking APIPriorityAndFairness CSINodeExpandSecret CustomResourceValidationExpressions JobReadyPods KMSv2 \
        KMSv2KDF ReadWriteOncePod RemainingItemCount ServiceNodePortStaticSubrange"),
    (30, "AdmissionWebhookMatchConditions AggregatedDiscoveryEndpoint CloudDualStackNodeIPs ConsistentHTTPGetHandlers \
        HPAContainerMetrics LegacyServiceAccountTokenCleanUp MinDomainsInPodTopologySpread NewVolumeManagerReconstruction \
        PodHostIPs PodSchedulingReadiness StableLoadBalancerNodeSet ValidatingAdmissionPolicy \
        ZeroLimitedNominalConcurrencyShares"),
    (31, "AppArmor AppArmorFields DevicePluginCDIDevices DisableCloudProviders DisableKubeletCloudCredentialProviders \
        ElasticIndexedJob JobPodFailurePolicy KubeProxyDrainingTerminatingNodes LogarithmicScaleDown \
        PDBUnhealthyPodEvictionPolicy PersistentVolumeLastPhaseTransitionTime PodDisruptionConditions \
        StatefulSetStartOrdinal"),
    (32, "AllowServiceLBStatusOnNonLB=false ComponentSLIs CronJobsScheduledAnnotation CustomResourceFieldSelectors \
        LoadBalancerIPMode MemoryManager PodIndexLabel RetryGenerateName ServiceAccountTokenJTI \
        ServiceAccountTokenNodeBindingValidation ServiceAccountTokenPodNodeInfo SizeMemoryBackedVolumes \
        StatefulSetAutoDeletePVC StrictCostEnforcementForVAP StrictCostEnforcementForWebhooks \
        StructuredAuthorizationConfiguration"),
    (33, "AnyVolumeDataSource BtreeWatchCache CPUManagerPolicyOptions CRDValidationRatcheting CSIMigrationPortworx \
        HonorPVReclaimPolicy JobBackoffLimitPerIndex JobSuccessPolicy MatchLabelKeysInPodAffinity NFTablesProxyMode \
        NodeInclusionPolicyInPodTopologySpread RecursiveReadOnlyMounts ServiceAccountTokenNodeBinding \
        ServiceTrafficDistribution SidecarContainers TopologyAwareHints WatchFromStorageWithoutResourceVersion=false"),
    (34, "APIServerTracing AnonymousAuthConfigurableEndpoints AuthorizeNodeWithSelectors AuthorizeWithSelectors \
        ConsistentListFromCache JobPodReplacementPolicy KubeletCgroupDriverFromCRI KubeletTracing MultiCIDRServiceAllocator \
        NodeSwap OrderedNamespaceDeletion PodLifecycleSleepAction PodLifecycleSleepActionAllowZero \
        ProbeHostPodSecurityStandards RecoverVolumeExpansionFailure RelaxedDNSSearchValidation \
        RelaxedEnvironmentVariableValidation ResilientWatchCacheInitialization SchedulerQueueingHints \
        SeparateTaintEvictionController StreamingCollectionEncodingToJSON StreamingCollectionEncodingToProtobuf \
        StructuredAuthenticationConfiguration WinDSR WinOverlay"),
    (35, "AggregatedDiscoveryRemoveBetaType AllowOverwriteTerminationGracePeriodSeconds=false DisableAllocatorDualWrite \
        DynamicResourceAllocation ExecProbeTimeout ImageMaximumGCAge InPlacePodVerticalScaling JobManagedBy \
        PodObservedGenerationTracking PreferSameTrafficDistribution SupplementalGroupsPolicy SystemdWatchdog"),
    (36, "CSIServiceAccountTokenSecrets DRAAdminAccess DeclarativeValidation DisableNodeKubeProxyVersion \
        ExternalServiceAccountTokenSigner GitRepoVolumeDriver=false ImageVolume InOrderInformers KubeletFineGrainedAuthz \
        KubeletPSI KubeletPodResourcesDynamicResources KubeletPodResourcesGet MutableCSINodeAllocatableCount NodeLogQuery \
        ProcMountType SELinuxChangePolicy SELinuxMountReadWriteOncePod SeparateCacheWatchRPC=false \
        TopologyManagerPolicyOptions UserNamespacesSupport VolumeAttributesClass"),
    (37, "DRAPrioritizedList DeclarativeValidationTakeover HostnameOverride"),
];

/// The value to which a minor version locks a feature gate. `None` if the gate is not locked, is removed or is unknown.
pub fn feature_gate(minor: u64, name: &str) -> Option<bool> {
    if removed::feature_gate(name).is_some_and(|removed| removed <= minor) {
        return None;
    }
    let locked = GATES.iter().filter(|(since, _)| *since <= minor).flat_map(|(_, gates)| gates.split_whitespace());
    locked
        .map(|gate| gate.split_once('=').map_or((gate, true), |(gate, value)| (gate, value == "true")))
        .find(|(gate, _)| *gate == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_locked_from_a_minor_on_until_it_is_removed() {
        assert_eq!(feature_gate(32, "SidecarContainers"), None);
        assert_eq!(feature_gate(33, "SidecarContainers"), Some(true));
        assert_eq!(feature_gate(36, "SidecarContainers"), Some(true));
        assert_eq!(feature_gate(37, "SidecarContainers"), None, "it is removed");
        assert_eq!(feature_gate(35, "GitRepoVolumeDriver"), None);
        assert_eq!(feature_gate(36, "GitRepoVolumeDriver"), Some(false));
        assert_eq!(feature_gate(37, "HostnameOverride"), Some(true));
        assert_eq!(feature_gate(37, "NoSuchGate"), None);
    }

    /// A gate that is in the table twice is a mistake, and a gate that was removed before it was locked would never be found.
    #[test]
    fn each_gate_is_listed_once_and_before_its_removal() {
        let mut seen = std::collections::BTreeSet::new();
        for (minor, gates) in GATES {
            for gate in gates.split_whitespace().map(|g| g.trim_end_matches("=false")) {
                assert!(seen.insert(gate), "{gate} is listed twice");
                assert!(!gate.contains('='), "{gate}");
                assert!(removed::feature_gate(gate).is_none_or(|removed| removed > *minor), "{gate} is removed before v1.{minor}");
            }
        }
        assert!(GATES.is_sorted_by_key(|(minor, _)| minor));
    }
}
