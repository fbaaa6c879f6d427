# Applies the objects on the input; see kubectl.sh, which removes the address of the API server from the arguments. The other arguments are options of
# kubectl apply.
take_input
apply "$@"
