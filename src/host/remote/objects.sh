# Applies the objects on input; see apply.sh. Rest: options for kubectl apply.
apply "$@"
