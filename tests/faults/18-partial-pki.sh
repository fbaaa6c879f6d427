#!/bin/bash
# The PKI is incomplete: a CA's key is missing or does not belong to its certificate, or one master has another CA. No second CA is ever made.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
pki=/etc/kubernetes/pki
# another_ca HOST: makes another CA with the same subject: /run/ca.crt and /run/ca.key
another_ca() { on "$1" openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=kubernetes -keyout /run/ca.key -out /run/ca.crt 2>/dev/null; }
keep() { on "$1" sh -c "cp -a $pki/ca.crt /run/kept.crt; cp -a $pki/ca.key /run/kept.key"; }
put_back() { on "$1" sh -c "mv /run/kept.crt $pki/ca.crt; mv /run/kept.key $pki/ca.key; rm -f /run/ca.crt /run/ca.key"; }

fault 18 "a CA's key is missing on one master, and that of etcd on another"
on m2 rm $pki/ca.key
on m3 rm $pki/etcd/ca.key
expect "plan shows the missing files" 6 tried plan
check "plan shows ca.key on m2" output_has "$pki/ca.key"
check "plan shows etcd/ca.key on m3" output_has "$pki/etcd/ca.key"
recovers
holds

fault 18 "one master has another CA"
check "another CA is made" another_ca m3
keep m3
on m3 sh -c "cat /run/ca.crt >$pki/ca.crt; cat /run/ca.key >$pki/ca.key"
change
for verb in apply "upgrade --version $VERSION" "join w2"; do
    # shellcheck disable=SC2086
    expect "$verb is refused" 4 tried $verb
    check "I9: $verb: the refusal names the check and what to do" refuses - pki
    check "I9: $verb: the refusal names m3 separately from the others" output_has 'ca.crt.*m3'
done
check "nothing was changed" unchanged m1 m2 m3
put_back m3
check "every API server serves" wait_until 60 all_serve
recovers
holds

fault 18 "a CA's key does not belong to its certificate on one master"
check "another CA is made" another_ca m3
keep m3
on m3 sh -c "cat /run/ca.key >$pki/ca.key"
change
expect "apply is refused" 4 tried apply
check "I9: the refusal names the check and what to do" refuses - pki
check "I9: the refusal names m3" output_has 'ca.key.*m3'
check "nothing was changed" unchanged m1 m2 m3
put_back m3
recovers
holds
finish
