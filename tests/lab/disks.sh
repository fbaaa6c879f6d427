# disks.sh: gives a host a disk of its own whose power can be cut: an ext4 file system on a loop device, which holds all folders that clusterctl
# writes to. Docker's own volumes cannot lose power: what a program has written stays in the memory of this machine, even if the host is killed.
# Sourced by `lab`.
# shellcheck shell=bash

DISKS=$LAB/disks/$NET                               # per host: NAME.ext4, the disk, and NAME, the folder at which it is mounted
DISK_SIZE=8G
DISK_FOLDERS=(etc opt usr/local var/lib/containerd var/lib/kubelet var/lib/etcd var/lib/clusterctl)

volume_of() { echo "$NET-$1-${2//\//-}"; }          # volume_of NAME FOLDER: prints the name of the Docker volume

# disk_host NAME: makes the disk that the host NAME has from its next creation on. Each folder becomes a Docker volume on the disk, because Docker
# fills an empty volume with the files of the image.
disk_host() {
    local at=$DISKS/$1 folder
    [ -z "$(container "$1")" ] || die "$1 exists already: a disk is made before its host"
    [ ! -e "$at.ext4" ] || return 0
    need e2fsprogs
    mkdir -p "$at"
    truncate -s "$DISK_SIZE" "$at.ext4"
    mkfs.ext4 -q -F "$at.ext4"
    mount -o loop "$at.ext4" "$at"
    for folder in "${DISK_FOLDERS[@]}"; do
        mkdir -p "$at/$folder"
        docker volume create --driver local --label "$LABEL" --opt type=none --opt o=bind --opt device="$at/$folder" "$(volume_of "$1" "$folder")" >/dev/null
    done
}

# disk_options NAME: prints the options of `docker run` that give the host its disk, one per line; nothing if it has none
disk_options() {
    local folder
    [ -e "$DISKS/$1.ext4" ] || return 0
    for folder in "${DISK_FOLDERS[@]}"; do printf '%s\n' -v "$(volume_of "$1" "$folder"):/$folder"; done
}

# power_cut_host NAME: the power of the host fails: what was not yet on the disk is lost, and all processes end. Afterwards the host is off, and the
# disk is mounted again, which replays its journal as at a boot.
power_cut_host() {
    local at=$DISKS/$1 id
    id=$(must_have "$1")
    [ -e "$at.ext4" ] || die "$1 has no disk whose power can be cut: run lab disk $1 before the host is made"
    # EXT4_IOC_SHUTDOWN with the flag NOLOGFLUSH: from this moment on nothing is written, not even the journal.
    python3 -c "import fcntl, os, struct, sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))" "$at"
    docker kill "$id" >/dev/null
    wait_for 30 "the disk of $1 is not in use" umount "$at"
    mount -o loop "$at.ext4" "$at"
}

# remove_disk NAME: removes the disk of a host that no longer exists, if it has one
remove_disk() {
    local at=$DISKS/$1 folder
    [ -e "$at.ext4" ] || return 0
    for folder in "${DISK_FOLDERS[@]}"; do docker volume rm -f "$(volume_of "$1" "$folder")" >/dev/null; done
    ! mountpoint -q "$at" || wait_for 30 "the disk of $1 is not in use" umount "$at"
    rmdir "$at"
    rm -f "$at.ext4"
}

# remove_disks: removes the disks of all hosts of this network
remove_disks() {
    local disk
    for disk in "$DISKS"/*.ext4; do [ ! -e "$disk" ] || remove_disk "$(basename "$disk" .ext4)"; done
}
