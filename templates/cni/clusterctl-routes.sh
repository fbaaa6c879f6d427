#!/bin/sh
# Makes the kernel's routes to other nodes' pods those of the data file, and lets pods' packets through the firewall.
# Routes of ours carry protocol number 86; others are not touched. Running it again changes nothing.
# Written by clusterctl; changes are lost.
set -eu

data=${1:-/var/lib/clusterctl/routes}
proto=86
chain=CLUSTERCTL-MASQ

pods=
wanted=
while read -r first second third rest; do
    case $first in
    '' | '#'*) continue ;;
    pods)
        pods=$second
        ;;
    *)
        [ "$second" = via ] && [ -n "$third" ] && [ -z "$rest" ] || {
            echo "clusterctl-routes: $data: not a route: $first $second $third $rest" >&2
            exit 1
        }
        ip route replace "$first" via "$third" proto "$proto"
        wanted="$wanted $first "
        ;;
    esac
done <"$data"

for family in -4 -6; do
    # A kernel without this family has no routes of it.
    ip "$family" route show proto "$proto" 2>/dev/null | while read -r subnet rest; do
        case $wanted in
        *" $subnet "*) ;;
        *) ip "$family" route del "$subnet" proto "$proto" ;;
        esac
    done
done

[ -n "$pods" ] || exit 0
case $pods in
*:*) iptables=ip6tables multicast=ff00::/8 ;;
*) iptables=iptables multicast=224.0.0.0/4 ;;
esac

# Pods reach pods under their own addresses and everything else under the node's.
"$iptables" -w 10 -t nat -N "$chain" 2>/dev/null || "$iptables" -w 10 -t nat -F "$chain"
"$iptables" -w 10 -t nat -A "$chain" -d "$pods" -j RETURN
"$iptables" -w 10 -t nat -A "$chain" -d "$multicast" -j RETURN
"$iptables" -w 10 -t nat -A "$chain" -j MASQUERADE
"$iptables" -w 10 -t nat -C POSTROUTING -s "$pods" -j "$chain" 2>/dev/null ||
    "$iptables" -w 10 -t nat -A POSTROUTING -s "$pods" -j "$chain"

# Docker and many firewalls drop what is forwarded; pods' packets must pass. The comment marks the rules as ours, so that they can be removed.
if "$iptables" -w 10 -S FORWARD | grep -q '^-P FORWARD DROP'; then
    for direction in -s -d; do
        "$iptables" -w 10 -C FORWARD "$direction" "$pods" -m comment --comment clusterctl -j ACCEPT 2>/dev/null ||
            "$iptables" -w 10 -I FORWARD "$direction" "$pods" -m comment --comment clusterctl -j ACCEPT
    done
fi
