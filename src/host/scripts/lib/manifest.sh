# Functions that place, copy and restore the manifests of static pods. A copy of a manifest is on the disk with its digest before the manifest is
# removed.
dir=$MANIFESTS_DIR
state=$STATIC_PODS_DIR
# stage FILE COMPONENT: copies FILE into the kubelet's manifest folder. The name of the copy begins with a dot, so the kubelet ignores it. After that,
# `place` only has to rename the copy, which succeeds even on a full disk.
stage() { cp "$1" "$dir/.$2.swap" && cmp -s "$1" "$dir/.$2.swap" && [ -s "$dir/.$2.swap" ] && sync "$dir/.$2.swap"; }
# place COMPONENT: renames the copy that `stage` made to the path of the component's manifest.
place() { mv -f "$dir/.$1.swap" "$dir/$1.yaml" && sync $dir; }
# keep_old COMPONENT: copies the present manifest to $state and writes its digest beside the copy. Fails unless both files are whole and on the disk.
keep_old() {
  [ -s "$dir/$1.yaml" ] || { forget_old "$1"; return 0; }
  sum=$(sha256sum <"$dir/$1.yaml") &&
    cp "$dir/$1.yaml" "$state/.$1.old" && [ "$(sha256sum <"$state/.$1.old")" = "$sum" ] &&
    printf '%s\n' "$sum" >"$state/.$1.old.sha256" && sync "$state/.$1.old" "$state/.$1.old.sha256" &&
    mv -f "$state/.$1.old.sha256" "$state/$1.old.sha256" && mv -f "$state/.$1.old" "$state/$1.old" && sync $state && return 0
  rm -f "$state/.$1.old" "$state/.$1.old.sha256"
  return 1
}
# old_is_whole COMPONENT: succeeds if a copy of the previous manifest exists and matches its digest.
old_is_whole() { [ -s "$state/$1.old" ] && [ "$(sha256sum <"$state/$1.old")" = "$(cat "$state/$1.old.sha256" 2>/dev/null)" ]; }
forget_old() { rm -f "$state/$1.old" "$state/$1.old.sha256"; }
boot_of() { echo "$KUBELET_DROP_IN_DIR/90-clusterctl-$1.conf"; }
# set_aside COMPONENT: renames the manifest for a while, so that the kubelet ends the pod. If the power fails meanwhile, a drop-in of the kubelet's
# unit restores the manifest before the kubelet starts.
set_aside() {
  boot=$(boot_of "$1")
  mkdir -p "${boot%/*}" &&
    printf '[Service]\nExecStartPre=-/bin/sh %s/swap-%s.sh action=restore component=%s\n' $state "$1" "$1" >"${boot%/*}/.90-clusterctl-$1" &&
    sync "${boot%/*}/.90-clusterctl-$1" && mv -f "${boot%/*}/.90-clusterctl-$1" "$boot" && sync "${boot%/*}" "${boot%/*/*}" &&
    mv -f "$dir/$1.yaml" "$dir/.$1.aside" && sync $dir
}
# back_in_place COMPONENT: removes the drop-in and the renamed manifest that `set_aside` left for a power failure.
back_in_place() {
  boot=$(boot_of "$1")
  rm -f "$dir/.$1.aside" "$dir/.$1.swap" "${boot%/*}/.90-clusterctl-$1" "$boot"
  rmdir "${boot%/*}" 2>/dev/null || :
}
# restore COMPONENT: if the component has no manifest, places the copy of its previous manifest, or the manifest that was set aside if that copy is
# damaged. Fails if there is neither.
restore() {
  if [ ! -e "$dir/$1.yaml" ]; then
    if old_is_whole "$1" && stage "$state/$1.old" "$1" && place "$1"; then
      :
    elif [ -s "$dir/.$1.aside" ]; then
      mv -f "$dir/.$1.aside" "$dir/$1.yaml" && sync $dir || return 1
    else
      echo "the manifest of $1 is not in place, and no whole copy of it is on this host" >&2
      return 1
    fi
  fi
  back_in_place "$1"
}
