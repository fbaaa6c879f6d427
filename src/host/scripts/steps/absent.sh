# Removes the paths that are given as words, with everything below them; see mounts.sh. A symbolic link is removed, and its target is not. If something is
# mounted below one of the paths, nothing is removed.
refuse_mounts "$@"
rm -rf --one-file-system -- "$@"
