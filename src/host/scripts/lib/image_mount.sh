# Mounts an image at the folder $mount, which the calling script chooses. `c` runs ctr with a limit. The calling script holds the lock for $mount.
# unmounted: unmounts the image and removes the folder, if it exists; also what a script that was killed has left there.
unmounted() {
  [ -d "$mount" ] || return 0
  c images unmount --rm "$mount" >/dev/null 2>&1 || :
  rmdir "$mount" 2>/dev/null || :
}
# mounted IMAGE: mounts the image. ctr names its snapshot and its lease after the mount point. If the host was rebooted while an image was mounted,
# they still exist although nothing is mounted, so they are removed, and the image is mounted again.
mounted() {
  mkdir -p "$mount" || return 1
  error=$(c images mount "$1" "$mount" 2>&1 >/dev/null) && return 0
  case $error in
    *'already exists'*)
      c images unmount --rm "$mount" >/dev/null 2>&1 || :
      error=$(c images mount "$1" "$mount" 2>&1 >/dev/null) && return 0 ;;
  esac
  printf '%s\n' "$error" >&2
  return 1
}
