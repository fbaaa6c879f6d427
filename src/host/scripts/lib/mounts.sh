# Finds mounts at and below folders, so that nothing is removed on another mount. Bind mounts of the same file system are found as well, because
# `find -xdev` and `rm --one-file-system` would descend into them.
# in_kernel PATH: prints the path as the kernel's list of mounts has it: with the folder of the path resolved, which may be reached through a link
# (/var/lib -> /data/lib). The path itself is not resolved, because a link is removed and not followed.
in_kernel() {
  folder=$(readlink -f -- "${1%/*}/") || { printf '%s\n' "$1"; return 0; }
  printf '%s/%s\n' "${folder%/}" "${1##*/}"
}
# mounts_like END PATH...: prints the mounts whose path is one of these paths followed by END, which is a shell pattern.
mounts_like() (
  end=$1
  shift
  for path; do set -- "$@" "$(in_kernel "$path")"; shift; done
  while read -r _ _ _ _ at _; do
    for path; do case $at in "$path"$end) printf '%s\n' "$at"; break ;; esac; done
  done </proc/self/mountinfo
)
# mounts_below FOLDER...: prints the mounts strictly below the folders. mounts_at PATH...: prints the mounts at exactly these paths.
mounts_below() { mounts_like '/*' "$@"; }
mounts_at() { mounts_like '' "$@"; }
# refuse_mounts FOLDER...: exits with an error if anything is mounted below one of the folders.
refuse_mounts() { inside=$(mounts_below "$@"); no_mount; }
# refuse_mounts_at PATH...: exits with an error if anything is mounted at or below one of the paths.
refuse_mounts_at() { inside=$(mounts_at "$@" && mounts_below "$@"); no_mount; }
# no_mount: exits with an error that names the mounts in $inside, if there are any.
no_mount() {
  [ -z "$inside" ] || {
    printf 'mounted at or below a path that is to be removed: %s\nunmount it, then run the same command again; nothing was deleted there\n' "$(printf '%s' "$inside" | tr '\n' ' ')" >&2
    exit 1
  }
}
