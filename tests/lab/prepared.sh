# prepared.sh: makes images of hosts that clusterctl itself has prepared (packages, kernel settings, programs), for scenarios that do not test
# preparation. Sourced by `lab`.
# shellcheck shell=bash

# image_of NAME KIND: prints the image of a host; a prepared load balancer has other software than a prepared node
image_of() {
    case $1:$2 in
        lb*:*-prepared) echo "$HOST_IMAGE:$2-lb" ;;
        *:*-prepared) echo "$HOST_IMAGE:$2-node" ;;
        *) echo "$HOST_IMAGE:$2" ;;
    esac
}

# build_prepared KIND: makes a cluster on one bare node and one bare load balancer, resets it with --keep-software, and stores both hosts as images,
# without SSH host keys, machine ID and logs. The volumes of containerd, kubelet, etcd and the logs are
# not part of an image.
build_prepared() {
    local kind=$1 digest ctl=${CLUSTERCTL:-$LAB_ROOT/target/debug/clusterctl} dir=$LAB/work/prepared start=$SECONDS h id
    digest=$(inputs prepared.sh site.yaml)-$(cat "$LAB/.done/host-$kind")-$(cat "$LAB/.done/release-$VERSION")
    done_with "prepared-$kind" "$digest" && docker image inspect "$HOST_IMAGE:$kind-prepared-node" "$HOST_IMAGE:$kind-prepared-lb" >/dev/null 2>&1 && return
    [ -x "$ctl" ] || die "clusterctl prepares these hosts, and $ctl does not exist: run cargo build, or name the program with CLUSTERCTL"
    say "preparing $kind hosts with clusterctl, to be kept as images"
    mkdir -p "$dir"
    lab_network
    lab_site
    printf '%s\n' "lb-prepared $SUBNET.61 $NET $kind" "n-prepared $SUBNET.62 $NET $kind" | parallel_hosts start_host
    { cat <<-END
	cluster: { name: prepared, version: $VERSION, endpoint: "$SUBNET.61:6443" }
	loadBalancer: { kind: haproxy }
	hosts:
	  - { name: n-prepared, address: $SUBNET.62, roles: [control-plane] }
	  - { name: lb-prepared, address: $SUBNET.61, roles: [load-balancer] }
	END
      inventory_part | sed '/^  coreDns:/,$s/^    .*/    enabled: false/'; } >"$dir/inventory.yaml"
    { "$ctl" -i "$dir/inventory.yaml" init && "$ctl" -i "$dir/inventory.yaml" reset --yes --keep-software; } >"$dir/log" 2>&1 ||
        { tail -n 30 "$dir/log" >&2; die "clusterctl did not prepare the hosts: see $dir/log"; }
    for h in n lb; do
        id=$(must_have "$h-prepared")
        docker exec "$id" sh -c 'rm -rf /etc/ssh/ssh_host_* /var/log/pods /var/log/containers; : >/etc/machine-id; sync'
        docker stop "$id" >/dev/null
        docker commit "$id" "$HOST_IMAGE:$kind-prepared-${h/#n/node}" >/dev/null
    done
    remove_host n-prepared "$SUBNET.62"
    remove_host lb-prepared "$SUBNET.61"
    mark_done "prepared-$kind" "$digest"
    say "prepared $kind hosts are images now, in $((SECONDS - start)) s"
}
