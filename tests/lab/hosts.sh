# hosts.sh: starts, kills, recreates and removes the containers that are the lab's hosts. Sourced by `lab`.
# shellcheck shell=bash

KNOWN_HOSTS=$LAB/known_hosts
[ "$NET" = clusterctl-lab ] || KNOWN_HOSTS=$LAB/known_hosts-$NET
SSH=(ssh -i "$SSH_KEY" -o UserKnownHostsFile="$KNOWN_HOSTS" -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes
    -o BatchMode=yes -o ConnectTimeout=2 -o LogLevel=ERROR)

# lab_network: one bridge, with addresses that are given by hand
lab_network() {
    # All hosts are one kernel's: systemd, containerd and kubelet of a dozen of them need more watches than one machine's default.
    [ "$(sysctl -n fs.inotify.max_user_instances)" -ge 4096 ] || sysctl -qw fs.inotify.max_user_instances=8192
    docker network inspect "$NET" >/dev/null 2>&1 ||
        docker network create --label "$LABEL" --subnet "$SUBNET.0/24" --gateway "$SUBNET.1" "$NET" >/dev/null
}

lab_site() {
    [ "$(docker inspect -f '{{.State.Running}} {{.Image}}' "$NET-site" 2>/dev/null)" = \
        "true $(docker image inspect -f '{{.Id}}' "$SITE_IMAGE")" ] && return
    docker rm -fv "$NET-site" >/dev/null 2>&1 || true
    docker run -d --name "$NET-site" --hostname site --network "$NET" --ip "$SITE_IP" --label "$LABEL" \
        --cap-add NET_ADMIN --sysctl net.ipv4.ip_forward=1 -v "$LAB/site:/srv/site:ro" -v "$LAB/registry:/srv/registry" "$SITE_IMAGE" >/dev/null
    wait_for 30 "the download site answers" curl -fs -o /dev/null "http://$SITE_IP/release/"
    wait_for 30 "the registry answers" curl -fs "http://$REGISTRY/v2/"
}

# container NAME: the id of the host's container (running or not), or nothing
container() { docker ps -aq --filter "network=$NET" --filter "label=clusterctl.lab.host=$1"; }
must_have() { local c; c=$(container "$1"); [ -n "$c" ] || die "no such host: $1"; printf '%s\n' "$c"; }
host_ip()   { docker inspect -f '{{index .Config.Labels "clusterctl.lab.ip"}}' "$(must_have "$1")"; }

# list_hosts: NAME IP STATE per host, in order of addresses
list_hosts() {
    docker ps -a --filter "network=$NET" --filter "label=clusterctl.lab.host" \
        --format '{{.Label "clusterctl.lab.host"}} {{.Label "clusterctl.lab.ip"}} {{.State}}' | sort -t. -k4,4n
}

# create_host NAME IP PREFIX: the container, with every capability that this machine itself has
create_host() {
    local name=$1 ip=$2 prefix=$3 options=()
    if [ $((0x$(awk '/^CapBnd/ {print $2}' /proc/self/status) >> 24 & 1)) = 0 ]; then
        options+=(--cap-drop SYS_RESOURCE)
    fi
    [ -d /lib/modules ] && options+=(-v /lib/modules:/lib/modules:ro)
    docker run -d --name "$prefix-$name" --hostname "$name" --network "$NET" --network-alias "$name" --ip "$ip" \
        --label "$LABEL" --label "clusterctl.lab.host=$name" --label "clusterctl.lab.ip=$ip" \
        --cap-add ALL "${options[@]}" --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
        --security-opt systempaths=unconfined --device-cgroup-rule='a *:* rwm' --device /dev/kmsg \
        --cgroupns private -e "LAB_SITE=$SITE_IP" --tmpfs /run --tmpfs /tmp:exec "$HOST_IMAGE" >/dev/null
}

# host_ready NAME IP: waits for the host's keys (read over docker, a channel we trust) and for sshd to take our key
host_ready() {
    local name=$1 ip=$2 id keys
    id=$(must_have "$name")
    wait_for 60 "$name has ssh host keys" docker exec "$id" test -s /etc/ssh/ssh_host_ecdsa_key.pub
    keys=$(docker exec "$id" sh -c 'cat /etc/ssh/ssh_host_*_key.pub' | awk -v ip="$ip" '{print ip, $1, $2}')
    (
        flock 9
        touch "$KNOWN_HOSTS"
        { grep -v "^$ip " "$KNOWN_HOSTS" || true; printf '%s\n' "$keys"; } >"$KNOWN_HOSTS.new"
        mv "$KNOWN_HOSTS.new" "$KNOWN_HOSTS"
    ) 9>"$KNOWN_HOSTS.lock"
    wait_for 90 "$name takes our key over ssh" "${SSH[@]}" "ops@$ip" true
}

# start_host NAME IP PREFIX: whatever is missing for this host to run and to be reachable
start_host() {
    local name=$1 ip=$2 prefix=$3 id state=none
    id=$(container "$name")
    [ -z "$id" ] || state=$(docker inspect -f '{{.State.Status}}' "$id")
    case $state in
        running) grep -qs "^$ip " "$KNOWN_HOSTS" && return ;;
        none) create_host "$name" "$ip" "$prefix" ;;
        *) docker start "$id" >/dev/null ;;
    esac
    host_ready "$name" "$ip"
}

# parallel_hosts COMMAND: reads "NAME IP ..." lines and runs COMMAND NAME IP ... for all of them side by side
parallel_hosts() {
    local pids=() line p bad=0
    while read -r -a line; do
        "$1" "${line[@]}" </dev/null &
        pids+=($!)
    done
    for p in "${pids[@]}"; do wait "$p" || bad=1; done
    [ $bad = 0 ] || die "some hosts failed (see above)"
}

# series COUNT LETTERS BASE PREFIX: "m1 172.30.0.11 prefix" and so on
series() {
    local i
    [[ $1 =~ ^([0-9]|10)$ ]] || die "a count is 0 to 10, not $1"
    for ((i = 1; i <= $1; i++)); do printf '%s%d %s.%d %s\n' "$2" "$i" "$SUBNET" $(($3 + i)) "$4"; done
}

hosts_up() {
    local masters=3 workers=2 lbs=1 etcds=0 prefix=$NET start=$SECONDS
    while [ $# -gt 0 ]; do
        case $1 in
            --masters) masters=$2 ;; --workers) workers=$2 ;; --lbs) lbs=$2 ;; --etcds) etcds=$2 ;; --name) prefix=$2 ;;
            *) die "lab up: unknown option $1" ;;
        esac
        shift 2 || die "lab up: $1 needs a value"
    done
    lab_network
    lab_site
    { series "$masters" m 10 "$prefix"; series "$workers" w 20 "$prefix"
      series "$lbs" lb 30 "$prefix"; series "$etcds" e 40 "$prefix"; } | parallel_hosts start_host
    list_hosts
    say "up in $((SECONDS - start)) s"
}

hosts_add() {
    [ $# = 2 ] || die "lab add NAME IP"
    [[ $2 == "$SUBNET".* ]] || die "the address must lie in $SUBNET.0/24"
    lab_network
    lab_site
    start_host "$1" "$2" "$NET"
}

remove_host() {
    local id
    id=$(container "$1")
    [ -z "$id" ] || docker rm -fv "$id" >/dev/null
    [ ! -e "$KNOWN_HOSTS" ] || (flock 9; sed -i "/^$2 /d" "$KNOWN_HOSTS") 9>"$KNOWN_HOSTS.lock"
}

# the same hosts again, as new machines
hosts_fresh() {
    local hosts start=$SECONDS
    hosts=$(list_hosts | awk '{print $1, $2}')
    [ -n "$hosts" ] || die "no hosts: run lab up first"
    parallel_hosts remove_host <<<"$hosts"
    lab_site
    awk -v net="$NET" '{print $0, net}' <<<"$hosts" | parallel_hosts start_host
    list_hosts
    say "fresh in $((SECONDS - start)) s"
}

hosts_down() {
    local ids
    ids=$(docker ps -aq --filter "label=$LABEL" --filter "network=$NET")
    # shellcheck disable=SC2086
    [ -z "$ids" ] || docker rm -fv $ids >/dev/null
    docker network rm "$NET" >/dev/null 2>&1 || true
    rm -f "$KNOWN_HOSTS" "$KNOWN_HOSTS.lock"
    if [ "${1:-}" = --all ]; then
        docker rmi -f "$HOST_IMAGE" "$SITE_IMAGE" >/dev/null 2>&1 || true
        rm -rf "$LAB"
    fi
}

# cut_host NAME: nothing comes in or goes out of its network card any more; heal_host NAME undoes it
cut_host() {
    docker exec "$(must_have "$1")" sh -c 'iptables -t raw -I PREROUTING -i eth0 -j DROP && iptables -t raw -I OUTPUT -o eth0 -j DROP'
}
heal_host() {
    docker exec "$(must_have "$1")" sh -c 'while iptables -t raw -D PREROUTING -i eth0 -j DROP 2>/dev/null; do :; done
        while iptables -t raw -D OUTPUT -o eth0 -j DROP 2>/dev/null; do :; done'
}

# lab_images: every NAME:TAG in the registry
lab_images() {
    local name
    for name in $(curl -fs "http://$REGISTRY/v2/_catalog" | tr -d '"[]{}' | sed 's/repositories://; s/,/ /g'); do
        curl -fs "http://$REGISTRY/v2/$name/tags/list" | grep -o '"tags":\[[^]]*' | grep -o '"[^"]*"' | tr -d '"' |
            grep -v '^tags$' | sed "s,^,$name:,"
    done
}

# preload_host NAME IP [PATTERN]: pulls every lab image (or those that match) into the host's containerd
preload_host() {
    local id image
    id=$(must_have "$1")
    for image in $(lab_images | grep -E -- "${3:-.}"); do
        docker exec "$id" ctr -n k8s.io images pull --plain-http "$REGISTRY/$image" >/dev/null || return 1
    done
}
