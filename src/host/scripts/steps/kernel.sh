# Loads kernel modules and sets sysctls now; files make the settings permanent. The words are names of modules to load, and sysctls to set as
# `key=value`.
tried=
for a; do
  case $a in
  *=*) ;;
  # A feature that is built into the kernel has no module, so a failure of modprobe is only noted, and the loop after this one checks for the feature.
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
