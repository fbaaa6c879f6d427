# Loads modules and sets sysctls now; files make it last. Arguments: module names, or `key=value`.
tried=
for a; do
  case $a in
  *=*) ;;
  # A feature that is built in has no module: whether it is there is looked at, not modprobe's status.
  *) said=$(within 10 modprobe "$a" 2>&1) || tried="$tried; $said" ;;
  esac
done
for a; do
  case $a in
  *=*) within 5 sysctl -qw "$a" ;;
  overlay) grep -qw overlay /proc/filesystems || { echo "the kernel has no overlay file system$tried" >&2; exit 1; } ;;
  br_netfilter) [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || { echo "the kernel has no br_netfilter$tried" >&2; exit 1; } ;;
  esac
done
