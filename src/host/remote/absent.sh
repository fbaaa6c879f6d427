# Removes the paths given as arguments.
rm -rf -- "$@"
