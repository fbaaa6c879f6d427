# Checks whether this host can download what it needs; changes nothing. Only headers are requested.
# The words are groups that each end with `,`: `binary NAME URL...`, which is available if all URLs are, or `image NAME MANIFEST_URL...`, which is
# available if one URL is.
# Output: a line `missing KIND NAME CODE` per group that is not available, with the HTTP status of the last attempt, or 000 if there was no answer.
export LC_ALL=C
command -v curl >/dev/null || exit 0
code() {
  # A registry reports a manifest only to a client that accepts the manifest's media type.
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
      # A registry that first asks for a token is counted as having the image: more cannot be found out without a token.
      image-200|image-401|image-403) return ;;
      # All URLs of a binary must exist: the binary itself and its checksum.
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
  # The shell splits $urls into words on purpose: a URL has no spaces.
  ask "$kind" "$what" $urls &
  n=$((n + 1))
  [ $((n % 6)) = 0 ] && wait
done
wait
exit 0
