# Places a binary that is downloaded with its published sha256, or copied out of an image.
# Arguments: `path` of the binary; `kind`, which is `url` or `image`; `source`, which is the URL or the image; `inner`, the path of the binary in the
# image; and `staged`, the path of a copy that an earlier step may have brought to this host. A copy that came from `source` is used instead of a
# download.
part=$path.part
part_of=$part.of
stamps=$BINARIES_DIR
name=${path##*/}
[ "$path" != "$staged" ] || name=staged-$name
brought() {
  [ -e "$staged" ] && [ "$path" != "$staged" ] && [ -r "$stamps/staged-$name" ] || return 1
  { read -r _; read -r from; read -r was; } <"$stamps/staged-$name"
  [ "$from" = "$source" ] && [ "$(stat -Lc '%s %Y %Z %i' "$staged")" = "$was" ]
}
mkdir -p "${path%/*}" $BINARIES_DIR
exec 8>"/run/clusterctl-$name.lock"
take_turn 8 60 "$path"
still_ours
# get WORD...: runs curl, which gives up if less than 1 KiB/s arrives for 30 s. The part of a file that has arrived stays, and the next call can
# resume it.
get() { within 400 curl -fsSL --retry 3 --connect-timeout 10 --speed-limit 1024 --speed-time 30 "$@"; }
# cannot_get STATUS: prints why curl failed, and exits. Status 23 of curl means that the URL was reached, and that its data could not be written on
# this host.
cannot_get() {
  if [ "$1" = 23 ]; then
    why=$(echo x | cat 2>&1 >>"$part") || true
    rm -f "$part" "$part_of"
    echo "cannot write $part: ${why:-curl ended with 23}" >&2
  else
    echo "cannot get $source" >&2
  fi
  exit 1
}
c() { within 60 ctr -n k8s.io "$@"; }
if brought; then kind=brought; fi
case $kind in
brought) cp "$staged" "$part" ;;
url)
  sum=$(get "$source.sha256") || { echo "cannot get $source.sha256" >&2; exit 1; }
  sum=$(printf %.64s "$sum")
  case $sum in *[!0-9a-f]*) sum= ;; esac
  [ ${#sum} = 64 ] || { echo "$source.sha256 does not begin with a sha256" >&2; exit 1; }
  # A partial download is resumed only if it was begun from the same URL with the same sha256; otherwise it is removed.
  [ "$(cat "$part_of" 2>/dev/null)" = "$source $sum" ] || rm -f "$part"
  printf '%s' "$source $sum" >"$part_of"
  get -C - -o "$part" "$source" || get -o "$part" "$source" || cannot_get "$?"
  if ! printf '%s  %s\n' "$sum" "$part" | sha256sum -c --status; then
    rm -f "$part" "$part_of"
    echo "$source does not have the sha256 that is published beside it ($sum)" >&2
    exit 1
  fi ;;
image)
  # The mount point is always the same one, so that what a killed script has left there is unmounted first.
  mount=/run/clusterctl-$name.mount
  trap unmounted EXIT
  unmounted
  mounted "$source"
  cp "$mount$inner" "$part" ;;
esac
rm -f "$part_of"
chmod 755 "$part"
chown 0:0 "$part"
sync "$part"
# This run may have lost the lock of the host during the download, and must then not replace the binary.
still_ours
mv -f "$part" "$path"
sync "${path%/*}"
stamp=$stamps/$name
printf '%s\n%s\n%s\n' "$path" "$source" "$(stat -Lc '%s %Y %Z %i' "$path")" >"$stamp.new"
mv -f "$stamp.new" "$stamp"
[ "$kind" != brought ] || rm -f "$staged" "$stamps/staged-$name"
