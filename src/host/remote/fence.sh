# Head of every script that changes a host; see lock_held.sh. $1: the run's id.
# A run that lost its lock (its machine slept, another run took over) must not write any more. `still_ours` is called here, after the input has
# arrived (see input.sh), and again by each script that waits before its first effect.
set -eu
export LC_ALL=C
run=$1
shift
still_ours
