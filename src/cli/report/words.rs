//! Small pieces of text that several views share.

use std::time::Duration;

/// A duration as text, such as `1.2s`, or `2m 03s` from a minute on.
pub fn took(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 { format!("{:.1}s", time.as_secs_f64()) } else { format!("{}m {:02}s", seconds / 60, seconds % 60) }
}

/// `1 host`, `2 hosts`.
pub fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Text from a host, without the characters that could control a terminal.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// The length in bytes to which [`short`] shortens the title of a step.
const TITLE: usize = 120;

/// Shortens a title that lists what it counts (`write 40 files: ...`) to as many items as fit into [`TITLE`] bytes. Other titles stay whole. The plan
/// and the log contain all items.
pub fn short(title: &str) -> String {
    let counts = |head: &str| head.split(' ').nth(1).is_some_and(|n| n.parse::<usize>().is_ok());
    let Some((head, list)) = title.split_once(": ").filter(|(head, _)| title.len() > TITLE && counts(head)) else {
        return title.to_string();
    };
    let separator = if list.contains(", ") { ", " } else { " " };
    let items: Vec<&str> = list.split(separator).collect();
    let mut shown = format!("{head}: {}", items[0]);
    let mut count = 1;
    while count < items.len() && shown.len() + separator.len() + items[count].len() <= TITLE {
        shown += &format!("{separator}{}", items[count]);
        count += 1;
    }
    if count < items.len() { format!("{shown} and {} more", items.len() - count) } else { shown }
}

/// Splits a text into its first line and its other lines.
pub fn head_and_rest(text: &str) -> (&str, Vec<&str>) {
    let mut lines = text.lines();
    (lines.next().unwrap_or_default(), lines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_of_what_a_title_counts_is_cut_at_an_item() {
        let paths: Vec<String> = (0..40).map(|n| format!("/etc/kubernetes/pki/file-{n}")).collect();
        let title = format!("write 40 files: {}", paths.join(" "));
        let shown = short(&title);
        assert_eq!(shown, "write 40 files: /etc/kubernetes/pki/file-0 /etc/kubernetes/pki/file-1 /etc/kubernetes/pki/file-2 and 37 more");
        let objects = ["ConfigMap kube-system/kubeadm-config"; 5].join(", ");
        assert!(short(&format!("apply 5 objects: {objects}")).ends_with("ConfigMap kube-system/kubeadm-config and 3 more"));
    }

    #[test]
    fn other_titles_stay_whole() {
        for title in ["write 2 files: /a /b".to_string(), format!("before the drain: run `{}`", "x ".repeat(100)), "drain node w1".into()] {
            assert_eq!(short(&title), title);
        }
    }
}
