# Counts how values are stored, through this host's own etcd member; changes nothing. See encodings.sh.
# Words: resources. Output: the lines of `encodings`, and the line `@done` after the last one.
export LC_ALL=C
every_encoding "$@" || exit 1
echo @done
