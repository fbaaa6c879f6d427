# Asks the API of this control-plane host; changes nothing.
# $1: API server address. Input: API paths, a line each; then `---`; then, if any, a List of objects of kinds whose paths are not known.
# Output, compressed: per path its body and a line `@end STATUS URL`, for a list one after another for each of its pages; the status is 000
# where there was no answer. Then, if asked, `@kubectl` and a List, and `@failed` and kubectl's words if it failed. The last line is `@done`.
patience=${CLUSTERCTL_PATIENCE:-1}
[ "$(curl -sk -m $((10 * patience)) -o /dev/null -w '%{http_code}' "https://$address:6443/readyz")" = 200 ] || exit 3
while IFS= read -r path; do
  [ "$path" = --- ] && break
  printf 'url = "https://%s:6443%s"\n' "$address" "$path"
done >"$dir/urls"
cat >"$dir/ask"
: >"$dir/again"
# One round: one curl for all that is left in `urls`, over one connection, and one awk that passes the answers on and leaves in `urls` what to
# ask next: the next page of every list that has one. A list whose pages the API keeps no longer (410) is asked for from its beginning, once.
# kubectl would discover the whole API before its first answer, which takes ten times as long, and keeps every page in memory.
# Each page has 30 seconds. All of a round have 120: an API server that has stopped answering is not waited for once per question.
# A client that calls itself curl gets its answers indented, which makes them twice as long. Bodies that are not indented are single lines, and
# `metadata` comes before `items` in a list, so only the part before the items is searched for the token, and no object's name can be taken for one. A page that is cut short has
# no next one.
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
  timeout -k 5 $((60 * patience)) /usr/local/bin/kubectl --kubeconfig $conf --server "https://$address:6443" --cache-dir "$dir/cache" \
    --request-timeout $((10 * patience))s get --ignore-not-found -o json -f "$dir/ask" 2>"$dir/said" && return
  [ $? != 124 ] || echo "kubectl did not end within $((60 * patience)) s" >>"$dir/said"
  # An object of a kind that the API does not know, such as one whose CustomResourceDefinition has yet to be applied, is absent.
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
