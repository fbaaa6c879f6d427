# Writes files so that each is whole or untouched: beside, checked, synced, then renamed.
# Input, per file: a line `KIND MODE SIZE UNIT CHECK PATH` (`-` for none), then SIZE bytes.
# KIND: f file, l link (the bytes are its target), d folder. UNIT: service that must be restarted for it. CHECK: see below.
take_input
# A script whose run was killed may still be ending: one at a time.
exec 8>/run/clusterctl-files.lock
take_turn 8 60 files
still_ours
files= links= units= folders=
umask 077
fail() { echo "$*; nothing was changed" >&2; rm -f $files $links; exit 1; }
dir_of() { dir=${1%/*}; [ -d "$dir" ] || (umask 022; mkdir -p "$dir"); }
while read -r kind mode size unit check path; do
  [ "$unit" = - ] || units="$units /var/lib/clusterctl/units/$unit"
  if [ "$kind" = d ]; then
    [ -d "$path" ] || mkdir -p "$path"
    chmod "$mode" "$path" && chown 0:0 "$path"
    continue
  fi
  dir_of "$path"
  folders="$folders $dir"
  tmp=$dir/.${path##*/}.clusterctl-new
  if [ "$kind" = l ]; then
    links="$links $tmp"
    ln -sfn "$(head -c "$size")" "$tmp" || fail "cannot write $tmp"
    continue
  fi
  files="$files $tmp"
  head -c "$size" >"$tmp" || fail "cannot write $tmp"
  [ "$(stat -c %s "$tmp")" = "$size" ] || fail "cannot write the whole of $tmp"
  [ "$mode" = 600 ] || chmod "$mode" "$tmp" || fail "cannot set the mode of $tmp"
  [ "$check" = - ] || case $check in
  haproxy) out=$(haproxy -c -f "$tmp" 2>&1) || fail "haproxy refuses the new $path: $out" ;;
  nginx) out=$(nginx -t -c "$tmp" 2>&1) || fail "nginx refuses the new $path: $out" ;;
  # First process of its own: keepalived 2.2 believes its parent gone and ends itself when it checks scripts that are not root's.
  keepalived) out=$(unshare --pid --fork keepalived -t -f "$tmp" 2>&1) || fail "keepalived refuses the new $path: $out" ;;
  esac
done
[ -z "$files" ] || sync $files || fail "cannot write to the disk"
# A service whose stamp is gone is restarted, at worst once too often.
[ -z "$units" ] || rm -f $units
for tmp in $files $links; do
  name=${tmp##*/.}
  mv -Tf "$tmp" "${tmp%/*}/${name%.clusterctl-new}"
done
[ -z "$folders" ] || sync $(printf '%s\n' $folders | sort -u)
