# Applies the objects on the input; see kubectl.sh. The words are options of kubectl apply.
take_input
apply "$@"
