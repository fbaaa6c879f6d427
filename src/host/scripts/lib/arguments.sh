# Part of the head of every script. Sets a variable for each argument NAME=VALUE. The words after the argument `--` stay as $1, $2 and so on.
# The names are constants of clusterctl. A value is assigned as it is, and is never interpreted by the shell.
while [ $# -gt 0 ]; do
  case $1 in
    --) shift; break ;;
    [a-z]*=*) eval "${1%%=*}=\${1#*=}"; shift ;;
    *) echo "clusterctl: '$1' is not an argument NAME=VALUE" >&2; exit 2 ;;
  esac
done
