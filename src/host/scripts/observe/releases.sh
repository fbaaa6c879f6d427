# Prints which patch versions the download site for binaries offers; changes nothing.
# Argument: `root` is the root URL of the site. The words are minor versions, of which only the part after `1.` is given.
# Output: a line `release MINOR VERSION` for each minor version that the site has.
export LC_ALL=C
for minor; do
  version=$(curl -fsSL -m 15 --connect-timeout 5 "$root/release/stable-1.$minor.txt" 2>/dev/null | head -n 1 | tr -d '\r\n')
  [ -z "$version" ] || printf 'release %s %s\n' "$minor" "$version"
done
exit 0
