//! The sources as the tests read them: paths resolved through imports, calls, types and lengths.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The floors of lib.rs, ground floor first, and all sources of the library and the programs.
pub(crate) fn read() -> (Vec<String>, Vec<Source>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let floors = floors(&fs::read_to_string(root.join("src/lib/lib.rs")).unwrap());
    assert!(floors.len() > 7, "src/lib/lib.rs lists {floors:?}");
    let mut sources = Vec::new();
    for entry in walkdir::WalkDir::new(root.join("src")).sort_by_file_name() {
        let path = entry.unwrap().into_path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            sources.push(Source::parse(name, &fs::read_to_string(&path).unwrap()));
        }
    }
    let count = sources.len();
    assert!(count > floors.len(), "only {count} sources were found");
    (floors, sources)
}

/// The `pub mod` lines of lib.rs.
pub(crate) fn floors(lib: &str) -> Vec<String> {
    let items = syn::parse_file(lib).unwrap().items.into_iter();
    let mods = items.filter_map(|item| match item {
        syn::Item::Mod(item) => Some(item.ident.to_string()),
        _ => None,
    });
    mods.collect()
}

/// A path that a source mentions, resolved as far as its file tells.
#[derive(Clone)]
pub(crate) struct Mention {
    pub(crate) line: usize,
    pub(crate) path: Vec<String>,
    pub(crate) in_test: bool,
    /// Whether a `pub use` mentions it, and the file does not use the name itself.
    pub(crate) is_passed_on: bool,
}

/// What the rules ask about a source. Methods, macros and types of tests are left out.
#[derive(Default)]
pub(crate) struct Source {
    pub(crate) name: String,
    /// `cms/signed_data.rs` is `cms::signed_data`, `cms/mod.rs` is `cms`; a program has none.
    pub(crate) module: Option<Vec<String>>,
    /// Without its inline tests.
    pub(crate) lines: usize,
    /// Each import with the name that it introduces, and whether that is public.
    uses: Vec<(Mention, String, bool)>,
    /// The paths that each name was imported from.
    pub(crate) imports: HashMap<String, Vec<Vec<String>>>,
    /// Paths of two segments or more outside of `use` lines.
    paths: Vec<Mention>,
    /// The words that are used outside of `use` lines.
    words: HashSet<String>,
    /// The methods and macros that are called, each with its line.
    pub(crate) methods: Vec<(usize, String)>,
    pub(crate) macros: Vec<(usize, String)>,
    /// The types, traits and aliases that are defined outside of functions.
    pub(crate) types: BTreeSet<String>,
}

/// Where in a source the walk is.
#[derive(Clone)]
struct Scope {
    module: Vec<String>,
    in_test: bool,
    /// Between the braces of a module, and not of a function, trait or block.
    has_items: bool,
    /// Between the braces of an enum, whose variants are no uses of names.
    has_variants: bool,
}

impl Source {
    pub(crate) fn parse(name: &str, text: &str) -> Self {
        let module = name.strip_prefix("src/lib/").map(|path| {
            let parts = path.trim_end_matches(".rs").split('/').map(str::to_owned);
            let mut parts: Vec<String> = parts.collect();
            parts.pop_if(|last| last == "mod" || last == "lib");
            parts
        });
        let scope = Scope {
            module: module.clone().unwrap_or_default(),
            in_test: false,
            has_items: true,
            has_variants: false,
        };
        let mut source = Self {
            name: name.to_owned(),
            module,
            lines: text.lines().count(),
            ..Self::default()
        };
        let stream = text
            .parse()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        source.walk(stream, &scope);
        source
    }

    /// None in a program.
    pub(crate) fn floor(&self) -> Option<&str> {
        self.module
            .as_ref()
            .map(|module| module.first().map_or("lib", String::as_str))
    }

    /// The paths of `use` lines, and all others with their first segment replaced by what the file
    /// imports under that name.
    pub(crate) fn mentions(&self) -> Vec<Mention> {
        let mut found: Vec<Mention> = Vec::new();
        for (mention, name, is_public) in &self.uses {
            found.push(Mention {
                is_passed_on: *is_public && !self.words.contains(name),
                ..mention.clone()
            });
        }
        for mention in &self.paths {
            let own = [mention.path[..1].to_vec()];
            let starts = self
                .imports
                .get(&mention.path[0])
                .map_or(&own[..], Vec::as_slice);
            found.extend(starts.iter().map(|start| Mention {
                path: [start, &mention.path[1..]].concat(),
                ..*mention
            }));
        }
        found
    }

    /// Walks tokens rather than a syntax tree, since the arguments of macros have no tree.
    fn walk(&mut self, stream: TokenStream, scope: &Scope) {
        let tokens = Tokens(stream.into_iter().collect());
        let (mut at, mut end_of_test) = (0, 0);
        let mut is_enum = false;
        while let Some(token) = tokens.0.get(at) {
            if at >= end_of_test && tokens.ask_for_tests(at) {
                end_of_test = end_of_item(&tokens.0, at);
                let is_mod = (at..end_of_test).any(|at| tokens.word(at).as_deref() == Some("mod"));
                if is_mod && scope.has_items && !scope.in_test {
                    let end = tokens.0[end_of_test - 1].span().end().line;
                    self.lines -= end + 1 - token.span().start().line;
                }
            }
            let mut inner = Scope {
                module: scope.module.clone(),
                in_test: scope.in_test || at < end_of_test,
                has_items: false,
                has_variants: false,
            };
            match token {
                TokenTree::Group(group) => {
                    inner.has_variants = is_enum && group.delimiter() == Delimiter::Brace;
                    is_enum &= !inner.has_variants;
                    self.walk(group.stream(), &inner);
                    at += 1;
                }
                TokenTree::Ident(word) => {
                    is_enum |= word == "enum";
                    at = self.word(&tokens, at, scope, inner);
                }
                _ => at += 1,
            }
        }
    }

    /// Takes the module, import, definition, call or path that a word begins, and returns where it ends.
    /// `scope` is that of the tokens around it.
    fn word(&mut self, tokens: &Tokens, start: usize, scope: &Scope, mut inner: Scope) -> usize {
        let word = tokens.word(start).unwrap();
        let next = tokens.word(start + 1).unwrap_or_default();
        let line = tokens.0[start].span().start().line;
        if word == "mod"
            && let Some(body) = tokens.group(start + 2, Delimiter::Brace)
        {
            inner.module.push(next);
            inner.has_items = true;
            self.walk(body.stream(), &inner);
            return start + 3;
        }
        if word == "use" {
            let rest = start..tokens.0.len();
            let end = rest
                .clone()
                .find(|&at| tokens.is(at, ';'))
                .map_or(rest.end, |end| end + 1);
            let item = tokens.0[start..end].iter().cloned().collect();
            // `use<>` says what a type captures, and is no item.
            if let Ok(item) = syn::parse2::<syn::ItemUse>(item) {
                let is_public = start > 0
                    && (tokens.word(start - 1).is_some()
                        || tokens.group(start - 1, Delimiter::Parenthesis).is_some());
                self.import(line, &item.tree, &[], is_public, &inner);
                return end;
            }
        }
        if lists("struct enum trait type", &word) && scope.has_items && !inner.in_test {
            self.types.insert(next);
        }
        let mut path = vec![word];
        let mut end = start + 1;
        while tokens.is(end, ':')
            && tokens.is(end + 1, ':')
            && let Some(segment) = tokens.word(end + 2)
        {
            path.push(segment);
            end += 3;
        }
        // `..path` is a range or the rest of a struct.
        let is_method =
            start > 0 && tokens.is(start - 1, '.') && (start < 2 || !tokens.is(start - 2, '.'));
        if !inner.in_test {
            if !scope.has_variants {
                self.words.insert(path[0].clone());
            }
            let last = path[path.len() - 1].clone();
            if tokens.is(end, '!') {
                self.macros.push((line, last));
            } else if is_method && tokens.group(end, Delimiter::Parenthesis).is_some() {
                self.methods.push((line, last));
            }
        }
        if path.len() > 1 && !is_method {
            self.paths.push(mention(line, &path, &inner));
        }
        end
    }

    fn import(
        &mut self,
        line: usize,
        tree: &syn::UseTree,
        path: &[String],
        is_public: bool,
        scope: &Scope,
    ) {
        let join = |last: &syn::Ident| [path, &[last.to_string()]].concat();
        let (whole, name) = match tree {
            syn::UseTree::Path(tree) => {
                return self.import(line, &tree.tree, &join(&tree.ident), is_public, scope);
            }
            syn::UseTree::Group(group) => {
                return group
                    .items
                    .iter()
                    .for_each(|tree| self.import(line, tree, path, is_public, scope));
            }
            syn::UseTree::Glob(_) => ([path, &["*".to_owned()]].concat(), None),
            syn::UseTree::Name(tree) if tree.ident == "self" => (path.to_vec(), None),
            syn::UseTree::Name(tree) => (join(&tree.ident), None),
            syn::UseTree::Rename(tree) if tree.ident == "self" => {
                (path.to_vec(), Some(&tree.rename))
            }
            syn::UseTree::Rename(tree) => (join(&tree.ident), Some(&tree.rename)),
        };
        let name = name.map_or_else(|| whole[whole.len() - 1].clone(), ToString::to_string);
        let mention = mention(line, &whole, scope);
        if !scope.in_test {
            self.imports
                .entry(name.clone())
                .or_default()
                .push(mention.path.clone());
        }
        self.uses.push((mention, name, is_public));
    }
}

/// Writes out `self::` and `super::`.
fn mention(line: usize, path: &[String], scope: &Scope) -> Mention {
    let ups = path
        .iter()
        .take_while(|segment| *segment == "super")
        .count();
    let skip = ups + usize::from(path[0] == "self");
    let mut whole = Vec::new();
    if skip > 0 {
        whole.push("crate".to_owned());
        whole.extend_from_slice(&scope.module[..scope.module.len().saturating_sub(ups)]);
    }
    whole.extend_from_slice(&path[skip..]);
    Mention {
        line,
        path: whole,
        in_test: scope.in_test,
        is_passed_on: false,
    }
}

struct Tokens(Vec<TokenTree>);

impl Tokens {
    fn is(&self, at: usize, sign: char) -> bool {
        matches!(self.0.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
    }

    fn group(&self, at: usize, delimiter: Delimiter) -> Option<&Group> {
        match self.0.get(at) {
            Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group),
            _ => None,
        }
    }

    /// A word without its `r#`.
    fn word(&self, at: usize) -> Option<String> {
        match self.0.get(at) {
            Some(TokenTree::Ident(word)) => {
                Some(word.to_string().trim_start_matches("r#").to_owned())
            }
            _ => None,
        }
    }

    /// Whether a `cfg` attribute that holds only in tests starts here.
    fn ask_for_tests(&self, at: usize) -> bool {
        let attribute = self
            .group(at + 1, Delimiter::Bracket)
            .filter(|_| self.is(at, '#'));
        let text = attribute
            .map(|group| group.stream().to_string())
            .unwrap_or_default();
        let Some(condition) = text.strip_prefix("cfg").map(str::trim_start) else {
            return false;
        };
        let words: HashSet<&str> = condition.split(|c: char| !c.is_alphanumeric()).collect();
        condition.starts_with('(')
            && words.contains("test")
            && !words.contains("not")
            && !words.contains("any")
    }
}

/// Past the item, field or statement whose attributes start here.
fn end_of_item(trees: &[TokenTree], start: usize) -> usize {
    const ITEMS: &str = "async const enum extern fn impl mod pub static struct trait type use";
    let mut first = start;
    while matches!(&trees[first], TokenTree::Punct(punct) if punct.as_char() == '#') {
        first += 2;
    }
    let rest = trees[first..].iter();
    let is_item = lists(ITEMS, &trees[first].to_string());
    let is_use = rest.clone().take(4).any(|tree| tree.to_string() == "use");
    let ends = |tree: &TokenTree| match tree {
        TokenTree::Punct(punct) => punct.as_char() == ';' || punct.as_char() == ',' && !is_item,
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace && !is_use,
        _ => false,
    };
    rest.clone()
        .position(ends)
        .map_or(trees.len(), |end| first + end + 1)
}

/// Whether the list has this path, or one that this path is below.
pub(crate) fn lists(list: &str, path: &str) -> bool {
    let mut rests = list
        .split_whitespace()
        .filter_map(|listed| path.strip_prefix(listed));
    rests.any(|rest| rest.is_empty() || rest.starts_with("::"))
}
