# Reads every object of some resources and writes it again without a change, so that the API server stores it as it writes now. See kubectl.sh, and
# admin.sh for the folder $dir, which is in memory. An object that somebody else changes or deletes meanwhile is left alone: that write has stored it
# already. No value is printed, and no message of the API that could have one.
# Words: the resources.
ca=$dir/ca cert=$dir/cert key=$dir/key
api=https://$address:$API_SERVER_PORT
# A page is kept in memory twice, here and by kubectl, so it is small.
limit=100
# page URL: writes the answer to $dir/page and its status to $status.
page() {
  status=$(within 60 curl -sS -g -m $((50 * ${CLUSTERCTL_PATIENCE:-1})) -A clusterctl --cacert "$ca" --cert "$cert" --key "$key" \
    -o "$dir/page" -w '%{http_code}' "$1") || status=000
}
# token: the token of the next page; `metadata` precedes `items`, where no name of an object can be taken for it.
token() { head -c 8192 "$dir/page" | sed 's/"items":.*//' | grep -oE '"continue":"[A-Za-z0-9_=-]+"' | head -n 1 | cut -d '"' -f 4; }
# harmful: counts the messages of kubectl that are none of the two harmless ones, each cut down to a part that cannot have a value.
harmful() {
  sed -n '/^Error from server (\(Conflict\|NotFound\))/d; /./p' "$dir/said" | sed \
    -e 's/^\(Error from server ([A-Za-z]*)\).*\(admission webhook "[^"]*"\).*/\1: \2/; t' \
    -e 's/^\(Error from server ([A-Za-z]*)\).*/\1/; t' \
    -e 's/.*\(connect[a-z]* [a-z]*\|timeout\|timed out\|did not end\).*/\1/; t' \
    -e 's/.*/another error/' | sort | uniq -c | head -n 5
}
rewrite() {
  tries=0
  # kubectl ends with a failure if it could not write an object.
  until within 300 $KUBECTL --kubeconfig $conf --server "$api" --cache-dir $KUBECTL_CACHE_DIR \
    --request-timeout "$((30 * ${CLUSTERCTL_PATIENCE:-1}))s" replace --validate=false -f "$dir/page" >/dev/null 2>"$dir/said"; do
    [ -n "$(harmful)" ] || return 0
    tries=$((tries + 1))
    [ $tries -lt 10 ] || { echo "the API server does not write $1 again:" >&2; harmful >&2; exit 1; }
    sleep 1
    still_ours
  done
}
for resource; do
  next= again=0
  while :; do
    still_ours
    page "$api/api/v1/$resource?limit=$limit${next:+&continue=$next}"
    case $status in
      200) again=0 ;;
      # The token has expired. The answer has another one, with which the list goes on as it is now.
      410) again=$((again + 1)) next=$(token)
        [ $again -lt 10 ] || { echo "the list of $resource expires again and again" >&2; exit 1; }
        continue ;;
      *) again=$((again + 1))
        [ $again -lt 30 ] || { echo "the API server answers $status to the list of $resource" >&2; exit 1; }
        sleep 1
        continue ;;
    esac
    next=$(token)
    head -c 65536 "$dir/page" | grep -q '"items":\[{' && rewrite "$resource"
    [ -n "$next" ] || break
  done
done
