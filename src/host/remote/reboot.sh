# Sets a reboot going.
systemctl reboot
