# hosts.sh: starts, kills, recreates and removes the containers that are the lab's hosts. Sourced by `lab`.
# shellcheck shell=bash

KNOWN_HOSTS=$LAB/known_hosts
[ "$NET" = clusterctl-lab ] || KNOWN_HOSTS=$LAB/known_hosts-$NET
SSH=(ssh -i "$SSH_KEY" -o UserKnownHostsFile="$KNOWN_HOSTS" -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes
    -o BatchMode=yes -o ConnectTimeout=2 -o LogLevel=ERROR)

# lab_network: makes the bridge network of the lab, whose addresses are assigned by the lab
lab_network() {
    local out
    # All hosts share one kernel: systemd, containerd and kubelet of a dozen hosts need more inotify instances than the default of one machine.
    [ "$(sysctl -n fs.inotify.max_user_instances)" -ge 4096 ] || sysctl -qw fs.inotify.max_user_instances=8192
    own_network
    docker network inspect "$NET" >/dev/null 2>&1 && return
    out=$(docker network create --label "$LABEL" --label "clusterctl.lab.dir=$LAB" --subnet "$SUBNET.0/24" --gateway "$SUBNET.1" "$NET" 2>&1 >/dev/null) ||
        die "the network $NET cannot be made with the subnet $SUBNET.0/24: $out
Another network may have that subnet (docker network ls); CLUSTERCTL_LAB_NET and CLUSTERCTL_LAB_SUBNET choose others"
}

# own_network: fails if the network was made by another lab directory, because its hosts belong to that lab
own_network() {
    local dir
    dir=$(docker network inspect -f '{{index .Labels "clusterctl.lab.dir"}}' "$NET" 2>/dev/null) || return 0
    [ -z "$dir" ] || [ "$dir" = "$LAB" ] ||
        die "the network $NET belongs to the lab in $dir: choose another with CLUSTERCTL_LAB_NET and CLUSTERCTL_LAB_SUBNET"
}

lab_site() {
    [ "$(docker inspect -f '{{.State.Running}} {{.Image}}' "$NET-site" 2>/dev/null)" = \
        "true $(docker image inspect -f '{{.Id}}' "$SITE_IMAGE")" ] && return
    docker rm -fv "$NET-site" >/dev/null 2>&1 || true
    run_container "$NET-site" --hostname site --network "$NET" --ip "$SITE_IP" --label "$LABEL" \
        --cap-add NET_ADMIN --sysctl net.ipv4.ip_forward=1 -v "$LAB/site:/srv/site:ro" -v "$LAB/registry:/srv/registry" "$SITE_IMAGE"
    wait_for 30 "the download site answers" curl -fs -o /dev/null "http://$SITE_IP/release/"
    wait_for 30 "the registry answers" curl -fs "http://$REGISTRY/v2/"
}

# container NAME: prints the ID of the host's container (running or not), or nothing
container() { docker ps -aq --filter "network=$NET" --filter "label=clusterctl.lab.host=$1"; }
must_have() { local c; c=$(container "$1"); [ -n "$c" ] || die "no such host: $1"; printf '%s\n' "$c"; }
host_ip()   { docker inspect -f '{{index .Config.Labels "clusterctl.lab.ip"}}' "$(must_have "$1")"; }

# list_hosts: prints NAME IP STATE for each host, sorted by address
list_hosts() {
    docker ps -a --filter "network=$NET" --filter "label=clusterctl.lab.host" \
        --format '{{.Label "clusterctl.lab.host"}} {{.Label "clusterctl.lab.ip"}} {{.State}}' | sort -t. -k4,4n
}

# host_kind NAME: prints debian12 or debian13
host_kind() { docker inspect -f '{{index .Config.Labels "clusterctl.lab.kind"}}' "$(must_have "$1")"; }

# create_host NAME IP PREFIX KIND: creates the container, with every capability that this machine has
create_host() {
    local name=$1 ip=$2 prefix=$3 kind=$4 options=() resolver=$RESOLVER
    [ "$resolver" != site ] || resolver=$SITE_IP
    if [ $((0x$(awk '/^CapBnd/ {print $2}' /proc/self/status) >> 24 & 1)) = 0 ]; then
        options+=(--cap-drop SYS_RESOURCE)
    fi
    mapfile -t -O "${#options[@]}" options < <(disk_options "$name")
    [ -d /lib/modules ] && options+=(-v /lib/modules:/lib/modules:ro)
    run_container "$prefix-$name" --hostname "$name" --network "$NET" --network-alias "$name" --ip "$ip" \
        --label "$LABEL" --label "clusterctl.lab.host=$name" --label "clusterctl.lab.ip=$ip" --label "clusterctl.lab.kind=$kind" \
        --cap-add ALL "${options[@]}" --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
        --security-opt systempaths=unconfined --device-cgroup-rule='a *:* rwm' --device /dev/kmsg \
        --cgroupns private -e "LAB_SITE=$SITE_IP" -e "LAB_RESOLVER=$resolver" --tmpfs /run --tmpfs /tmp:exec "$(image_of "$name" "$kind")"
}

# know_host IP KEYS: records the lines `TYPE KEY` as the SSH host keys of this address
know_host() {
    (
        flock 9
        touch "$KNOWN_HOSTS"
        { grep -v "^$1 " "$KNOWN_HOSTS" || true; awk -v ip="$1" '{print ip, $1, $2}' <<<"$2"; } >"$KNOWN_HOSTS.new"
        mv "$KNOWN_HOSTS.new" "$KNOWN_HOSTS"
    ) 9>"$KNOWN_HOSTS.lock"
}
# forget_host IP: removes the SSH host keys of this address
forget_host() { [ ! -e "$KNOWN_HOSTS" ] || (flock 9; sed -i "/^$1 /d" "$KNOWN_HOSTS") 9>"$KNOWN_HOSTS.lock"; }

# host_ready NAME IP: waits for the host's SSH keys (read through Docker, which is trusted) and until sshd accepts the lab's key
host_ready() {
    local name=$1 ip=$2 id keys
    id=$(must_have "$name")
    wait_for 60 "$name has ssh host keys" docker exec "$id" test -s /etc/ssh/ssh_host_ecdsa_key.pub
    keys=$(docker exec "$id" sh -c 'cat /etc/ssh/ssh_host_*_key.pub')
    know_host "$ip" "$keys"
    wait_for 90 "$name accepts the lab's key over ssh" "${SSH[@]}" "ops@$ip" true
}

# start_host NAME IP PREFIX KIND: does whatever is missing until the host runs and can be reached
start_host() {
    local name=$1 ip=$2 prefix=$3 kind=${4:-debian12} id state=none
    id=$(container "$name")
    [ -z "$id" ] || state=$(docker inspect -f '{{.State.Status}}' "$id")
    case $state in
        running) grep -qs "^$ip " "$KNOWN_HOSTS" && return ;;
        none) create_host "$name" "$ip" "$prefix" "$kind" ;;
        *) docker start "$id" >/dev/null ;;
    esac
    host_ready "$name" "$ip"
}

# parallel_hosts COMMAND: reads "NAME IP ..." lines and runs COMMAND NAME IP ... for all of them at the same time
parallel_hosts() {
    local pids=() line p bad=0
    while read -r -a line; do
        "$1" "${line[@]}" </dev/null &
        pids+=($!)
    done
    for p in "${pids[@]}"; do wait "$p" || bad=1; done
    [ $bad = 0 ] || die "some hosts failed (see above)"
}

# series COUNT LETTERS BASE PREFIX: prints "m1 172.30.0.11 prefix" and so on
series() {
    local i
    [[ $1 =~ ^([0-9]|10)$ ]] || die "a count is 0 to 10, not $1"
    for ((i = 1; i <= $1; i++)); do printf '%s%d %s.%d %s\n' "$2" "$i" "$SUBNET" $(($3 + i)) "$4"; done
}

# with_kinds KINDS: adds a kind to each line of stdin, in turn from a list such as debian12,debian13
with_kinds() { awk -v list="$1" '{n = split(list, kinds, ","); print $0, kinds[(NR - 1) % n + 1]}'; }

# kinds_built KINDS: builds the images of these kinds of hosts if they are missing
kinds_built() {
    local kind
    for kind in ${1//,/ }; do
        locked_build build_host "${kind%-prepared}"
        [ "$kind" = "${kind%-prepared}" ] || locked_build build_prepared "${kind%-prepared}"
    done
}

# up_options OPTION...: parses the options of `lab up` and checks them before anything is built
up_options() {
    local kind
    MASTER_COUNT=3 WORKER_COUNT=2 LB_COUNT=1 ETCD_COUNT=0 PREFIX=$NET KINDS=${CLUSTERCTL_LAB_HOSTS:-debian12} PREPARED=
    while [ $# -gt 0 ]; do
        case $1 in
            --prepared) PREPARED=yes; shift; continue ;;
            --masters) MASTER_COUNT=${2:-} ;; --workers) WORKER_COUNT=${2:-} ;; --lbs) LB_COUNT=${2:-} ;; --etcds) ETCD_COUNT=${2:-} ;;
            --name) PREFIX=${2:-} ;;
            --hosts) KINDS=${2:-} ;;
            *) die "lab up: unknown option $1" ;;
        esac
        shift 2 || die "lab up: $1 needs a value"
    done
    [ -n "$KINDS" ] || die "lab up --hosts needs kinds of hosts, such as debian12,debian13"
    for kind in ${KINDS//,/ }; do suite_of "${kind%-prepared}" >/dev/null || exit; done
    [ -z "$PREPARED" ] || KINDS=${KINDS//,/-prepared,}-prepared
}

hosts_up() {
    local start=$SECONDS
    kinds_built "$KINDS"
    lab_network
    lab_site
    { series "$MASTER_COUNT" m 10 "$PREFIX"; series "$WORKER_COUNT" w 20 "$PREFIX"
      series "$LB_COUNT" lb 30 "$PREFIX"; series "$ETCD_COUNT" e 40 "$PREFIX"; } | with_kinds "$KINDS" | parallel_hosts start_host
    list_hosts
    say "up in $((SECONDS - start)) s"
}

# hosts_add NAME IP [KIND]: adds one host to the lab
hosts_add() {
    local kind=${3:-${CLUSTERCTL_LAB_HOSTS:-debian12}}
    [ $# = 2 ] || [ $# = 3 ] || die "lab add NAME IP [KIND]"
    [[ $2 == "$SUBNET".* ]] || die "the address must lie in $SUBNET.0/24"
    kind=${kind%%,*}
    suite_of "${kind%-prepared}" >/dev/null || exit
    kinds_built "$kind"
    lab_network
    lab_site
    start_host "$1" "$2" "$NET" "$kind"
}

remove_host() {
    local id
    id=$(container "$1")
    [ -z "$id" ] || docker rm -fv "$id" >/dev/null
    remove_disk "$1"
    forget_host "$2"
}

# hosts_fresh: replaces all hosts with new machines of the same names, addresses and kinds
hosts_fresh() {
    local hosts name ip start=$SECONDS
    hosts=$(list_hosts | while read -r name ip _; do echo "$name $ip $NET $(host_kind "$name")"; done)
    [ -n "$hosts" ] || die "no hosts: run lab up first"
    parallel_hosts remove_host <<<"$hosts"
    lab_site
    parallel_hosts start_host <<<"$hosts"
    list_hosts
    say "fresh in $((SECONDS - start)) s"
}

# hosts_down [--foreign|--all]: removes the hosts and the network; --foreign: also those that another lab directory made
hosts_down() {
    local ids
    [ "${1:-}" = --foreign ] || own_network
    ids=$(docker ps -aq --filter "label=clusterctl.lab" --filter "network=$NET")
    # shellcheck disable=SC2086
    [ -z "$ids" ] || docker rm -fv $ids >/dev/null
    remove_disks
    docker network rm "$NET" >/dev/null 2>&1 || true
    rm -f "$KNOWN_HOSTS" "$KNOWN_HOSTS.lock"
    if [ "${1:-}" = --all ]; then
        docker images -q --filter "label=$LABEL" | sort -u | xargs -r docker rmi -f >/dev/null 2>&1 || true
        rm -rf "$LAB"
    fi
}

# cut_host NAME: drops all packets of the host's network card; heal_host NAME undoes this
cut_host() {
    docker exec "$(must_have "$1")" sh -c 'iptables -t raw -I PREROUTING -i eth0 -j DROP && iptables -t raw -I OUTPUT -o eth0 -j DROP'
}
heal_host() {
    docker exec "$(must_have "$1")" sh -c 'while iptables -t raw -D PREROUTING -i eth0 -j DROP 2>/dev/null; do :; done
        while iptables -t raw -D OUTPUT -o eth0 -j DROP 2>/dev/null; do :; done'
}

# lab_images: prints NAME:TAG of every image in the registry
lab_images() {
    local name
    for name in $(curl -fs "http://$REGISTRY/v2/_catalog" | tr -d '"[]{}' | sed 's/repositories://; s/,/ /g'); do
        curl -fs "http://$REGISTRY/v2/$name/tags/list" | grep -o '"tags":\[[^]]*' | grep -o '"[^"]*"' | tr -d '"' |
            grep -v '^tags$' | sed "s,^,$name:,"
    done
}

# preload_host NAME IP [PATTERN]: pulls every lab image, or those that match, into the host's containerd
preload_host() {
    local id image
    id=$(must_have "$1")
    for image in $(lab_images | grep -E -- "${3:-.}"); do
        docker exec "$id" ctr -n k8s.io images pull --plain-http "$REGISTRY/$image" >/dev/null || return 1
    done
}
