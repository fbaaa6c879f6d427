//! A source file in the form that the house rules check: parsed, without code that is compiled for tests alone, as lists of the paths, macros,
//! methods and literals in it.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, ImplItem, Item, Meta, Stmt, Token, TraitItem};

/// One finding and its line.
pub struct Found<T> {
    pub line: usize,
    pub what: T,
}

#[derive(Default)]
pub struct Source {
    /// The path of the file, such as `src/plan/upgrade/mod.rs`.
    pub path: String,
    /// The names of the module from the crate's root, such as `plan`, `upgrade`.
    pub module: Vec<String>,
    /// Every path of two or more names as it is written, with the groups of `use` expanded.
    pub paths: Vec<Found<Vec<String>>>,
    /// The paths that lead into this crate, from the crate's root.
    pub own: Vec<Found<Vec<String>>>,
    pub macros: Vec<Found<String>>,
    pub methods: Vec<Found<String>>,
    pub literals: Vec<Found<String>>,
    /// Modules in files of their own that are compiled for tests alone.
    pub test_modules: Vec<Vec<String>>,
}

pub fn parse(path: &str, text: &str) -> Source {
    let mut file = syn::parse_file(text).unwrap_or_else(|e| panic!("{path}: {e}"));
    let module = module(path);
    let mut prune = Prune { module: module.clone(), test_modules: Vec::new() };
    prune.visit_file_mut(&mut file);
    let mut source = Source { path: path.into(), module: module.clone(), test_modules: prune.test_modules, ..Source::default() };
    source.scan(file.into_token_stream(), &module);
    source
}

/// `src/plan/upgrade/mod.rs` is the module `plan::upgrade`, and `src/main.rs` counts as a module of its own.
fn module(path: &str) -> Vec<String> {
    let below = path.trim_start_matches("src/").trim_end_matches(".rs");
    let parts = below.split('/').filter(|p| !matches!(*p, "mod" | "lib"));
    parts.map(String::from).collect()
}

/// The attributes of a syntax node that is one of the variants `$kind` of the enum `$all`; none for any other variant.
macro_rules! attributes {
    ($node:expr, $all:ident: $($kind:ident)+) => {
        match $node {
            $($all::$kind(node) => node.attrs.as_slice(),)+
            _ => &[],
        }
    };
}

/// Removes items and statements under `#[cfg(test)]`. Other code under `#[cfg(test)]`, such as a field, stays and is checked.
struct Prune {
    module: Vec<String>,
    test_modules: Vec<Vec<String>>,
}

impl Prune {
    fn items(&mut self, items: &mut Vec<Item>) {
        for item in items.iter() {
            if let Item::Mod(inner) = item
                && inner.content.is_none()
                && is_for_tests(&inner.attrs)
            {
                let name = inner.ident.to_string();
                self.test_modules.push(self.module.iter().cloned().chain([name]).collect());
            }
        }
        items.retain(|item| !is_for_tests(item_attributes(item)));
    }
}

impl VisitMut for Prune {
    fn visit_file_mut(&mut self, file: &mut syn::File) {
        if is_for_tests(&file.attrs) {
            file.items.clear();
        }
        self.items(&mut file.items);
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_mod_mut(&mut self, item: &mut syn::ItemMod) {
        self.module.push(item.ident.to_string());
        if let Some((_, items)) = &mut item.content {
            self.items(items);
        }
        visit_mut::visit_item_mod_mut(self, item);
        self.module.pop();
    }

    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        block.stmts.retain(|stmt| match stmt {
            Stmt::Item(item) => !is_for_tests(item_attributes(item)),
            _ => !is_for_tests(attributes!(stmt, Stmt: Local Macro)),
        });
        visit_mut::visit_block_mut(self, block);
    }

    fn visit_item_impl_mut(&mut self, item: &mut syn::ItemImpl) {
        item.items.retain(|inner| !is_for_tests(attributes!(inner, ImplItem: Const Fn Type)));
        visit_mut::visit_item_impl_mut(self, item);
    }

    fn visit_item_trait_mut(&mut self, item: &mut syn::ItemTrait) {
        item.items.retain(|inner| !matches!(inner, TraitItem::Fn(f) if is_for_tests(&f.attrs)));
        visit_mut::visit_item_trait_mut(self, item);
    }
}

fn item_attributes(item: &Item) -> &[Attribute] {
    attributes!(item, Item: Const Enum ExternCrate Fn Impl Macro Mod Static Struct Trait Type Union Use)
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|a| a.path().is_ident("cfg") && a.parse_args::<Meta>().is_ok_and(|m| holds_in_tests_alone(&m)))
}

fn holds_in_tests_alone(condition: &Meta) -> bool {
    let parts = |list: &syn::MetaList| list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).unwrap_or_default();
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => parts(list).iter().any(holds_in_tests_alone),
        Meta::List(list) if list.path.is_ident("any") => parts(list).iter().all(holds_in_tests_alone),
        _ => false,
    }
}

impl Source {
    /// Records the paths, macros, methods and literals in these tokens. Tokens are read instead of the syntax tree, because the arguments of macros
    /// are tokens alone.
    fn scan(&mut self, tokens: TokenStream, module: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            let line = tokens[at].span().start().line;
            match &tokens[at..] {
                // A documentation comment is an attribute, and is skipped.
                [TokenTree::Punct(p), TokenTree::Group(g), ..] if p.as_char() == '#' && begins_with(g, "doc") => at += 2,
                [TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Group(g), ..] if word == "mod" => {
                    let inner: Vec<String> = module.iter().cloned().chain([name.to_string()]).collect();
                    self.scan(g.stream(), &inner);
                    at += 3;
                }
                [TokenTree::Punct(p), TokenTree::Ident(name), TokenTree::Group(g), ..] if p.as_char() == '.' => {
                    self.methods.push(Found { line, what: name.to_string() });
                    self.scan(g.stream(), module);
                    at += 3;
                }
                [TokenTree::Ident(name), TokenTree::Punct(p), TokenTree::Group(g), ..] if p.as_char() == '!' => {
                    self.macros.push(Found { line, what: name.to_string() });
                    self.scan(g.stream(), module);
                    at += 3;
                }
                [TokenTree::Ident(_), ..] => at += self.path(&tokens[at..], &[], module),
                [TokenTree::Group(g), ..] => {
                    self.scan(g.stream(), module);
                    at += 1;
                }
                [TokenTree::Literal(literal), ..] => {
                    self.literals.push(Found { line, what: literal.to_string() });
                    at += 1;
                }
                _ => at += 1,
            }
        }
    }

    /// Records the path that begins with the first token, with `prefix` before it. Returns the number of its tokens.
    fn path(&mut self, tokens: &[TokenTree], prefix: &[String], module: &[String]) -> usize {
        let line = tokens[0].span().start().line;
        let mut names = prefix.to_vec();
        let mut at = 0;
        loop {
            match tokens.get(at) {
                Some(TokenTree::Ident(name)) => names.push(name.to_string()),
                Some(TokenTree::Punct(p)) if p.as_char() == '*' && !names.is_empty() => names.push("*".into()),
                Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Brace && !names.is_empty() => {
                    let inner: Vec<TokenTree> = g.stream().into_iter().collect();
                    for part in inner.split(|t| matches!(t, TokenTree::Punct(p) if p.as_char() == ',')).filter(|p| !p.is_empty()) {
                        self.path(part, &names, module);
                    }
                    return at + 1;
                }
                _ => break,
            }
            at += 1;
            let colon = |i: usize| matches!(tokens.get(i), Some(TokenTree::Punct(p)) if p.as_char() == ':');
            if !(colon(at) && colon(at + 1)) {
                break;
            }
            // A macro that is called by its path is recorded as a macro, too.
            if let (Some(TokenTree::Ident(name)), Some(TokenTree::Punct(p)), Some(TokenTree::Group(_))) =
                (tokens.get(at + 2), tokens.get(at + 3), tokens.get(at + 4))
                && p.as_char() == '!'
            {
                self.macros.push(Found { line, what: name.to_string() });
            }
            at += 2;
        }
        if names.len() > 1 {
            if let Some(own) = from_the_root(&names, module) {
                self.own.push(Found { line, what: own });
            }
            self.paths.push(Found { line, what: names });
        }
        at.max(1)
    }
}

fn begins_with(group: &proc_macro2::Group, name: &str) -> bool {
    matches!(group.stream().into_iter().next(), Some(TokenTree::Ident(first)) if first == name)
}

/// A path into this crate from its root; `None` for a path that leads elsewhere or into a descendant by its bare name.
fn from_the_root(names: &[String], module: &[String]) -> Option<Vec<String>> {
    if matches!(names[0].as_str(), "crate" | "clusterctl") {
        return Some(names[1..].to_vec());
    }
    let rest = if names[0] == "self" { &names[1..] } else { names };
    let levels = rest.iter().take_while(|n| *n == "super").count();
    if names[0] != "self" && levels == 0 {
        return None;
    }
    Some([module.get(..module.len().checked_sub(levels)?)?, &rest[levels..]].concat())
}
