# Starts a reboot. It takes the etcd member of this host away, so the other members must be enough at this moment, not only at the drain.
wait_quorum 60 || exit 1
still_ours
within 40 systemctl reboot
