# Prints how much of an upload has arrived.
# Arguments: `path` of the file; `sum`, its sha256; `mode`; and `part`, the path of the partial file. Partial files of other contents are removed.
# Output: `done` if the whole file is in place, or else the size of the partial file in bytes.
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
