# Checks that every stored value of some resources begins as it should, through this host's own etcd member; see encodings.sh. Changes nothing.
# Words: `RESOURCE BEGINNING` for each resource.
resources=$(for word; do printf '%s\n' "${word%% *}"; done)
# The names of resources have no blanks.
counts=$(every_encoding $resources) || { echo "etcd does not tell how its values are stored" >&2; exit 1; }
left=$(for word; do printf '%s\n' "$counts" | awk -v wanted="$word" 'NF == 3 && index(wanted, $1 " ") == 1 && $1 " " $3 != wanted'; done)
[ -z "$left" ] || {
  echo "these values have not been rewritten (resource, number, how they are stored):" >&2
  printf '%s\n' "$left" >&2
  exit 1
}
