# Removes the paths given as arguments, with everything below them; see mounts.sh. A symbolic link is removed, and its target is not.
refuse_mounts "$@"
rm -rf --one-file-system -- "$@"
