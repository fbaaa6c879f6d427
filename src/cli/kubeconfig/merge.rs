//! Kubeconfigs as values: a kubeconfig is renamed after its cluster, and merged into another one that keeps everything else.

use serde_json::{Value, json};

use crate::host::Secret;

/// The lists of a kubeconfig whose entries are matched by their names in a merge.
const LISTS: [&str; 3] = ["clusters", "users", "contexts"];

/// Reads a kubeconfig; an empty file gives an empty kubeconfig.
pub fn read(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
    // The parser's own message would show the text around the fault, which may be a key.
    match serde_yaml::from_str(text)
        .map_err(|e| e.location().map_or("it is not YAML".into(), |l| format!("line {} is not YAML", l.line())))?
    {
        Value::Null => Ok(json!({"apiVersion": "v1", "kind": "Config"})),
        config @ Value::Object(_) => Ok(config),
        _ => Err("it is not a mapping".into()),
    }
}

/// The current context of a kubeconfig with its cluster and user, all named after the cluster.
pub fn renamed(fetched: &Secret, name: &str) -> Result<Value, String> {
    let config = read(fetched.expose())?;
    let entry = |list: &str, wanted: &Value| {
        let found = config[list].as_array().and_then(|all| all.iter().find(|e| e["name"] == *wanted));
        found.cloned().ok_or_else(|| format!("there is no {} among its {list}", wanted.as_str().unwrap_or("current context")))
    };
    let context = entry("contexts", &config["current-context"])?;
    let mut cluster = entry("clusters", &context["context"]["cluster"])?;
    let mut user = entry("users", &context["context"]["user"])?;
    let user_name = format!("{name}-admin");
    (cluster["name"], user["name"]) = (json!(name), json!(user_name));
    Ok(json!({"apiVersion": "v1", "kind": "Config", "current-context": name, "clusters": [cluster], "users": [user],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user_name}}]}))
}

/// Merges `new` into `existing`: entries of the same name are replaced, the others stay, and the current context is that of `new`.
pub fn merged(mut existing: Value, new: &Value) -> Value {
    for list in LISTS {
        if !existing[list].is_array() {
            existing[list] = json!([]);
        }
        for entry in new[list].as_array().into_iter().flatten() {
            let Some(all) = existing[list].as_array_mut() else { continue };
            match all.iter_mut().find(|e| e["name"] == entry["name"]) {
                Some(same) => *same = entry.clone(),
                None => all.push(entry.clone()),
            }
        }
    }
    existing["current-context"] = new["current-context"].clone();
    existing
}

#[cfg(test)]
#[expect(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ADMIN: &str = "apiVersion: v1\nkind: Config\ncurrent-context: kubernetes-admin@kubernetes\npreferences: {}\n\
        clusters:\n- name: kubernetes\n  cluster: {server: 'https://192.0.2.5:6443', certificate-authority-data: Y2E=}\n\
        users:\n- name: kubernetes-admin\n  user: {client-certificate-data: Yw==, client-key-data: aw==}\n\
        contexts:\n- name: kubernetes-admin@kubernetes\n  context: {cluster: kubernetes, user: kubernetes-admin}\n";

    #[test]
    fn entries_are_named_after_the_cluster() {
        let config = renamed(&ADMIN.into(), "prod").unwrap();
        assert_eq!(config["current-context"], "prod");
        assert_eq!(config["clusters"][0]["cluster"]["server"], "https://192.0.2.5:6443");
        assert_eq!(config["users"][0]["name"], "prod-admin");
        assert_eq!(config["contexts"][0], json!({"name": "prod", "context": {"cluster": "prod", "user": "prod-admin"}}));
    }

    #[test]
    fn a_merge_keeps_everything_else_and_merging_again_changes_nothing() {
        let existing = read(
            b"current-context: old\nextensions: [1]\nclusters: [{name: old, cluster: {}}, {name: prod, cluster: {server: gone}}]\nusers: null\n",
        )
        .unwrap();
        let new = renamed(&ADMIN.into(), "prod").unwrap();
        let once = merged(existing, &new);
        assert_eq!(once["extensions"], json!([1]));
        assert_eq!(once["clusters"].as_array().unwrap().len(), 2);
        assert_eq!(once["clusters"][1]["cluster"]["server"], "https://192.0.2.5:6443");
        assert_eq!(once["users"].as_array().unwrap().len(), 1);
        assert_eq!(merged(once.clone(), &new), once);
    }

    #[test]
    fn what_is_written_is_read_the_same() {
        let config = merged(read(b"").unwrap(), &renamed(&ADMIN.into(), "prod").unwrap());
        assert_eq!(read(crate::yaml::document(&config).as_bytes()).unwrap(), config);
    }

    #[test]
    fn faults_do_not_show_the_content() {
        let fault = read(b"users: [secret: {{ key").unwrap_err();
        assert!(!fault.contains("key") && !fault.contains("secret"), "{fault}");
        assert!(renamed(&"current-context: x\n".into(), "prod").unwrap_err().contains("contexts"));
    }
}
