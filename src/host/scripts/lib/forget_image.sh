# Functions that remove images from containerd with all their layers, so that the next pull unpacks them anew.
# forget_leases: removes the leases that are older than the start of containerd, and what only they keep. Such a lease belongs to a client that is gone:
# a pull that was killed leaves its lease, which keeps the layers of the image for a day, even if the image is removed.
forget_leases() {
  began=$(stat -c %Y $CONTAINERD_SOCKET) || return 1
  within 60 ctr -n k8s.io leases ls | awk '/containerd.io\/gc.expire=/ { print $1, $2 }' | while read -r lease created; do
    created=$(date -d "$created" +%s) || continue
    [ "$created" -ge "$began" ] || within 60 ctr -n k8s.io leases rm --sync "$lease" >/dev/null || :
  done
}
# forget_image REFERENCE: removes the image under each of its names.
forget_image() {
  forget_leases || return 1
  listed=$(within 60 ctr -n k8s.io images ls) || return 1
  digest=$(printf '%s\n' "$listed" | awk -v i="$1" '$1 == i { print $3 }')
  [ -n "$digest" ] || return 0
  within 60 ctr -n k8s.io images rm --sync $(printf '%s\n' "$listed" | awk -v d="$digest" '$3 == d { print $1 }') >/dev/null
}
