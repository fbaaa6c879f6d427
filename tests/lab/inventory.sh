# inventory.sh: prints the part of an inventory that the lab adds. Sourced by `lab`.
# shellcheck shell=bash

# inventory_part: prints site.yaml with this lab's directory, network and release
inventory_part() {
    local script=(-e "s|@LAB@/known_hosts|$KNOWN_HOSTS|" -e "s|@LAB@|$LAB|g" -e "s|172\.30\.0\.|$SUBNET.|g" -e "s|^  imageTag: .*|  imageTag: $ETCD_TAG|")
    [ -z "$FAIL_CGROUP_V1" ] || script+=(-e "s|^\( *\)failSwapOn: false|&\n\1failCgroupV1: $FAIL_CGROUP_V1 # the lab's machine may have control groups of version 1|")
    # If the lab has an image of CoreDNS, the inventory makes clusterctl wait until CoreDNS is ready.
    [ -z "$COREDNS_TAG" ] || script+=(-e "s|^\( *\)wait: false.*|\1imageTag: $COREDNS_TAG|")
    sed "${script[@]}" "$LAB_SRC/site.yaml"
}
