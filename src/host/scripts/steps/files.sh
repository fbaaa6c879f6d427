# Writes files so that each is either whole or unchanged. A file is written beside its path, checked, synced, and then renamed.
# Input, per file: a line `KIND MODE SIZE UNIT CHECK PATH` (`-` means none), then SIZE bytes. KIND: `f` is a file, `l` a symbolic link (the bytes are
# its target), `d` a folder. UNIT: the service that must be restarted after the file has changed. CHECK: the program that checks the new file
# (haproxy, nginx or keepalived).
take_input
# Only one files.sh runs at a time: the files.sh of an earlier run that was killed may still be at work.
exec 8>/run/clusterctl-files.lock
take_turn 8 60 files
still_ours
files= links= units= folders= of_kubelet=
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
  [ "$unit" != kubelet ] || of_kubelet="$of_kubelet $path"
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
# keep PATH...: copies the files with which the kubelet last ran, so that unit.sh can put them back; see put_back there. The file `list` has a line
# `NUMBER PATH` for each copy, and `- PATH` for a file that did not exist. Without a stamp, nobody has seen the kubelet run with the present files. An
# earlier run that was interrupted may then have copied some of the files, and the other ones have not changed since.
keep() {
  spare=$KUBELET_SPARE_DIR
  [ -e $UNITS_DIR/kubelet ] || [ -s $spare/list ] || return 0
  rm -rf --one-file-system $spare.new && mkdir -m 0700 $spare.new || return 1
  if [ -e $UNITS_DIR/kubelet ]; then
    cp $UNITS_DIR/kubelet $spare.new/stamp && : >$spare.new/list || return 1
  else
    cp -p $spare/* $spare.new/ || return 1
  fi
  n=$(grep -c . $spare.new/list) || :
  for path; do
    if grep -q " $path\$" $spare.new/list; then continue; fi
    n=$((n + 1)) number=-
    if [ -e "$path" ]; then
      number=$n
      cp -p "$path" "$spare.new/$n" && cmp -s "$path" "$spare.new/$n" || return 1
    fi
    printf '%s %s\n' "$number" "$path" >>$spare.new/list || return 1
  done
  sync $spare.new/* $spare.new && rm -rf --one-file-system $spare && mv -T $spare.new $spare && sync ${spare%/*}
}
[ -z "$of_kubelet" ] || keep $of_kubelet || fail "the present files of the kubelet cannot be kept in $STATE_DIR"
# The stamps of the services are removed before the files are renamed: a service without a stamp is restarted by the next run, at worst once more than
# needed.
[ -z "$units" ] || rm -f $units
for tmp in $files $links; do
  name=${tmp##*/.}
  mv -Tf "$tmp" "${tmp%/*}/${name%.clusterctl-new}"
done
[ -z "$folders" ] || sync $(printf '%s\n' $folders | sort -u)
