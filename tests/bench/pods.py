"""Fills an etcd with the objects of a large cluster: pods.py ETCD_URL API_URL CERTIFICATES PODS

Writing 30,000 pods through the API takes half an hour on a small machine. So one pod is written to etcd as JSON and read back through the API as
protobuf, the form in which the API server stores pods. Each other pod is a copy of that form with names of the same length. CERTIFICATES is a folder
with ca.crt, admin.crt and admin.key.
"""
import base64
import http.client
import json
import ssl
import sys
import urllib.parse

NODES, WORKLOADS, TEAMS = 300, 600, 40
UID = "11111111-2222-4333-8444-555555555555"
LABELS = {"app": "app-QQQQ", "pod-template-hash": "7d9f8b6c5d", "team": "team-ZZ"}
# Annotations of real pods may contain text that looks like the JSON of a list or like a line of the script's output. The script must not be misled by
# it.
NOTE = '{"metadata":{"continue":"bm90LWEtdG9rZW4"},"items":[]}\n@end 200 https://192.0.2.1:6443/api/v1/pods'


def fields(*names):
    return {f"f:{name}": {} for name in names}


def managed(manager, owned):
    return {"manager": manager, "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": owned}


def owned_container():
    env = {f'k:{{"name":"VARIABLE_{n}"}}': {".": {}, **fields("name", "value")} for n in range(12)}
    return {
        ".": {}, "f:env": {".": {}, **env}, **fields("image", "imagePullPolicy", "name", "resources", "terminationMessagePath", "terminationMessagePolicy"),
        "f:livenessProbe": {".": {}, "f:httpGet": {".": {}, **fields("path", "port", "scheme")}, **fields("failureThreshold", "periodSeconds")},
        "f:ports": {".": {}, 'k:{"containerPort":8080,"protocol":"TCP"}': {".": {}, **fields("containerPort", "protocol")}},
        "f:volumeMounts": {".": {}, 'k:{"mountPath":"/data"}': {".": {}, **fields("mountPath", "name")}},
    }


def container(name):
    return {
        "name": name, "image": "registry.example.com/team/app-QQQQ:1", "imagePullPolicy": "IfNotPresent",
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        "env": [{"name": f"VARIABLE_{n}", "value": f"https://service-{n}.team-ZZ.svc.cluster.local:8443/v1"} for n in range(12)],
        "ports": [{"containerPort": 8080, "protocol": "TCP"}], "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "50m", "memory": "128Mi"}},
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10, "failureThreshold": 3},
    }


def container_status(name):
    return {
        "name": name, "image": "registry.example.com/team/app-QQQQ:1", "imageID": f"registry.example.com/team/app-QQQQ@sha256:{UID}{UID}",
        "containerID": f"containerd://{UID}{UID}", "ready": True, "started": True, "restartCount": 1, "lastState": {},
        "state": {"running": {"startedAt": "2026-01-01T00:00:10Z"}},
    }


def template():
    conditions = ["Initialized", "Ready", "ContainersReady", "PodScheduled"]
    controller = {
        "f:metadata": {"f:generateName": {}, "f:labels": {".": {}, **fields("app", "pod-template-hash", "team")},
                       "f:ownerReferences": {".": {}, f'k:{{"uid":"{UID}"}}': {".": {}, **fields("apiVersion", "controller", "kind", "name", "uid")}}},
        "f:spec": {"f:containers": {f'k:{{"name":"{c}"}}': owned_container() for c in ("main", "side")}, "f:volumes": {".": {}, 'k:{"name":"data"}': {}},
                   **fields("dnsPolicy", "enableServiceLinks", "restartPolicy", "schedulerName", "securityContext", "terminationGracePeriodSeconds")},
    }
    kubelet = {"f:status": {
        "f:conditions": {f'k:{{"type":"{c}"}}': {".": {}, **fields("lastProbeTime", "lastTransitionTime", "status", "type")} for c in conditions},
        **fields("containerStatuses", "hostIP", "phase", "podIP", "startTime"), "f:podIPs": {".": {}, 'k:{"ip":"10.244.17.23"}': {".": {}, "f:ip": {}}}}}
    return {
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {
            "name": "app-QQQQ-7d9f8b6c5d-XXXXX", "generateName": "app-QQQQ-7d9f8b6c5d-", "namespace": "team-ZZ", "uid": UID,
            "creationTimestamp": "2026-01-01T00:00:00Z", "labels": LABELS, "annotations": {"prometheus.io/scrape": "true", "note": NOTE},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "app-QQQQ-7d9f8b6c5d", "uid": UID, "controller": True}],
            "managedFields": [managed("kube-controller-manager", controller), managed("kubelet", kubelet)],
        },
        "spec": {
            "nodeName": "node-YYY", "containers": [container("main"), container("side")], "volumes": [{"name": "data", "emptyDir": {}}],
            "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "terminationGracePeriodSeconds": 30, "serviceAccountName": "default",
            "securityContext": {}, "schedulerName": "default-scheduler", "priority": 0, "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"key": f"node.kubernetes.io/{k}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
                            for k in ("not-ready", "unreachable")],
        },
        "status": {
            "phase": "Running", "hostIP": "192.0.2.1", "podIP": "10.244.17.23", "podIPs": [{"ip": "10.244.17.23"}], "startTime": "2026-01-01T00:00:00Z",
            "conditions": [{"type": c, "status": "True", "lastProbeTime": None, "lastTransitionTime": "2026-01-01T00:00:00Z"} for c in conditions],
            "containerStatuses": [container_status("main"), container_status("side")], "qosClass": "Burstable",
        },
    }


def others():
    images = [{"names": [f"registry.example.com/team/image-{n}@sha256:{'0' * 64}", f"registry.example.com/team/image-{n}:1"]} for n in range(50)]
    for n in range(NODES):
        name = f"node-{n:03}"
        yield f"minions/{name}", {"kind": "Node", "apiVersion": "v1", "metadata": {"name": name, "uid": name}, "status": {"images": images}}
    for n in range(WORKLOADS):
        name, team = f"app-{n:04}", f"team-{n % TEAMS:02}"
        yield f"poddisruptionbudgets/{team}/{name}", {
            "kind": "PodDisruptionBudget", "apiVersion": "policy/v1beta1", "metadata": {"name": name, "namespace": team, "uid": name, "generation": 1},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": name}}},
            "status": {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 50, "desiredHealthy": 49, "expectedPods": 50}}


class Etcd:
    """Writes objects through the JSON gateway of etcd, a hundred in a transaction."""

    def __init__(self, url):
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)
        self.batch = []

    def put(self, key, value):
        encoded = [base64.b64encode(part).decode() for part in (f"/registry/{key}".encode(), value)]
        self.batch.append({"requestPut": {"key": encoded[0], "value": encoded[1]}})
        if len(self.batch) == 100:
            self.send()

    def send(self):
        self.connection.request("POST", "/v3/kv/txn", json.dumps({"success": self.batch}))
        answer = self.connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            sys.exit(f"etcd answers {answer.status}: {said[:300]!r}")
        self.batch = []


def stored(api, certificates, path):
    """Returns the object in the form in which the API server stores it."""
    context = ssl.create_default_context(cafile=f"{certificates}/ca.crt")
    context.load_cert_chain(f"{certificates}/admin.crt", f"{certificates}/admin.key")
    connection = http.client.HTTPSConnection(urllib.parse.urlsplit(api).netloc, context=context)
    connection.request("GET", path, headers={"Accept": "application/vnd.kubernetes.protobuf"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200 or body[:4] != b"k8s\0":
        sys.exit(f"the API answers {answer.status} to {path}: {body[:300]!r}")
    return body


def main(etcd_url, api, certificates, count):
    etcd = Etcd(etcd_url)
    # Names of Kubernetes objects must not have capitals, but only this program reads the object with these names.
    key = "pods/team-ZZ/app-QQQQ-7d9f8b6c5d-XXXXX"
    etcd.put(key, json.dumps(template()).encode())
    etcd.send()
    pod = stored(api, certificates, "/api/v1/namespaces/team-ZZ/pods/app-QQQQ-7d9f8b6c5d-XXXXX")
    etcd.batch = [{"requestDeleteRange": {"key": base64.b64encode(f"/registry/{key}".encode()).decode()}}]
    etcd.send()
    for key, value in others():
        etcd.put(key, json.dumps(value).encode())
    for n in range(count):
        workload = n % WORKLOADS
        names = {"QQQQ": f"{workload:04}", "ZZ": f"{workload % TEAMS:02}", "XXXXX": f"{n:05}", "YYY": f"{n % NODES:03}", UID: f"{n:08}-{n * 7919 % 9999:04}{UID[13:]}",
                 "10.244.17.23": f"10.244.{n % 90 + 10}.{n // 90 % 90 + 10}"}
        value = pod
        for name, wanted in names.items():
            value = value.replace(name.encode(), wanted.encode())
        assert len(value) == len(pod), "names of other lengths would break the encoding"
        etcd.put("pods/team-{ZZ}/app-{QQQQ}-7d9f8b6c5d-{XXXXX}".format(**names), value)
    if etcd.batch:
        etcd.send()
    print(f"{count} pods of {len(pod)} bytes as stored, {NODES} nodes, {WORKLOADS} disruption budgets")


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
