# Which patch versions the artifact source offers; changes nothing. $1: its root. Rest: minors.
# Output: `release MINOR VERSION` per minor that it knows.
export LC_ALL=C
root=$1
shift
for minor; do
  version=$(curl -fsSL -m 15 --connect-timeout 5 "$root/release/stable-1.$minor.txt" 2>/dev/null | head -n 1 | tr -d '\r\n')
  [ -z "$version" ] || printf 'release %s %s\n' "$minor" "$version"
done
exit 0
