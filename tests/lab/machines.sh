# machines.sh: starts virtual machines beside the lab's containers. They are Debian 13 servers with their own kernel, disk and boot, on the lab's
# network, for tests that containers cannot run: control groups of version 2, kernel modules, a reboot, a power failure. Sourced by `lab`.
# shellcheck shell=bash

MACHINES=$LAB/machines                              # shared by all machines: the base image of their disks, kernel and initrd
MACHINES_HERE=$MACHINES/$NET                        # one folder per machine of this network: disk, console, pid, address
MACHINE_KIND=debian13
MACHINE_PACKAGES=linux-image-cloud-amd64,initramfs-tools,udev
MACHINE_DISK=12G
MACHINE_MEMORY=${CLUSTERCTL_LAB_MACHINE_MEMORY:-3072}    # MiB

# build_machines: makes the base image over which each machine's disk is a layer, and the kernel and initrd with which qemu boots
build_machines() {
    local digest suite tree=$LAB/work/machine resolver=$RESOLVER start=$SECONDS hash
    suite=$(suite_of "$MACHINE_KIND") || exit
    [ "$resolver" != site ] || resolver=$SITE_IP
    digest=$(inputs servers.sh host/setup host/setup-machine)-$MACHINE_PACKAGES-$MACHINE_DISK-$SITE_IP-$resolver
    # These are installed one after the other: the first may remove a newer qemu-utils, which is not compatible with it, from this machine.
    need qemu-system-x86 e2fsprogs
    need qemu-utils
    done_with machines "$digest" && [ -e "$MACHINES/base.raw" ] && return
    say "bootstrapping the disk of virtual machines"
    [ -z "$(find "$MACHINES" -name ip 2>/dev/null)" ] || die "virtual machines over the earlier disk are still there: lab vm down removes them"
    rm -rf "$tree" "$MACHINES"; mkdir -p "$tree" "$MACHINES"
    hash=$(openssl passwd -6 -stdin <"$LAB/ssh/opspw.password")
    # shellcheck disable=SC2016
    PUBLIC_KEY=$(cat "$SSH_KEY.pub") OPSPW_HASH=$hash LAB_SITE=$SITE_IP LAB_RESOLVER=$resolver DEBIAN=${MACHINE_KIND#debian} \
        bootstrap "$suite" "$tree.tar" --variant=minbase --include="$HOST_PACKAGES,$MACHINE_PACKAGES" \
        --customize-hook='chroot "$1" apt-get -qq clean' \
        --customize-hook="$LAB_SRC/host/setup"' "$1"' --customize-hook="$LAB_SRC/host/setup-machine"' "$1"'
    tar -xf "$tree.tar" -C "$tree" --numeric-owner
    cp "$tree"/boot/vmlinuz-* "$MACHINES/vmlinuz"
    cp "$tree"/boot/initrd.img-* "$MACHINES/initrd"
    mkfs.ext4 -q -F -L root -d "$tree" "$MACHINES/base.raw" "$MACHINE_DISK"
    rm -rf "$tree" "$tree.tar"
    mark_done machines "$digest"
    say "disk of virtual machines ready in $((SECONDS - start)) s"
}

# machine_names: prints the names of the machines of this lab, running or not
machine_names() { local d; for d in "$MACHINES_HERE"/*/; do [ ! -e "$d/ip" ] || basename "$d"; done; }
machine_folder() { [ -e "$MACHINES_HERE/$1/ip" ] || die "no such virtual machine: $1"; echo "$MACHINES_HERE/$1"; }
machine_runs() { local pid; pid=$(cat "$1/pid" 2>/dev/null) && grep -qs "$1/disk" "/proc/$pid/cmdline"; }
tap_of() { echo "vm-${LAB_ID:0:4}-$1"; }

# acceleration: prints qemu's options for KVM if a kernel starts under KVM, and for software emulation otherwise. A machine with /dev/kvm may still
# be unable to run guests.
acceleration() {
    local probe=$MACHINES/kvm
    if [ ! -e "$probe" ]; then
        echo no >"$probe"
        if [ -w /dev/kvm ]; then
            : >"$probe.console"
            timeout -s KILL 20 qemu-system-x86_64 -accel kvm -cpu host -m 512 -nodefaults -display none -no-reboot \
                -serial "file:$probe.console" -kernel "$MACHINES/vmlinuz" -append 'console=ttyS0 panic=-1' >/dev/null 2>&1 &
            ! (wait_for 15 "a kernel starts under KVM" grep -q 'Linux version' "$probe.console") 2>/dev/null || echo yes >"$probe"
            kill %% 2>/dev/null || true
            wait %% 2>/dev/null || true
        fi
    fi
    if [ "$(cat "$probe")" = yes ]; then
        echo "-accel kvm -cpu host"
    else
        # With `-cpu max` and two processors, the guest's kernel panicked in nf_conntrack.
        echo "-accel tcg,thread=multi -cpu Haswell-v4,-hle,-rtm"
    fi
}

# machine_up NAME IP: creates a machine and waits until it answers over SSH
machine_up() {
    local name=$1 ip=$2 folder=$MACHINES_HERE/$1
    [[ $ip == "$SUBNET".* ]] || die "the address must lie in $SUBNET.0/24"
    [ -z "$(container "$name")" ] || die "a container is called $name: lab down removes it"
    [ ! -e "$folder/ip" ] || die "there is a virtual machine of this name: $name"
    [ -e "$MACHINES/base.raw" ] || die "this lab has no disk for virtual machines: run lab build --machines"
    lab_network
    lab_site
    mkdir -p "$folder"
    qemu-img create -q -f qcow2 -F raw -b "$MACHINES/base.raw" "$folder/disk"
    printf '%s\n' "$ip" >"$folder/ip"
    machine_start "$name"
}

# machine_start NAME: starts a machine and waits until it answers over SSH
machine_start() {
    local name=$1 folder ip tap bridge mac accel
    folder=$(machine_folder "$name") || exit
    ip=$(cat "$folder/ip") tap=$(tap_of "$name")
    ! machine_runs "$folder" || return 0
    bridge=br-$(docker network inspect -f '{{slice .Id 0 12}}' "$NET")
    ip link show "$tap" >/dev/null 2>&1 || ip tuntap add dev "$tap" mode tap
    ip link set "$tap" master "$bridge" up
    mac=52:54:00$(awk -F. '{printf ":%02x:%02x:%02x", $2, $3, $4}' <<<"$ip")
    accel=$(acceleration)
    : >"$folder/console"
    # Under software emulation, page table isolation, which is a mitigation of the kernel, costs more than everything else together.
    # shellcheck disable=SC2086
    qemu-system-x86_64 $accel -smp 2 -m "$MACHINE_MEMORY" -nodefaults -display none -daemonize -pidfile "$folder/pid" \
        -serial "file:$folder/console" -kernel "$MACHINES/vmlinuz" -initrd "$MACHINES/initrd" \
        -append "root=/dev/vda rw console=ttyS0 net.ifnames=0 panic=10 mitigations=off systemd.hostname=$name ip=$ip::$SITE_IP:255.255.255.0:$name:eth0:off" \
        -drive "file=$folder/disk,if=virtio,format=qcow2" -netdev "tap,id=n,ifname=$tap,script=no,downscript=no" -device "virtio-net-pci,netdev=n,mac=$mac" \
        -device virtio-rng-pci
    keys() { tr -d '\r' <"$folder/console" | sed -n 's/^.*host-key \(.*\) end$/\1/p' | grep .; }
    two_keys() { [ "$(keys | wc -l)" -ge 2 ]; }
    wait_for 300 "$name prints its SSH host keys on its console ($folder/console)" two_keys
    know_host "$ip" "$(keys)"
    wait_for 300 "$name accepts the lab's key over SSH" machine_ssh "$name" true
}

# machine_ssh NAME COMMAND...: runs a command as the user ops. An emulated machine may take long to answer; if an option is given twice, ssh uses
# the first.
machine_ssh() { local ip; ip=$(cat "$(machine_folder "$1")/ip"); shift; ssh -o ConnectTimeout=60 "${SSH[@]:1}" "ops@$ip" "$@"; }

# machine_kill NAME: simulates a power failure. Data that the guest had not yet written to its disk is lost.
machine_kill() {
    local folder
    folder=$(machine_folder "$1") || exit
    machine_runs "$folder" || return 0
    kill -KILL "$(cat "$folder/pid")"
    gone() { ! machine_runs "$folder"; }
    wait_for 20 "the process of $1 is gone" gone
}

# machines_down: removes every machine of this lab with its disk
machines_down() {
    local name
    for name in $(machine_names); do
        machine_kill "$name"
        ip link del "$(tap_of "$name")" 2>/dev/null || true
        forget_host "$(cat "$MACHINES_HERE/$name/ip")"
        rm -rf "${MACHINES_HERE:?}/$name"
    done
}

vm() {
    local verb=${1:-}
    shift || true
    case $verb in
        up)    read_record; machine_up "${1:?lab vm up NAME IP}" "${2:?lab vm up NAME IP}" ;;
        start) machine_start "${1:?lab vm start NAME}" ;;
        kill)  machine_kill "${1:?lab vm kill NAME}" ;;
        ssh)   machine_ssh "$@" ;;
        list)  machine_names ;;
        down)  machines_down ;;
        *)     usage >&2; exit 2 ;;
    esac
}
