//! Reads YAML text into a tree with positions. The size, the depth and the number of values are limited.

use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::tree::{Entry, Kind, Node, Pos};

/// The largest size of an inventory in bytes. A thousand hosts, each with its own labels, need a tenth of it.
const MAX_BYTES: usize = 2 << 20;
/// The largest number of nested levels. The inventory itself needs six levels, and a KubeletConfiguration in it needs a few more.
const MAX_DEPTH: usize = 32;
/// The largest number of values in one document. An alias counts as many values as the node that it refers to. A thousand hosts, each with its
/// own labels, have a fifth of it.
const MAX_NODES: usize = 100_000;

/// A fault that is found while the YAML text is parsed, before the values are compared with the JSON Schema.
#[derive(Debug)]
pub(super) struct TextFault {
    pub pos: Pos,
    pub message: String,
    pub hint: Option<String>,
}

/// The tree of a file, and the faults that were found in its text. `root` is `None` if the text is empty, too long or could not be parsed, so that no
/// value can be checked.
pub(super) struct Reading {
    pub root: Option<Node>,
    pub faults: Vec<TextFault>,
}

/// Reads one YAML document.
pub(super) fn read(text: &str) -> Reading {
    let start = Pos { line: 1, column: 1 };
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes; an inventory has at most {MAX_BYTES}", text.len());
        return Reading { root: None, faults: vec![TextFault { pos: start, message, hint: None }] };
    }
    let options = granit_parser::options! { emit_comments: false, flow_nesting_limit: MAX_DEPTH, block_nesting_limit: MAX_DEPTH };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::default();
    match builder.run(Parser::new_from_str_with_options(text, options)) {
        Ok(()) => Reading { root: builder.root, faults: builder.faults },
        Err(fatal) => {
            builder.faults.push(fatal);
            Reading { root: None, faults: builder.faults }
        }
    }
}

/// A list or mapping whose end has not been read yet.
struct Open {
    pos: Pos,
    anchor: usize,
    parts: Parts,
}

enum Parts {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<(String, Pos)> },
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    documents: usize,
    faults: Vec<TextFault>,
}

type Step = Result<(), TextFault>;

impl Builder {
    fn run<'a>(&mut self, mut parser: Parser<'a, StrInput<'a>>) -> Step {
        while let Some(next) = parser.next_event() {
            let (event, span) = next.map_err(|e| scan_fault(&e))?;
            if !self.take(event, span)? {
                break;
            }
        }
        Ok(())
    }

    /// Processes one event of the parser. Returns false if the parsing must stop because a second document begins.
    fn take(&mut self, event: Event, span: Span) -> Result<bool, TextFault> {
        let pos = Pos { line: span.start.line(), column: span.start.col() + 1 };
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.fault(pos, "a second YAML document starts here", Some("an inventory is one document: remove the `---`"));
                    return Ok(false);
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !self.is_text_tag(pos, tag.as_deref());
                self.add(Node::scalar(pos, text.into_owned(), plain), anchor)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.is_text_tag(pos, tag.as_deref());
                self.open.push(Open { pos, anchor, parts: Parts::List(Vec::new()) });
            }
            Event::MappingStart(_, anchor, tag) => {
                self.is_text_tag(pos, tag.as_deref());
                self.open.push(Open { pos, anchor, parts: Parts::Map { entries: Vec::new(), key: None } });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Alias(id) => {
                let Some(target) = self.anchors.get(&id) else {
                    return Err(fault(pos, "an alias stands inside what it refers to", None));
                };
                if self.nodes + target.size > MAX_NODES {
                    let hint = Some("write repeated parts out, or use fewer aliases");
                    return Err(fault(pos, &format!("aliases make the inventory larger than {MAX_NODES} values"), hint));
                }
                if self.open.len() + target.depth > MAX_DEPTH {
                    return Err(fault(pos, &format!("aliases in aliases are nested deeper than {MAX_DEPTH} levels"), None));
                }
                let copy = target.clone();
                self.nodes += copy.size - 1;
                self.add(copy, 0)?;
            }
            _ => {}
        }
        Ok(true)
    }

    /// Whether a tag is `!!str`, which means text. A tag with any other meaning is reported as a fault.
    fn is_text_tag(&mut self, pos: Pos, tag: Option<&Tag>) -> bool {
        let Some(tag) = tag else { return false };
        let text = tag.is_yaml_core_schema_tag("str");
        if !text {
            self.fault(pos, &format!("the tag `{}` has no meaning in an inventory", tag.original().escape_debug()), Some("remove it"));
        }
        text
    }

    fn close(&mut self) -> Step {
        let Some(Open { pos, anchor, parts }) = self.open.pop() else { return Ok(()) };
        let node = match parts {
            Parts::List(items) => Node::list(pos, items),
            Parts::Map { entries, .. } => {
                let entries = self.merge_and_check(entries)?;
                Node::map(pos, entries)
            }
        };
        self.add(node, anchor)
    }

    /// Adds a complete node to the innermost open list or mapping, or makes it the root.
    fn add(&mut self, node: Node, anchor: usize) -> Step {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(fault(node.pos, &format!("the inventory has more than {MAX_NODES} values"), None));
        }
        let mut bad_key = None;
        match self.open.last_mut().map(|o| &mut o.parts) {
            None => self.root = Some(node),
            Some(Parts::List(items)) => items.push(node),
            Some(Parts::Map { entries, key }) => match key.take() {
                Some((key, pos)) => entries.push(Entry { key, pos, value: node }),
                None => {
                    let text = match node.kind {
                        Kind::Scalar { text, .. } => text,
                        _ => {
                            bad_key = Some(node.pos);
                            String::new()
                        }
                    };
                    *key = Some((text, node.pos));
                }
            },
        }
        match bad_key {
            Some(pos) => Err(fault(
                pos,
                "a list or mapping stands where a key must be",
                Some("write `key: value`; quote text that has braces in it"),
            )),
            None => Ok(()),
        }
    }

    /// Adds the entries of merge keys (`<<`) to a mapping, whose own entries take precedence. If a key is written twice, the first entry is kept
    /// and the second one is reported as a fault.
    fn merge_and_check(&mut self, written: Vec<Entry>) -> Result<Vec<Entry>, TextFault> {
        let mut seen: HashMap<String, usize> = HashMap::with_capacity(written.len());
        let mut entries: Vec<Entry> = Vec::with_capacity(written.len());
        let mut below = Vec::new();
        for entry in written {
            if entry.key == "<<" {
                below.push(entry);
            } else if let Some(line) = seen.get(&entry.key) {
                let message = format!("`{}` is written twice; first on line {line}", entry.key.escape_debug());
                self.fault(entry.pos, &message, Some("remove one of the two"));
            } else {
                seen.insert(entry.key.clone(), entry.pos.line);
                entries.push(entry);
            }
        }
        for Entry { pos, value, .. } in below {
            let sources = match value.kind {
                Kind::List(items) => items,
                _ => vec![value],
            };
            for source in sources {
                let Kind::Map(more) = source.kind else {
                    self.fault(pos, "`<<` merges mappings only", Some("write `<<: *anchor` with an anchor on a mapping"));
                    continue;
                };
                for entry in more {
                    if seen.insert(entry.key.clone(), entry.pos.line).is_none() {
                        entries.push(entry);
                    }
                }
            }
        }
        Ok(entries)
    }

    fn fault(&mut self, pos: Pos, message: &str, hint: Option<&str>) {
        self.faults.push(fault(pos, message, hint));
    }
}

fn fault(pos: Pos, message: &str, hint: Option<&str>) -> TextFault {
    TextFault { pos, message: message.into(), hint: hint.map(Into::into) }
}

/// The fault for an error of the YAML parser. For common mistakes it has a message and a hint that an operator understands.
fn scan_fault(error: &ScanError) -> TextFault {
    use ErrorKind as E;
    let pos = Pos { line: error.marker().line(), column: error.marker().col() + 1 };
    match error.kind() {
        E::TabNotAllowed | E::TabInBlockIndentation | E::TabInIndentation | E::TabInPlainScalar | E::TabAtBlockScalarStart => {
            fault(pos, "a tab stands in the indentation", Some("YAML is indented with spaces"))
        }
        E::RecursionLimitExceeded => fault(pos, &format!("values are nested deeper than {MAX_DEPTH} levels"), None),
        E::UnknownAnchor => fault(
            pos,
            "an alias refers to an anchor that is not there",
            Some("write the `&anchor` before its `*alias`; quote text that begins with `*`"),
        ),
        E::ExpectedBlockSequenceEntry | E::ExpectedBlockMappingKey | E::InvalidIndentation => {
            fault(pos, "this line fits neither the lines above it nor under them", Some("check its indentation"))
        }
        E::InvalidQuotedScalarIndent => {
            fault(pos, "a quoted text goes on here without indentation", Some("close its quote on the line before, or indent"))
        }
        E::UnclosedQuotedScalar => fault(pos, "a quote is opened and never closed", None),
        E::UnclosedFlowCollection { open } => fault(pos, &format!("`{open}` is opened and never closed"), None),
        E::UnexpectedCharacter { character } => {
            fault(pos, &format!("unexpected character `{}`", character.escape_debug()), Some("quote text that begins with it"))
        }
        E::MappingValueNotAllowed => {
            fault(pos, "not YAML: a `:` stands where no value can be", Some("quote text with `: ` in it, and check the indentation"))
        }
        _ => fault(pos, &format!("not YAML: {}", error.info()), Some("check the indentation and the quotes")),
    }
}
