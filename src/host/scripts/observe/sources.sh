# Checks whether this host can download what it needs; changes nothing. Only headers are requested.
# The words are groups that each end with `,`: `binary NAME ID URL...`, which is available if all URLs are, or `image NAME ID MANIFEST_URL...`, which is
# available if one URL is. Each URL comes after the ID of its options, or after `-` if it has none. The name of an ID begins with `password` if the
# options have a password.
# Input: lines `ID LINE`, where LINE is a line of curl's configuration, or `ca` and certificates in Base64.
# Output: a line `missing KIND NAME CODE` per group that is not available, with the HTTP status of the last attempt, 000 if there was no answer, or `tls`
# if the certificate of the server is not trusted. A password that was refused and a certificate that is not trusted count more than a later attempt,
# because the container runtime, too, reports its first failure.
export LC_ALL=C
# A URL can have `?` in it, which the shell must not take for a pattern.
set -f
# The options stay in a variable of this shell, which no other process can read; curl reads them from its input. Only certificates become files.
options=$(cat)
command -v curl >/dev/null || exit 0
folder=$(mktemp -d /run/clusterctl-sources.XXXXXX) || exit 0
trap 'rm -rf "$folder"' EXIT
printf '%s\n' "$options" | while read -r id word ca; do
  [ "$word" != ca ] || { cat /etc/ssl/certs/ca-certificates.crt 2>/dev/null; printf '%s' "$ca" | base64 -d; } >"$folder/$id"
done
# code ID WORD...: prints the HTTP status. Without options, the certificate of the server is not checked, because nothing secret is sent and nothing is
# used that arrives.
code() {
  id=$1
  shift
  if [ "$id" = - ]; then
    set -- -k "$@"
  elif [ -e "$folder/$id" ]; then
    set -- --cacert "$folder/$id" "$@"
  fi
  # A registry reports a manifest only to a client that accepts the manifest's media type.
  printf '%s\n' "$options" | sed -n "s/^$id \(header = \)/\1/p" |
    curl -K - -sL -m 15 --connect-timeout 5 -o /dev/null -w '%{http_code}' "$@" -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
      -H 'Accept: application/vnd.docker.distribution.manifest.list.v2+json' -H 'Accept: application/vnd.oci.image.index.v1+json' \
      -H 'Accept: application/vnd.oci.image.manifest.v1+json' 2>/dev/null
}
ask() {
  kind=$1 what=$2 last=000 cause=
  shift 2
  while [ $# -gt 0 ]; do
    access=$1
    last=$(code "$access" -I "$2") || case $? in
      60|77) last=tls cause=${cause:-tls} ;;
    esac
    shift 2
    case $kind-$last-$access in
      image-40[13]-password*) cause=${cause:-$last} ;;
      # A registry that first asks for a token is counted as having the image: more cannot be found out without a token.
      image-200-*|image-401-*|image-403-*) return ;;
      # All URLs of a binary must exist: the binary itself and its checksum.
      binary-200-*) continue ;;
      binary-*) printf 'missing %s %s %s\n' "$kind" "$what" "$last"; return ;;
    esac
  done
  [ "$kind" = binary ] || printf 'missing %s %s %s\n' "$kind" "$what" "${cause:-$last}"
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
