# Part of the head of every script that changes a host. A script that has input calls `take_input` before its first effect. `take_input` reads the
# whole input into memory, compares it with the digest at its end, and exits with 1 if they differ. The end of the input alone does not mean that the
# input is complete: sshd also ends the input of a script whose sender has died. Afterwards the standard input is the content without the digest.
# The last line of the input has 64 hexadecimal digits: the SHA-256 of everything before that line.
take_input() {
  received=$(mktemp /run/clusterctl.XXXXXX)
  # The content may be secret, so the file has mode 0600 and is in memory, and its name is removed before the first byte arrives.
  exec 3>"$received" 4<"$received"
  rm -f "$received"
  cat >&3 || { echo "the input of this step cannot be kept in /run; nothing was changed" >&2; exit 1; }
  exec 3>&-
  length=$(($(stat -Lc %s /dev/fd/4) - 65))
  if [ $length -lt 0 ] || [ "$(tail -c 65 /dev/fd/4)" != "$(head -c $length /dev/fd/4 | sha256sum | cut -c1-64)" ]; then
    echo "the input of this step ended early; nothing was changed; run the same command again" >&2
    exit 1
  fi
  truncate -s $length /dev/fd/4
  exec <&4 4<&-
  still_ours
}
