//! A table of bad inventories: each file of `bad/` has beside it a file `.err` with exactly the text that is reported about the inventory.
//! `UPDATE_GOLDENS=1` writes the `.err` files anew; read the difference before you keep it.

use std::collections::BTreeMap;

use super::{files, name, read};

#[test]
fn each_says_exactly_what_is_wrong() {
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    let mut wrong = Vec::new();
    for file in files("tests/it/inventory/bad") {
        let said = match read(&std::fs::read(&file).unwrap(), &name(&file)) {
            Ok(_) => "no fault\n".to_string(),
            Err(faults) => format!("{faults}\n"),
        };
        let golden = file.with_extension("err");
        if update {
            std::fs::write(&golden, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if said != expected {
            wrong.push(format!("{}\n  expected: {expected}  said:     {said}", name(&file)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    no_two_are_told_the_same();
}

fn no_two_are_told_the_same() {
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    for file in files("tests/it/inventory/bad") {
        let text = std::fs::read_to_string(file.with_extension("err")).unwrap();
        let message = text.split_once(": ").unwrap().1.to_string();
        if let Some(other) = said.insert(message.clone(), name(&file)) {
            panic!("{} and {other} are told the same: {message}", name(&file));
        }
    }
    assert!(said.len() >= 60, "{}", said.len());
}

#[test]
fn a_fault_has_a_machine_form() {
    let faults = read(
        b"cluster:\n  name: demo\n  version: v1.36.2\nhosts:\n  - name: M1\n    address: 192.0.2.11\n    roles: [control-plane]\n",
        "x.yaml",
    );
    let json = serde_json::to_value(faults.unwrap_err()).unwrap();
    assert_eq!(
        json,
        serde_json::json!([{
            "file": "x.yaml", "line": 5, "column": 11, "path": "hosts[0].name",
            "message": "the host name `M1` is not an RFC 1123 name", "hint": "did you mean `m1`?"
        }])
    );
}
