# Head of every script that changes a host; see lock_held.sh.
# $1: the ID of the run. A run that has lost its lock must not write any more; this happens if the operator's machine slept and another run took the
# lock. `still_ours` is called here, again after the input has arrived (see input.sh), and again by each script that waits before its first effect.
set -eu
export LC_ALL=C
run=$1
shift
still_ours
