# Writes files so that each is either whole or unchanged. A file is written beside its path, checked, synced, and then renamed.
# Input, per file: a line `KIND MODE SIZE UNIT CHECK PATH` (`-` means none), then SIZE bytes. KIND: `f` is a file, `l` a symbolic link (the bytes are
# its target), `d` a folder. UNIT: the service that must be restarted after the file has changed. CHECK: the program that checks the new file
# (haproxy, nginx or keepalived).
take_input
# Only one files.sh runs at a time: the files.sh of an earlier run that was killed may still be at work.
exec 8>/run/clusterctl-files.lock
take_turn 8 60 files
still_ours
files= links= units= folders=
umask 077
fail() { echo "$*; nothing was changed" >&2; rm -f $files $links; exit 1; }
dir_of() { dir=${1%/*}; [ -d "$dir" ] || (umask 022; mkdir -p "$dir"); }
while read -r kind mode size unit check path; do
  [ "$unit" = - ] || units="$units $UNITS_DIR/$unit"
  if [ "$kind" = d ]; then
    [ -d "$path" ] || mkdir -p "$path"
    { chmod "$mode" "$path" && chown 0:0 "$path"; } || fail "cannot set the mode and the owner of the folder $path"
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
  # keepalived runs as process 1 of a PID namespace. Elsewhere keepalived 2.2, while it checks scripts that root does not own, assumes that its parent
  # has died, and exits.
  keepalived) out=$(unshare --pid --fork keepalived -t -f "$tmp" 2>&1) || fail "keepalived refuses the new $path: $out" ;;
  esac
done
[ -z "$files" ] || sync $files || fail "cannot write to the disk"
# The stamps of the services are removed before the files are renamed: a service without a stamp is restarted by the next run, at worst once more than
# needed.
[ -z "$units" ] || rm -f $units
for tmp in $files $links; do
  name=${tmp##*/.}
  mv -Tf "$tmp" "${tmp%/*}/${name%.clusterctl-new}"
done
[ -z "$folders" ] || sync $(printf '%s\n' $folders | sort -u)
