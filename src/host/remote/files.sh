# Writes files so that each is whole or untouched: beside, checked, synced, then renamed.
# Input, per file: a line `KIND MODE SIZE UNIT CHECK PATH` (`-` for none), then SIZE bytes.
# KIND: f file, l link (the bytes are its target), d folder. UNIT: service that must be restarted for it. CHECK: see below.
# A script whose run was killed may still be ending: one at a time.
exec 8>/run/clusterctl-files.lock
flock 8
list=
umask 077
fail() { echo "$*" >&2; rm -f $list; exit 1; }
dir_of() { dir=${1%/*}; [ -d "$dir" ] || (umask 022; mkdir -p "$dir"); }
while read -r kind mode size unit check path; do
  [ "$unit" = - ] || rm -f "/var/lib/clusterctl/units/$unit"
  case $kind in
  d)
    [ -d "$path" ] || mkdir -p "$path"
    chmod "$mode" "$path" && chown 0:0 "$path"
    continue ;;
  l)
    target=$(head -c "$size")
    dir_of "$path"
    ln -sfn "$target" "$path.clusterctl-new" && mv -Tf "$path.clusterctl-new" "$path"
    continue ;;
  esac
  dir_of "$path"
  tmp=$dir/.${path##*/}.clusterctl-new
  list="$list $tmp"
  head -c "$size" >"$tmp" || fail "cannot write $tmp"
  [ "$(stat -c %s "$tmp")" = "$size" ] || fail "$path: only part of the content arrived"
  [ "$mode" = 600 ] || chmod "$mode" "$tmp"
  [ "$check" = - ] || case $check in
  haproxy) out=$(haproxy -c -f "$tmp" 2>&1) || fail "haproxy refuses the new $path: $out" ;;
  nginx) out=$(nginx -t -c "$tmp" 2>&1) || fail "nginx refuses the new $path: $out" ;;
  # First process of its own: keepalived 2.2 believes its parent gone and ends itself when it checks scripts that are not root's.
  keepalived) out=$(unshare --pid --fork keepalived -t -f "$tmp" 2>&1) || fail "keepalived refuses the new $path: $out" ;;
  esac
done
[ -z "$list" ] || sync $list
for tmp in $list; do
  name=${tmp##*/.}
  mv -f "$tmp" "${tmp%/*}/${name%.clusterctl-new}"
done
