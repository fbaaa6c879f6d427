# Waits until this balancer sends requests to a server again. $1: server, as the balancer's configuration names it. $2: seconds.
# haproxy alone knows; perl comes with every Debian and Ubuntu, a program for its socket does not.
server=$1 limit=$2
socket=/run/haproxy/admin.sock
end=$(($(date +%s) + limit))
# Prints the state that haproxy gives the server; prints nothing where haproxy does not run or does not know the server. Fails where haproxy
# does not answer, or ends its answer early.
state() {
  within 5 perl -MIO::Socket::UNIX -e '
    my $s = IO::Socket::UNIX->new($ARGV[0]) or exit;
    print $s "show stat\n";
    while (<$s>) { $whole ||= /^# pxname,/; my @f = split /,/; $is //= $f[17] if $f[1] eq $ARGV[1]; }
    $whole or die "it ends its answer early\n";
    print $is // "";' "$socket" "$server" 2>/dev/null
}
[ -S $socket ] && command -v perl >/dev/null || exit 0
while :; do
  if now=$(state); then
    case $now in UP*|'no check'|'') exit 0 ;; esac
  else
    now="not known: it does not answer at $socket"
  fi
  [ "$(date +%s)" -lt $end ] || break
  sleep 0.2
done
echo "haproxy has not taken $server back after $limit s: it is $now" >&2
exit 1
