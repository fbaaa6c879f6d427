# Brings the programs that restore a snapshot of etcd and that run an etcd beside the member of this host. Needs image_mount.sh; the calling script
# has called my_turn.
# bring_tools FOLDER: copies `etcd` and, if it exists, `etcdutl` into the folder. They come from the image from which this host's etcdctl came;
# without that image, the host's own etcd is used. Sets $tool to the program that restores snapshots (etcdctl has no `snapshot restore` since etcd 3.6), and
# $bump to the options with which the restored etcd continues at a much later revision, if the program has them. Clients that watch from a revision of
# before the restore then learn that they must list again.
bring_tools() {
  full='' image=$(sed -n 2p $BINARIES_DIR/etcdctl 2>/dev/null) || image=
  if [ -n "$image" ]; then
    mount=/run/clusterctl-etcd-tools.mount
    c() { within 60 ctr -n k8s.io "$@"; }
    unmounted
    if mounted "$image" 2>/dev/null; then
      for program in $ETCD $ETCDUTL; do
        if [ -x "$mount$program" ]; then cp "$mount$program" "$1/" || full=yes; fi
      done
    fi
    unmounted
  fi
  if [ -z "$full" ] && [ ! -x "$1/etcd" ] && [ -x $ETCD ]; then cp $ETCD "$1/" || full=yes; fi
  [ -z "$full" ] || { echo "the programs of etcd cannot be copied to $1 (no space?); nothing was changed" >&2; exit 1; }
  [ -x "$1/etcd" ] || {
    echo "there is no etcd program on this host: image ${image:-of etcdctl} cannot be mounted, and $ETCD does not exist" >&2
    exit 1
  }
  tool=$ETCDCTL bump=
  [ ! -x "$1/etcdutl" ] || tool=$1/etcdutl
  options=$("$tool" snapshot restore --help 2>&1) || :
  case $options in *--initial-cluster-token*) ;; *)
    echo "no program on this host can restore a snapshot of etcd: ${tool##*/} has no \`snapshot restore\`, and there is no etcdutl in its image" >&2
    exit 1 ;;
  esac
  case $options in *--bump-revision*) bump='--bump-revision 1000000000 --mark-compacted' ;; esac
}
