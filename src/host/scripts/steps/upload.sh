# Receives the rest of a file, checks the whole file, and puts it into place.
# Arguments: `path` of the file; `sum`, its sha256; `mode`; `part`, the path of the partial file; `size` of the whole file in bytes; and `offset`, the
# number of bytes that have arrived already. After an interruption the partial file stays, so that the next run can resume the upload.
umask 077
[ "$offset" != 0 ] || : >"$part"
[ "$(stat -c %s "$part")" = "$offset" ] || { echo "$part has changed meanwhile" >&2; exit 1; }
cat >>"$part"
have=$(stat -c %s "$part")
[ "$have" = "$size" ] || { echo "$path: $have of $size bytes arrived" >&2; exit 1; }
if [ "$(sha256sum <"$part")" != "$sum  -" ]; then
  rm -f "$part"
  echo "what arrived for $path does not have the sha256 $sum" >&2
  exit 1
fi
chmod "$mode" "$part"
sync "$part"
# This run may have lost the lock of the host during the transfer, and must then not replace the file.
still_ours
mv -f "$part" "$path"
sync "${path%/*}"
