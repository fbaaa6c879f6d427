# Head of every script that changes a host; see lock_held.sh.
# Argument: `run` is the ID of the run. If the operator's machine slept and another run took the lock of the host,
# this run must not write any more. So `still_ours` is called here, again after the input has arrived (see input.sh), and again by each script that
# waits before its first effect.
set -eu
export LC_ALL=C
still_ours
