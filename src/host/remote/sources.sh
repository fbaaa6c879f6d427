# Whether this host can get what it is to get; changes nothing, fetches nothing whole.
# Arguments, in groups: `binary URL URL` or `image REFERENCE MANIFEST_URL...`, each group ended by `,`.
# Output: `missing KIND WHAT CODE`, with the HTTP status of the last try, or 000 when nobody answered.
export LC_ALL=C
command -v curl >/dev/null || exit 0
code() {
  # Registries say which manifests they have only to those who say which they understand.
  curl -skL -m 15 --connect-timeout 5 -o /dev/null -w '%{http_code}' "$@" -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
    -H 'Accept: application/vnd.docker.distribution.manifest.list.v2+json' -H 'Accept: application/vnd.oci.image.index.v1+json' \
    -H 'Accept: application/vnd.oci.image.manifest.v1+json' 2>/dev/null
}
ask() {
  kind=$1 what=$2 last=000
  shift 2
  for url; do
    last=$(code -I "$url") || :
    case $kind-$last in
      # A registry that wants a token first has it, as far as can be told without one.
      image-200|image-401|image-403) return ;;
      # A program and its checksum must both be there.
      binary-200) continue ;;
      binary-*) printf 'missing %s %s %s\n' "$kind" "$what" "$last"; return ;;
    esac
  done
  [ "$kind" = binary ] || printf 'missing %s %s %s\n' "$kind" "$what" "$last"
}
n=0
while [ $# -gt 0 ]; do
  kind=$1 what=$2
  shift 2
  urls=
  while [ "$1" != , ]; do urls="$urls $1"; shift; done
  shift
  # Word by word on purpose: a URL holds no spaces.
  ask "$kind" "$what" $urls &
  n=$((n + 1))
  [ $((n % 6)) = 0 ] && wait
done
wait
exit 0
