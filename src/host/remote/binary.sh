# Places a binary: downloaded with its published sha256, or taken out of an image. $1: path. $2: `url` or `image`. $3: source. $4: path in the image.
# $5: where it may lie already, brought there before it was wanted in place.
path=$1 kind=$2 source=$3 inner=${4:-} staged=${5:-}
part=$path.part
stamps=/var/lib/clusterctl/binaries
name=${path##*/}
[ "$path" != "$staged" ] || name=staged-$name
brought() {
  [ -e "$staged" ] && [ "$path" != "$staged" ] && [ -r "$stamps/staged-$name" ] || return 1
  { read -r _; read -r from; read -r was; } <"$stamps/staged-$name"
  [ "$from" = "$source" ] && [ "$(stat -Lc '%s %Y %Z %i' "$staged")" = "$was" ]
}
mkdir -p "${path%/*}" /var/lib/clusterctl/binaries
# A script whose run was killed may still be downloading: one at a time.
exec 8>"/run/clusterctl-$name.lock"
flock 8
if brought; then kind=brought; fi
case $kind in
brought) cp "$staged" "$part" ;;
url)
  sum=$(curl -fsSL --retry 3 --connect-timeout 10 "$source.sha256" | cut -c1-64) || { echo "cannot get $source.sha256" >&2; exit 1; }
  curl -fsSL --retry 3 --connect-timeout 10 -C - -o "$part" "$source" || curl -fsSL --retry 3 --connect-timeout 10 -o "$part" "$source" ||
    { echo "cannot get $source" >&2; exit 1; }
  if ! printf '%s  %s\n' "$sum" "$part" | sha256sum -c --status; then
    rm -f "$part"
    echo "$source does not have the sha256 that is published beside it ($sum)" >&2
    exit 1
  fi ;;
image)
  mount=$(mktemp -d /run/clusterctl.XXXXXX)
  trap 'ctr -n k8s.io images unmount --rm "$mount" >/dev/null 2>&1; rmdir "$mount" 2>/dev/null' EXIT
  ctr -n k8s.io images mount "$source" "$mount" >/dev/null
  cp "$mount$inner" "$part" ;;
esac
chmod 755 "$part" && chown 0:0 "$part"
sync "$part"
mv -f "$part" "$path"
stamp=$stamps/$name
printf '%s\n%s\n%s\n' "$path" "$source" "$(stat -Lc '%s %Y %Z %i' "$path")" >"$stamp.new"
mv -f "$stamp.new" "$stamp"
[ "$kind" != brought ] || rm -f "$staged" "$stamps/staged-$name"
