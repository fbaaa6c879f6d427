# Applies the objects on input; see kubectl.sh. Rest: options for kubectl apply.
take_input
apply "$@"
