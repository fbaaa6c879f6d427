# Waits until this balancer sends requests to a server again.
# Arguments: `server`, its name in the balancer's configuration; and `limit` in seconds. Only haproxy reports the state of its servers, so on a host
# without its socket the script succeeds at once. The socket is read with perl, which every Debian and Ubuntu has; other clients for the socket may be
# missing.
socket=$HAPROXY_ADMIN_SOCKET
end=$(($(date +%s) + limit))
# Prints the state that haproxy reports for the server; prints nothing if haproxy does not run or does not know the server. Fails if haproxy does
# not answer or its answer is incomplete.
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
