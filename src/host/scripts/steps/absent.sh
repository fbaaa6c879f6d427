# Removes the paths that are given as words, with everything below them; see mounts.sh. A symbolic link is removed, and its target is not. If something
# is mounted at or below one of the paths, nothing is removed: a mount at a path would be emptied, and the path itself could not be removed.
refuse_mounts_at "$@"
rm -rf --one-file-system -- "$@"
