# Asks the API of this control-plane host; changes nothing.
# $1: API server address. Input: API paths, a line each; then `---`; then, if any, a List of objects of kinds whose paths are not known.
# Output: per path its body and a line `@end STATUS URL`; then, if asked, `@kubectl` and a List.
# The paths go over one connection: kubectl discovers the whole API before its first answer, which takes ten times as long.
[ "$(curl -sk -m 10 -o /dev/null -w '%{http_code}' "https://$address:6443/readyz")" = 200 ] || exit 3
while read -r path; do
  [ "$path" = --- ] && break
  printf 'url = "https://%s:6443%s"\n' "$address" "$path"
done >"$dir/urls"
curl -sSg -m 20 --cacert "$dir/ca" --cert "$dir/cert" --key "$dir/key" -w '\n@end %{http_code} %{url_effective}\n' -K "$dir/urls" || exit 1
cat >"$dir/ask"
[ -s "$dir/ask" ] || exit 0
echo @kubectl
/usr/local/bin/kubectl --kubeconfig $conf --server "https://$address:6443" --cache-dir "$dir/cache" --request-timeout 10s \
  get --ignore-not-found -o json -f "$dir/ask"
