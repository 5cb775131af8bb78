//! A stretch of Rust → what it is made of: items, statements, the names it binds and the words it uses.
//!
//! The parser is rust-analyzer's: it keeps every character and goes on after an error, so that rustc can say what is
//! wrong, in its own words and at the right place.

mod item;

use std::collections::BTreeSet;
use std::ops::Range;

use ra_ap_syntax::ast::{self, HasAttrs as _, HasLoopBody, HasModuleItem as _, HasName as _};
use ra_ap_syntax::{AstNode, Edition, SourceFile, SyntaxKind, SyntaxNode, TextRange};

pub(super) use item::{Item, Key};

/// Comes before the code while it is parsed: statements only stand in a function.
const BEFORE: &str = "fn mlk8s() {";
const AFTER: &str = "\n}";
/// Macros that define items although they are called like expressions.
const ITEM_MACROS: [&str; 2] = ["thread_local", "lazy_static"];

/// A stretch of Rust, taken apart. Places are bytes of its text.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// The text.
    pub(super) text: String,
    /// `#![…]` at its beginning.
    pub(super) attributes: Vec<Range<usize>>,
    /// Functions, types and the like.
    pub(super) items: Vec<Item>,
    /// The expression at its end.
    pub(super) value: Option<Range<usize>>,
    /// Names that outlive it.
    pub(super) bindings: Vec<Binding>,
    /// Every identifier in it, those in texts to be formatted included.
    pub(super) words: BTreeSet<String>,
    /// Where the bodies of its loops begin.
    pub(super) loops: Vec<usize>,
    /// It has loops or closures: it may compute for long.
    pub(super) is_heavy: bool,
    /// `.await` occurs outside of its items.
    pub(super) awaits: bool,
}

/// A name that a `let` at the top level binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) name: String,
    pub(super) mutable: bool,
}

impl Source {
    /// Takes `text` apart.
    pub(super) fn parse(text: &str) -> Source {
        let wrapped = format!("{BEFORE}{text}{AFTER}");
        let file = SourceFile::parse(&wrapped, Edition::Edition2024).tree();
        let mut source = Source {
            text: text.to_owned(),
            ..Source::default()
        };
        let body = file.items().find_map(|item| match item {
            ast::Item::Fn(function) => function.body(),
            _ => None,
        });
        if let Some(block) = body.as_ref().and_then(ast::BlockExpr::stmt_list) {
            source.read(&block);
        }
        // With a bracket too many the function ends early: then rustc is given the text as it is.
        let whole = file.items().count() == 1;
        if !whole {
            return Source {
                text: text.to_owned(),
                words: words(file.syntax()),
                ..Source::default()
            };
        }
        source.keep_within();
        source.words = words(file.syntax());
        source.words.remove("mlk8s");
        source.loops = loops(file.syntax());
        source.loops.retain(|&at| at <= text.len());
        source.is_heavy = !source.loops.is_empty()
            || file
                .syntax()
                .descendants()
                .any(|node| ast::ClosureExpr::can_cast(node.kind()));
        source
    }

    /// Ends at the end of the text what an open bracket would carry on beyond it.
    fn keep_within(&mut self) {
        let end = self.text.len();
        let cut = |place: &mut Range<usize>| *place = place.start.min(end)..place.end.min(end);
        self.attributes.iter_mut().for_each(cut);
        self.items.iter_mut().for_each(|item| cut(&mut item.place));
        self.value.iter_mut().for_each(cut);
    }

    fn read(&mut self, block: &ast::StmtList) {
        for attribute in block.attrs().filter(|attr| attr.excl_token().is_some()) {
            self.attributes.push(place(attribute.syntax().text_range()));
        }
        for statement in block.statements() {
            match statement {
                ast::Stmt::Item(item) => self.items.push(Item::read(&item)),
                ast::Stmt::LetStmt(binding) => {
                    if let Some(pattern) = binding.pat() {
                        self.bind(pattern.syntax());
                    }
                    self.awaits |= awaits(binding.syntax());
                }
                ast::Stmt::ExprStmt(statement) => match statement.expr() {
                    Some(expression) if is_item_macro(&expression) => {
                        self.items.push(Item::anonymous(statement.syntax()));
                    }
                    _ => self.awaits |= awaits(statement.syntax()),
                },
            }
        }
        match block.tail_expr() {
            Some(expression) if is_item_macro(&expression) => {
                self.items.push(Item::anonymous(expression.syntax()));
            }
            Some(expression) => {
                self.awaits |= awaits(expression.syntax());
                self.value = Some(place(expression.syntax().text_range()));
            }
            None => {}
        }
    }

    fn bind(&mut self, pattern: &SyntaxNode) {
        for name in pattern.descendants().filter_map(ast::IdentPat::cast) {
            let Some(text) = name.name().map(|name| name.text().to_string()) else {
                continue;
            };
            // `None` or a constant is compared with, not bound.
            let binds = name.mut_token().is_some()
                || name.at_token().is_some()
                || !text.starts_with(char::is_uppercase);
            if binds {
                self.bindings.retain(|old| old.name != text);
                self.bindings.push(Binding {
                    name: text,
                    mutable: name.mut_token().is_some(),
                });
            }
        }
    }

    /// Whether the text does nothing: blank, or comments only.
    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
            && self.value.is_none()
            && self.items.is_empty()
            && self.bindings.is_empty()
            && self.text.split_inclusive('\n').all(|line| {
                let line = line.trim_start();
                line.is_empty() || line.starts_with("//")
            })
    }
}

/// A range of the wrapped text in the text itself.
fn place(range: TextRange) -> Range<usize> {
    let shift = |at: ra_ap_syntax::TextSize| usize::from(at).saturating_sub(BEFORE.len());
    shift(range.start())..shift(range.end())
}

fn is_item_macro(expression: &ast::Expr) -> bool {
    let ast::Expr::MacroExpr(call) = expression else {
        return false;
    };
    let path = call.macro_call().and_then(|call| call.path());
    path.and_then(|path| path.segment())
        .and_then(|segment| segment.name_ref())
        .is_some_and(|name| ITEM_MACROS.iter().any(|known| name.text() == *known))
}

fn awaits(node: &SyntaxNode) -> bool {
    node.descendants()
        .filter_map(ast::AwaitExpr::cast)
        .any(|found| {
            // One in an `async` block of its own needs nothing around it.
            !found.syntax().ancestors().any(|outer| {
                ast::BlockExpr::cast(outer.clone())
                    .is_some_and(|block| block.async_token().is_some())
                    || ast::ClosureExpr::cast(outer.clone())
                        .is_some_and(|f| f.async_token().is_some())
                    || (ast::Fn::can_cast(outer.kind()) && outer.text_range().start() > 0.into())
            })
        })
}

/// Identifiers of the code, and those in braces of its texts: `"{name:?}"`.
fn words(node: &SyntaxNode) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for token in node
        .descendants_with_tokens()
        .filter_map(ra_ap_syntax::NodeOrToken::into_token)
    {
        match token.kind() {
            SyntaxKind::IDENT => {
                words.insert(token.text().trim_start_matches("r#").to_owned());
            }
            SyntaxKind::STRING => {
                for piece in token.text().split('{').skip(1) {
                    let end = piece.find(|c: char| c != '_' && !c.is_alphanumeric());
                    words.insert(piece[..end.unwrap_or(piece.len())].to_owned());
                }
            }
            _ => {}
        }
    }
    words.remove("");
    words
}

/// Where the bodies of loops begin, after the bracket; loops that run while compiling are left out.
fn loops(node: &SyntaxNode) -> Vec<usize> {
    let mut places = Vec::new();
    for node in node.descendants() {
        let body = ast::ForExpr::cast(node.clone())
            .and_then(|found| found.loop_body())
            .or_else(|| ast::WhileExpr::cast(node.clone()).and_then(|found| found.loop_body()))
            .or_else(|| ast::LoopExpr::cast(node.clone()).and_then(|found| found.loop_body()));
        let Some(open) = body.and_then(|body| body.stmt_list()?.l_curly_token()) else {
            continue;
        };
        if !node.ancestors().any(|outer| is_const(&outer)) {
            places.push(place(open.text_range()).end);
        }
    }
    places
}

fn is_const(node: &SyntaxNode) -> bool {
    ast::Const::can_cast(node.kind())
        || ast::Static::can_cast(node.kind())
        || ast::ArrayExpr::can_cast(node.kind())
        || ast::ArrayType::can_cast(node.kind())
        || ast::Fn::cast(node.clone()).is_some_and(|function| function.const_token().is_some())
        || ast::BlockExpr::cast(node.clone()).is_some_and(|block| block.const_token().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(source: &Source) -> Vec<(&str, bool)> {
        source
            .bindings
            .iter()
            .map(|b| (b.name.as_str(), b.mutable))
            .collect()
    }

    #[test]
    fn names_of_patterns_are_bound() {
        let source = Source::parse(
            "let a = 1; let (mut b, Point { x, y: z }) = f();\nlet Some(c) = d else { return Ok(()) };\nlet None = e;",
        );
        assert_eq!(
            names(&source),
            [
                ("a", false),
                ("b", true),
                ("x", false),
                ("z", false),
                ("c", false)
            ]
        );
        assert!(source.value.is_none());
    }

    #[test]
    fn the_last_expression_is_the_value() {
        let text = "let a = 1;\n  a + 1 // one more";
        let source = Source::parse(text);
        assert_eq!(&text[source.value.unwrap()], "a + 1");
        assert!(Source::parse("f();").value.is_none());
        let text = "for i in 0..3 { g(i) }";
        let source = Source::parse(text);
        assert_eq!(source.loops, [15]);
        assert!(source.is_heavy);
    }

    #[test]
    fn words_are_also_those_to_be_formatted() {
        let source = Source::parse("println!(\"{name} {n:>5} {{x}}\", r#type)");
        for word in ["println", "name", "n", "type"] {
            assert!(source.words.contains(word), "{word}");
        }
    }

    #[test]
    fn loops_that_run_while_compiling_are_left_alone() {
        let text = "const fn f() -> u8 { loop { return 1 } }\nfn g() { while h() { } }";
        let source = Source::parse(text);
        assert_eq!(source.loops.len(), 1);
        assert_eq!(&text[source.loops[0]..], " } }");
        assert_eq!(source.items.len(), 2);
    }

    #[test]
    fn await_counts_where_nothing_is_async_around_it() {
        assert!(Source::parse("f().await").awaits);
        assert!(Source::parse("let x = g(h().await);").awaits);
        assert!(!Source::parse("let f = async { g().await };").awaits);
        assert!(!Source::parse("async fn f() { g().await }").awaits);
    }

    #[test]
    fn comments_do_nothing() {
        assert!(Source::parse("\n // hello\n").is_empty());
        assert!(!Source::parse("1").is_empty());
        assert!(!Source::parse("}").is_empty());
    }
}
