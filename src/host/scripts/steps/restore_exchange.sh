# Exchanges the data of this host's etcd member for the restored data. The previous data is kept beside it under another name, on the same file
# system, so that both are only renamed.
# Arguments: see restore_mark.sh and aside.sh.
new=$ETCD_DATA_DIR/.restored kept=$ETCD_MEMBER_DIR.before-$token
my_turn
case $(reached) in
  prepared|api-stopped|etcd-stopped) ;;
  '') fail "this host has not prepared this restore; run the same command again" ;;
  *) rmdir $new 2>/dev/null || :; exit 0 ;;
esac
[ -z "$(own_process etcd)$(service_pid)" ] || fail "the etcd member of this host runs again; nothing was changed; run the same command again"
if [ -d $new/member ]; then
  if [ -e $ETCD_MEMBER_DIR ]; then
    # If an earlier attempt has kept data already, what was written since is kept as well.
    n=0 to=$kept
    while [ -e "$to" ]; do n=$((n + 1)) to=$kept.$n; done
    still_ours
    mv -T $ETCD_MEMBER_DIR "$to"
    sync $ETCD_DATA_DIR
  fi
  mv -T $new/member $ETCD_MEMBER_DIR
  sync $new $ETCD_DATA_DIR
elif ! [ -d $new ] || ! [ -d $ETCD_MEMBER_DIR ]; then
  fail "there is no restored data at $new; run the same command again"
fi
# A folder $new without `member` in it means that the data was exchanged already, and the script was killed before it could record that.
mark exchanged
rmdir $new
