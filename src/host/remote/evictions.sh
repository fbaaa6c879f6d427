# Asks the API of this control-plane host whether pods could be evicted now. The requests are dry runs on the server, which change nothing.
# $1: the address of the API server.
# Input: two lines per pod, which are the path of its eviction, and the JSON text of an Eviction after its API version.
# Output: per pod the body of the answer and a line `@end STATUS URL`.
ask() { curl -sSg -m 60 --cacert "$dir/ca" --cert "$dir/cert" --key "$dir/key" "$@"; }
# The API version of the eviction subresource may be older than that of disruption budgets.
version=policy/v1beta1
case $(ask "https://$address:6443/api/v1" | tr -d ' \n' | grep -o '"name":"pods/eviction"[^}]*') in
  '') exit 3 ;;
  *'"version":"v1"'*) version=policy/v1 ;;
esac
n=0
while IFS= read -r path && IFS= read -r rest; do
  n=$((n + 1))
  printf '{"apiVersion":"%s",%s' "$version" "$rest" >"$dir/body$n"
  [ $n = 1 ] || echo next
  printf 'url = "https://%s:6443%s"\ndata-binary = "@%s"\nheader = "Content-Type: application/json"\n' "$address" "$path" "$dir/body$n"
  printf 'silent\nshow-error\ngloboff\nmax-time = 20\ncacert = "%s/ca"\ncert = "%s/cert"\nkey = "%s/key"\nwrite-out = "\\n@end %%{http_code} %%{url_effective}\\n"\n' "$dir" "$dir" "$dir"
done >"$dir/asked"
[ $n = 0 ] || curl -K "$dir/asked"
