# Removes the paths given as arguments, with everything below them; see mounts.sh. Links are removed, never followed.
refuse_mounts "$@"
rm -rf --one-file-system -- "$@"
