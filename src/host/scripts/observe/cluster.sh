# Asks the API of this control-plane host; changes nothing.
# Argument: `address` of the API server. Exit status 3 means that this API server is not ready.
# Input: API paths, one per line; then `---`; then, optionally, a List of objects of kinds whose API paths are not known.
# Output, compressed with gzip: for each path the body of the response and a line `@end STATUS URL`; a list has both for each of its pages. STATUS is
# the HTTP status, or 000 if there was no response. If the input has a List, the line `@kubectl` and a List of the objects that exist follow, and, if
# kubectl failed, the line `@failed` and kubectl's message. The last line is `@done`.
patience=${CLUSTERCTL_PATIENCE:-1}
[ "$(curl -sk -m $((10 * patience)) -o /dev/null -w '%{http_code}' "https://$address:$API_SERVER_PORT/readyz")" = 200 ] || exit 3
while IFS= read -r path; do
  [ "$path" = --- ] && break
  printf 'url = "https://%s%s"\n' "$address:$API_SERVER_PORT" "$path"
done >"$dir/urls"
cat >"$dir/ask"
: >"$dir/again"
# Runs one round. One curl requests all URLs in the file `urls` over one connection. One awk prints the responses, and replaces the content of `urls`
# by the URLs of the next pages of lists. A list whose next page has expired in the API (410) is requested from its first page again, once. kubectl is
# not used, because it would discover the whole API before its first response, which takes ten times as long, and because it keeps all pages in
# memory. A page has a limit of 30 seconds and a round a limit of 120, so that the script does not wait 30 seconds per URL for an API server that has
# stopped answering. The client is not named curl (-A), because the API server indents its responses for curl, which makes them twice as long. A body
# without indentation is a single line, and `metadata` precedes `items` in a list, so the token of the next page is searched for only before `items`,
# where no name of an object can be taken for it. No page is requested after a page that was cut short.
round() {
  timeout -k 5 $((120 * patience)) curl -sSg -m $((30 * patience)) -A clusterctl --cacert "$dir/ca" --cert "$dir/cert" --key "$dir/key" \
    -w '\n@end %{http_code} %{url_effective}\n' -K "$dir/urls" |
    awk -v urls="$dir/urls" -v again="$dir/again" '
      BEGIN { while ((getline line <again) > 0) begun[line] = 1 }
      { print }
      substr($0, 1, 5) != "@end " { if (head == "") { head = substr($0, 1, 8192); whole = substr($0, length($0) - 1) == "]}" } next }
      {
        split($0, end, " ")
        first = end[3]
        sub(/&continue=.*/, "", first)
        items = index(head, "\"items\":")
        head = substr(head, 1, items)
        if (end[2] == 200 && items && whole && match(head, /"continue":"[A-Za-z0-9_=-]+"/))
          more = more "url = \"" first "&continue=" substr(head, RSTART + 12, RLENGTH - 13) "\"\n"
        if (end[2] == 410 && end[3] != first && !(first in begun)) {
          print first >>again
          more = more "url = \"" first "\"\n"
        }
        head = ""
      }
      END { printf "%s", more >urls }'
}
others() {
  echo @kubectl
  timeout -k 5 $((60 * patience)) $KUBECTL --kubeconfig $conf --server "https://$address:$API_SERVER_PORT" --cache-dir "$dir/cache" \
    --request-timeout $((10 * patience))s get --ignore-not-found -o json -f "$dir/ask" 2>"$dir/said" && return
  [ $? != 124 ] || echo "kubectl did not end within $((60 * patience)) s" >>"$dir/said"
  # The API may not know the kind of an object, for example because its CustomResourceDefinition is applied later. Such an object is absent.
  if grep -vE 'no matches for kind|resource mapping not found|ensure CRDs are installed first' "$dir/said" | grep . >"$dir/why"; then
    echo
    echo @failed
    cat "$dir/why"
  fi
}
{
  while [ -s "$dir/urls" ]; do round || break; done
  [ ! -s "$dir/ask" ] || others
  echo @done
} | gzip -1
