# Starts a reboot. A reboot stops the etcd member of this host, so the script waits up to 60 s until the other members have the quorum. A check before
# the drain would be too old.
wait_quorum 60 || exit 1
still_ours
within 40 systemctl reboot
