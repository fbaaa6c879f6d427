# Prints how much of an upload has arrived.
# Output: `done`, or a size in bytes.
# $1: the path. $2: the sha256. $3: the mode. $4: the path of the partial file. Partial files of other contents are removed.
path=$1 sum=$2 mode=$3 part=$4
for other in "$path".*.part; do
  [ "$other" = "$part" ] || rm -f "$other"
done
if [ -f "$path" ] && [ "$(sha256sum <"$path")" = "$sum  -" ]; then
  chmod "$mode" "$path"
  rm -f "$part"
  echo done
  exit
fi
[ -d "${path%/*}" ] || (umask 022; mkdir -p "${path%/*}")
if [ -f "$part" ]; then stat -c %s "$part"; else echo 0; fi
