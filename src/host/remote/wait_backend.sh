# Waits until this balancer sends requests to a server again. $1: server, as the balancer's configuration names it. $2: seconds.
# haproxy alone knows; perl comes with every Debian and Ubuntu, a program for its socket does not.
server=$1 limit=$2
socket=/run/haproxy/admin.sock
end=$(($(date +%s) + limit))
state() {
  perl -MIO::Socket::UNIX -e '
    my $s = IO::Socket::UNIX->new($ARGV[0]) or exit 1;
    print $s "show stat\n";
    while (<$s>) { my @f = split /,/; print "$f[17]\n" if $f[1] eq $ARGV[1]; }' "$socket" "$server" 2>/dev/null | head -n 1
}
[ -S $socket ] && command -v perl >/dev/null || exit 0
while :; do
  now=$(state)
  # A balancer that does not know the server has nothing to wait for.
  case $now in UP*|'no check'|'') exit 0 ;; esac
  [ "$(date +%s)" -lt $end ] || break
  sleep 0.2
done
echo "haproxy has not taken $server back after $limit s: it is $now" >&2
exit 1
