# Prints which boot this is. Output: the boot ID of the kernel and the start time of process 1. The boot ID alone is not enough, because a host that
# is a container has the boot ID of its machine.
printf '%s %s\n' "$(cat /proc/sys/kernel/random/boot_id)" "$(sed 's/.*) //' /proc/1/stat | cut -d' ' -f20)"
