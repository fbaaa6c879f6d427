# Asks the API of this control-plane host whether pods could be evicted now. The requests are dry runs on the server, which change nothing.
# Argument: `address` of the API server.
# Input: two lines per pod. The first is the API path of the pod's eviction subresource. The second is the JSON text of an Eviction without its
# beginning, the opening brace and `apiVersion`, which this script adds.
# Output: per pod the body of the API's response and a line `@end STATUS URL` with the HTTP status.
ask() { curl -sSg -m 60 --cacert "$dir/ca" --cert "$dir/cert" --key "$dir/key" "$@"; }
# The API version of the eviction subresource may be older than that of PodDisruptionBudgets, so the script asks the API for it.
version=policy/v1beta1
case $(ask "https://$address:$API_SERVER_PORT/api/v1" | tr -d ' \n' | grep -o '"name":"pods/eviction"[^}]*') in
  '') exit 3 ;;
  *'"version":"v1"'*) version=policy/v1 ;;
esac
n=0
while IFS= read -r path && IFS= read -r rest; do
  n=$((n + 1))
  printf '{"apiVersion":"%s",%s' "$version" "$rest" >"$dir/body$n"
  [ $n = 1 ] || echo next
  printf 'url = "https://%s%s"\ndata-binary = "@%s"\nheader = "Content-Type: application/json"\n' "$address:$API_SERVER_PORT" "$path" "$dir/body$n"
  printf 'silent\nshow-error\ngloboff\nmax-time = 20\ncacert = "%s/ca"\ncert = "%s/cert"\nkey = "%s/key"\nwrite-out = "\\n@end %%{http_code} %%{url_effective}\\n"\n' "$dir" "$dir" "$dir"
done >"$dir/asked"
[ $n = 0 ] || curl -K "$dir/asked"
