//! Reads the output of `cluster.sh`: the answers to the requested API paths, lists page by page.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};

use flate2::bufread::MultiGzDecoder;
use serde_json::Value;

use super::project::projected;

/// The query parameter that limits a page of a list to this number of objects. A page of 500 pods has about five megabytes.
pub const LIMIT: &str = "limit=500";

/// The API's answers by path: the body, `None` if the API answers 404, or the reason why there is no answer.
pub type Answers = BTreeMap<String, Result<Option<Value>, String>>;

/// Returns the answers to the API paths in `asked`, and the objects that kubectl found or the reason why kubectl failed. `said` is the script's
/// standard error.
pub fn read(asked: &[String], stdout: &[u8], said: &str) -> (Answers, Result<Vec<Value>, String>) {
    let mut answers = Answers::new();
    let mut lines = Lines(BufReader::new(MultiGzDecoder::new(stdout)));
    let mut body = Vec::new();
    let cut_short = || Err("kubectl's answer is not whole".to_string());
    let mut others = cut_short();
    while let Some(line) = lines.next() {
        if line.starts_with(b"@end ") {
            let words = String::from_utf8_lossy(&line);
            let mut words = words.split_whitespace().skip(1);
            let (status, url) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            take(&mut answers, status, url, &std::mem::take(&mut body), said);
        } else if line == b"@done" {
            others = Ok(vec![]);
        } else if line == b"@kubectl" {
            others = kubectl(&mut lines).unwrap_or_else(cut_short);
        } else {
            body.extend(line);
        }
    }
    for path in asked {
        let answer = answers.entry(path.clone()).or_insert_with(|| Err(unanswered(path, said)));
        // A list with a missing page counts as no answer, because conclusions from an incomplete list would be wrong.
        if matches!(answer, Ok(Some(list)) if next_page(list).is_some()) {
            *answer = Err(format!("the API's answer to `{path}` ends before its last page{}", complaint(said)));
        }
    }
    (answers, others)
}

/// Records the answer to one request. A page of a list is appended to the pages of the same list that were recorded before it.
fn take(answers: &mut Answers, status: &str, url: &str, body: &[u8], said: &str) {
    let address = url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..])).unwrap_or(url);
    let (page, follows) = address.split_once("&continue=").map_or((address, false), |(page, _)| (page, true));
    let path = page.strip_suffix(LIMIT).map_or(page, |path| path.trim_end_matches(['?', '&']));
    let value = match status {
        "404" => Ok(None),
        "200" => serde_json::from_slice(body)
            .map(|value| Some(projected(path, value)))
            .map_err(|e| format!("the API's answer to `{path}` is not whole: {e}{}", complaint(said))),
        "000" => Err(unanswered(path, said)),
        _ => Err(format!("the API answers {status} to `{path}`: {}", message(body))),
    };
    match (answers.get_mut(path), value) {
        (Some(Ok(Some(list))), Ok(Some(mut page))) if follows => {
            if let (Some(all), Some(items)) = (items(list), items(&mut page)) {
                all.append(items);
            }
            list["metadata"] = page["metadata"].take();
        }
        (_, value) => drop(answers.insert(path.to_string(), value)),
    }
}

fn items(list: &mut Value) -> Option<&mut Vec<Value>> {
    list.get_mut("items").and_then(Value::as_array_mut)
}

fn next_page(list: &Value) -> Option<&str> {
    list["metadata"]["continue"].as_str().filter(|token| !token.is_empty())
}

fn unanswered(path: &str, said: &str) -> String {
    format!("the API does not answer `{path}`{}", complaint(said))
}

fn complaint(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

/// The message of an answer with which the API refuses a request, or the body if it has no message; at most 300 characters.
fn message(body: &[u8]) -> String {
    let told = serde_json::from_slice::<Value>(body).ok().and_then(|v| v["message"].as_str().map(String::from));
    told.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()).chars().take(300).collect()
}

/// Reads the part of the output after the line `@kubectl`: the objects that kubectl found or, after the line `@failed`, its error message. `None` if
/// the output is cut short.
fn kubectl(lines: &mut Lines<'_>) -> Option<Result<Vec<Value>, String>> {
    let (mut list, mut why, mut failed) = (Vec::new(), Vec::new(), false);
    loop {
        match lines.next()? {
            line if line == b"@done" => break,
            line if line == b"@failed" => failed = true,
            line if failed => why.push(String::from_utf8_lossy(&line).into_owned()),
            line => list.extend(line),
        }
    }
    if failed {
        return Some(Err(why.join("\n")));
    }
    if list.iter().all(u8::is_ascii_whitespace) {
        return Some(Ok(vec![]));
    }
    let list = serde_json::from_slice::<Value>(&list).map_err(|e| format!("kubectl's answer is not JSON: {e}"));
    Some(list.map(|mut list| {
        let found = items(&mut list).map(std::mem::take);
        found.unwrap_or_else(|| vec![list])
    }))
}

/// The lines of the compressed output. If the output is cut short, only its complete lines are returned.
struct Lines<'a>(BufReader<MultiGzDecoder<&'a [u8]>>);

impl Lines<'_> {
    fn next(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).ok().filter(|n| *n > 0)?;
        line.pop_if(|last| *last == b'\n').map(|_| line)
    }
}

#[cfg(test)]
mod tests {
    use super::super::packed::tests::packed;
    use super::*;

    #[test]
    fn pages_are_put_together_whatever_the_address() {
        let page =
            |next: &str, name: &str| format!(r#"{{"metadata":{{"continue":"{next}"}},"items":[{{"metadata":{{"name":"{name}"}}}}]}}"#);
        let (one, two) = (page("x", "a"), page("", "b"));
        for host in ["10.0.0.1", "[fd00::1]"] {
            let path = "/api/v1/pods?fieldSelector=spec.nodeName%3Dw1";
            let url = format!("https://{host}:6443{path}&limit=500");
            let text = format!("{one}\n\n@end 200 {url}\n{two}\n\n@end 200 {url}&continue=x\n@done\n");
            let (answers, others) = read(&[path.to_string()], &packed(&text), "");
            let list = answers[path].clone().expect("it is answered").expect("it is there");
            assert_eq!(list["items"].as_array().map(Vec::len), Some(2), "{list}");
            assert_eq!(others, Ok(vec![]));
        }
    }

    #[test]
    fn an_answer_that_is_cut_short_anywhere_is_no_answer() {
        let asked = ["/a".to_string(), "/b".to_string()];
        let text = "{\"kind\":\"A\"}\n\n@end 200 https://x/a\n{\"kind\":\"B\"}\n\n@end 200 https://x/b\n@kubectl\n{\"items\":[7]}\n@done\n";
        let whole = packed(text);
        assert!(matches!(read(&asked, &whole, ""), (a, Ok(o)) if a.values().all(|v| matches!(v, Ok(Some(_)))) && o.len() == 1));
        for length in 0..text.len() {
            let (answers, others) = read(&asked, &packed(&text[..length]), "it said so");
            let b = text.find("@kubectl").is_some_and(|at| length >= at);
            assert_eq!(matches!(answers["/b"], Ok(Some(_))), b, "{length}");
            assert_eq!(others, Err("kubectl's answer is not whole".into()), "{length}");
        }
        let (answers, _) = read(&asked, &whole[..whole.len() / 2], "it said so");
        assert_eq!(answers["/b"], Err("the API does not answer `/b`: it said so".into()));
    }
}
