# Finds mounts strictly below folders, so that nothing is removed on another mount. Bind mounts of the same file system are found as well, because
# `find -xdev` and `rm --one-file-system` would descend into them.
mounts_below() {
  for folder; do
    while read -r _ _ _ _ at _; do
      case $at in "$folder"/*) printf '%s\n' "$at" ;; esac
    done </proc/self/mountinfo
  done
}
# refuse_mounts FOLDER...: exits with an error if anything is mounted below one of the folders.
refuse_mounts() {
  inside=$(mounts_below "$@")
  [ -z "$inside" ] || {
    printf 'mounted below a folder that is to be removed: %s\nunmount it, then run the same command again; nothing was deleted there\n' "$(printf '%s' "$inside" | tr '\n' ' ')" >&2
    exit 1
  }
}
