# Finds the etcd versions before and after a change. As soon as every member runs a new minor version, etcd raises its cluster version, and an etcd
# executable of the previous minor version then refuses to start ("invalid downgrade"). Needs etcdctl.sh.
# minor_of TEXT: prints the first `MAJOR.MINOR` in the text.
minor_of() { printf '%s\n' "$1" | grep -oE '[0-9]+\.[0-9]+' | sed -n 1p; }
# client_urls: prints the client URLs of all members, as this host's own member lists them.
client_urls() { own_member --command-timeout 2s member list 2>/dev/null | cut -d, -f5 | tr -d ' '; }
# note_etcd: writes the client URLs of all members to a file for has_no_way_back, which needs them when this host's own member does not answer any
# more. If it does not answer now, what was written earlier stays.
note_etcd() {
  members=$(client_urls) || members=
  [ -z "$members" ] || printf '%s\n' "$members" >$STATIC_PODS_DIR/etcd.before
}
# cluster_minor URL...: prints the cluster version (MAJOR.MINOR) that the first answering member at these client URLs reports, or nothing if no member
# answers.
cluster_minor() {
  for member; do
    answer=$(curl -s -m 2 --cacert $ETCDCTL_CACERT --cert $ETCDCTL_CERT --key $ETCDCTL_KEY "$member/version") || continue
    said=$(minor_of "$(printf %s "$answer" | sed -n 's/.*"etcdcluster":"\([^"]*\)".*/\1/p')")
    [ -z "$said" ] || { echo "$said"; return 0; }
  done
}
# is_older MINOR MINOR: succeeds if the first version is older than the second one.
is_older() { [ "${1%%.*}" -lt "${2%%.*}" ] || { [ "${1%%.*}" = "${2%%.*}" ] && [ "${1#*.}" -lt "${2#*.}" ]; }; }
