# Starts a reboot. A reboot stops the etcd member of this host, so the other members must have the quorum at this moment, and not only at the drain.
wait_quorum 60 || exit 1
still_ours
within 40 systemctl reboot
